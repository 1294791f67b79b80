"""The benchmarks by name: which files each one takes, and what it makes of them."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcls_cli.data.sources import content_of
from dcls_cli.errors import ImageError, UsageError
from dcls_cli.evaluation import div2krk, graphics, photo, text
from dcls_cli.evaluation.gaussian8 import gaussian8_sample
from dcls_cli.evaluation.samples import (
    READING,
    Sample,
    find_hr,
    find_images,
    fitting,
    read_hr,
)
from dcls_cli.files.atomic import printable


@dataclass(frozen=True)
class Item:
    """The files of one image.

    Attributes:
        hr: the original.
        lr: what is restored, where the benchmark does not make it.
        kernel: of the blur, where it is a file.
        drawn: what gives the SHA-256 of an original that the benchmark draws; `hr` is but its name.
    """

    hr: Path
    lr: Path | None = None
    kernel: Path | None = None
    drawn: Callable[[str], str] | None = None

    def digest(self) -> str:
        """SHA-256 of the files' contents, and of how they are read.

        Raises:
            ImageError: one cannot be read.
            UsageError: what draws or reads it is not installed.
        """
        if self.drawn is not None:
            return self.drawn(self.hr.name)
        digest = hashlib.sha256(f"reading {READING} ".encode())
        for path in (self.hr, self.lr, self.kernel):
            try:
                content = b"" if path is None else content_of(path)
            except OSError as error:
                raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
            digest.update(f"{len(content)} ".encode() + content)
        return digest.hexdigest()


@dataclass(frozen=True)
class Benchmark:
    """One way to damage images.

    Attributes:
        version: what results are kept under; it changes with anything that changes figures.
        describes: for people, in a few words.
        prepare: files and scale -> original and damaged images.
        cases: what the cases are called: `sigma`, `damage`, or nothing where there is only one.
        kind: what kind an image is of, by its name, where there are so many images that tables
            show kinds.
        harmful: whether the question is what is worse than bicubic. Pictures go all the way that
            `dcls upscale` goes, and the harm is counted.
    """

    version: str
    describes: str
    prepare: Callable[[Item, int], Sample]
    cases: str = ""
    kind: Callable[[str], str] | None = None
    harmful: bool = False


def _of_hr(make: Callable[[str, NDArray[np.uint8], int], Sample], item: Item, scale: int) -> Sample:
    return make(item.hr.name, read_hr(item.hr), scale)


def _digest_of_drawing(name: str) -> str:
    return hashlib.sha256(graphics.draw(name).tobytes()).hexdigest()


def _pair(item: Item, scale: int) -> Sample:
    """An original and a given LR image."""
    assert item.lr is not None
    name, lr = item.hr.name, read_hr(item.lr)
    hr = fitting(name, read_hr(item.hr), scale)
    if hr.shape[1:] != (scale * lr.shape[1], scale * lr.shape[2]):
        raise ImageError(
            f"{item.lr}: {lr.shape[2]}x{lr.shape[1]} px x {scale} are not the "
            f"{hr.shape[2]}x{hr.shape[1]} px of {name}, cropped to a multiple of {scale}"
        )
    return Sample(name, scale, hr, lr[None], (math.nan,), ("pair",), (None,))


def _original(item: Item, scale: int) -> Sample:
    assert item.lr is not None
    return div2krk.original_sample(item.hr, item.lr, item.kernel, scale)


BENCHMARKS = {
    "gaussian8": Benchmark(
        "gaussian8/1", "eight isotropic Gaussian blurs", partial(_of_hr, gaussian8_sample), "sigma"
    ),
    "gaussian8-noise15": Benchmark(
        "gaussian8-noise15/1",
        "eight isotropic Gaussian blurs, noise 15",
        partial(_of_hr, partial(gaussian8_sample, noise=15.0)),
        "sigma",
    ),
    "gaussian8-noise30": Benchmark(
        "gaussian8-noise30/1",
        "eight isotropic Gaussian blurs, noise 30",
        partial(_of_hr, partial(gaussian8_sample, noise=30.0)),
        "sigma",
    ),
    "div2krk": Benchmark("div2krk/1", "the original DIV2KRK images", _original),
    "div2krk-like": Benchmark(
        div2krk.VERSION, "random kernels as of DIV2KRK", partial(_of_hr, div2krk.substitute)
    ),
    "photo": Benchmark(
        photo.VERSION,
        "eight kinds of damage of photographs",
        partial(_of_hr, photo.photo_sample),
        "damage",
    ),
    "graphics": Benchmark(
        graphics.VERSION,
        "pictures that no camera took, made smaller, as PNG and JPEG",
        lambda item, scale: graphics.graphics_sample(item.hr.name, scale),
        "file",
        graphics.kind_of,
        harmful=True,
    ),
    "text": Benchmark(
        text.VERSION,
        "pages of text, blurred and reduced, read by Tesseract",
        lambda item, scale: text.text_sample(item.hr.name, scale),
        "damage",
        text.kind_of,
        harmful=True,
    ),
    "pairs": Benchmark("pairs/1", "LR images as they are given", _pair),
}


def find_items(
    benchmark: str, scale: int, hr: Path | None, lr: Path | None = None, root: Path | None = None
) -> list[Item]:
    """The images of a benchmark, by name.

    Args:
        benchmark: one of `BENCHMARKS`.
        scale: up-scaling factor.
        hr: folder of originals; needed but by `div2krk`, `graphics` and `text`.
        lr: folder of LR images; `pairs` needs it, no other takes it.
        root: folder of the original data set; `div2krk` needs it, no other takes it.

    Raises:
        UsageError: folders that are missing, or that the benchmark does not take.
        ImageError: no images, or LR images that are missing.
    """
    folders = {"div2krk": ("root",), "pairs": ("hr", "lr"), "graphics": (), "text": ()}
    wanted = folders.get(benchmark, ("hr",))
    for name, folder in (("hr", hr), ("lr", lr), ("root", root)):
        if (folder is not None) != (name in wanted):
            needed = " and ".join(f"--{option}" for option in wanted)
            needs = f"needs {needed}, and no other folder" if wanted else "takes no folder"
            raise UsageError(f"--benchmark {benchmark} {needs}")
    if benchmark == "graphics":
        return [Item(Path(name), drawn=_digest_of_drawing) for name in graphics.names()]
    if benchmark == "text":
        return [Item(Path(name), drawn=text.digest_of) for name in text.names()]
    if root is not None:
        return [Item(*paths) for paths in div2krk.originals(root, scale)]
    assert hr is not None
    if lr is None:
        return [Item(path) for path in find_hr(hr)]
    return _paired(find_hr(hr), find_images(lr, "LR"), lr, scale)


def _paired(hr: list[Path], lr: list[Path], folder: Path, scale: int) -> list[Item]:
    """Give each original its LR image: see `_lr_of`.

    Raises:
        ImageError: an original has none or several, or two originals have the same.
    """
    items: list[Item] = []
    owners: dict[Path, Path] = {}
    for path in hr:
        found = _lr_of(path, lr, folder, scale)
        other = owners.setdefault(found, path)
        if other != path:
            raise ImageError(
                f"{printable(found)}: fits two originals, {printable(other.name)} and "
                f"{printable(path.name)}; give each an LR image of its own file name"
            )
        items.append(Item(path, found))
    return items


def _lr_of(hr: Path, lr: list[Path], folder: Path, scale: int) -> Path:
    """The LR image of the very name of an original, else the only one that is named after it.

    That is one of the same name without its suffix, or `namex4`, as many sets have them, or
    `name_LR` for `name_HR`.

    Raises:
        ImageError: there is none, or several fit.
    """
    same = [path for path in lr if path.name == hr.name]
    if same:
        return same[0]
    stems = (
        hr.stem,
        f"{hr.stem}x{scale}",
        f"{hr.name}x{scale}",  # as `dcls eval --out` writes where stems repeat
        f"{hr.stem.removesuffix('_HR')}_LR",
    )
    named = [path for path in lr if path.stem in stems]
    if not named:
        raise ImageError(
            f"{printable(folder)}: no LR image for {printable(hr.name)}; looked for "
            f"{', '.join(map(printable, stems))}"
        )
    if len(named) > 1:
        raise ImageError(
            f"{printable(folder)}: several LR images for {printable(hr.name)}: "
            f"{', '.join(printable(path.name) for path in named)}; leave one of them there, or "
            "give the right one the same file name"
        )
    return named[0]
