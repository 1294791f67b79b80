"""The `graphics` benchmark: pictures that no camera took, drawn by name, reduced and saved."""

import hashlib
import math
from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcls_cli.evaluation.graphics import marks, papers, textures
from dcls_cli.evaluation.graphics.canvas import WHITE, Canvas
from dcls_cli.evaluation.samples import Sample, fitting

#: Changes with anything that changes a picture.
VERSION = "graphics/1"

Draw = Callable[[np.random.RandomState, int], NDArray[np.uint8]]


REDUCTIONS = {
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}

#: How the small pictures are saved: None is PNG, a number is the quality of JPEG with 4:2:0.
CODINGS: dict[str, int | None] = {"PNG": None, "JPEG 90": 90, "JPEG 75": 75}


def _levels(draw: Callable[[np.random.RandomState, int], Canvas]) -> Draw:
    return lambda random, index: draw(random, index).levels()


#: Kinds of which each picture is drawn by chance, and how many of each there are.
_DRAWN: Mapping[str, tuple[Draw, int]] = {
    "logos": (_levels(marks.logo), 24),
    "charts": (_levels(papers.chart), 16),
    "maps": (_levels(papers.street_map), 12),
    "screens": (_levels(papers.screen), 16),
    "text": (_levels(papers.text), 12),
    "drawings": (textures.drawing, 16),
    "sprites": (textures.sprite, 12),
    "gradients": (textures.gradient, 12),
    "halftone": (textures.halftone, 12),
}
#: Kinds whose pictures are known by name.
_NAMED: Mapping[str, Mapping[str, Callable[[Canvas], None]]] = {
    "flags": marks.FLAGS,
    "edges": marks.EDGES,
}


def names() -> tuple[str, ...]:
    """All pictures in order: the kind, a hyphen, and a number or a name."""
    named = [f"{kind}-{name}" for kind, pictures in _NAMED.items() for name in pictures]
    drawn = [f"{kind}-{index:02d}" for kind, (_, count) in _DRAWN.items() for index in range(count)]
    return (*named, *drawn)


def kind_of(name: str) -> str:
    """What a picture is of: flags, edges, logos and so on."""
    return name.partition("-")[0]


def draw(name: str) -> NDArray[np.uint8]:
    """One picture: (3, HEIGHT, WIDTH).

    Raises:
        KeyError: there is no such picture.
    """
    kind, _, rest = name.partition("-")
    if kind in _NAMED:
        canvas = Canvas(WHITE)
        _NAMED[kind][rest](canvas)
        return canvas.levels()
    return _DRAWN[kind][0](random_for(name), int(rest))


def random_for(name: str) -> np.random.RandomState:
    """Random numbers that depend on the version and the name alone."""
    digest = hashlib.sha256(f"{VERSION} {name}".encode()).digest()
    return np.random.RandomState(np.frombuffer(digest, "<u4").astype(np.uint32))


def graphics_sample(name: str, scale: int) -> Sample:
    """Draw a picture, reduce it by the way that its name has drawn, save it in each way.

    Raises:
        KeyError: there is no such picture.
    """
    hr = fitting(name, draw(name), scale)
    small = reduced(hr, reduction_of(name), scale)
    files = tuple(encoded(small, quality) for quality in CODINGS.values())
    return Sample(
        image=name,
        scale=scale,
        hr=hr,
        lr=np.stack([decoded(file) for file in files]),
        sigmas=(math.nan,) * len(files),
        cases=tuple(CODINGS),
        kernels=(None,) * len(files),
        files=files,
        has_ssim=False,
    )


def reduction_of(name: str) -> str:
    """A third of all pictures each; the same at every scale."""
    # Not the stream that draws the picture: that one may be changed by itself.
    choices = list(REDUCTIONS)
    return choices[random_for(f"{name} reduction").randint(len(choices))]


def reduced(hr: NDArray[np.uint8], reduction: str, scale: int) -> NDArray[np.uint8]:
    """Pillow's reduction of 8-bit pictures: (3, H, W) -> (3, H / scale, W / scale)."""
    size = (hr.shape[2] // scale, hr.shape[1] // scale)
    small = _picture(hr).resize(size, REDUCTIONS[reduction])
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def encoded(levels: NDArray[np.uint8], quality: int | None) -> bytes:
    """A file of (3, h, w): PNG, or JPEG of a quality."""
    file = BytesIO()
    if quality is None:
        _picture(levels).save(file, "PNG")
    else:
        _picture(levels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def decoded(file: bytes) -> NDArray[np.uint8]:
    """(3, h, w) of a file."""
    with Image.open(BytesIO(file)) as picture:
        return np.ascontiguousarray(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))


def _picture(levels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))
