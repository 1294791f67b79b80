"""Training images: those of a run that names none, and all of them in memory."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dcls_cli.data.catalogue import TRAINING_SETS, data_home, find_images, pack_of
from dcls_cli.data.packs import Pack
from dcls_cli.data.sources import rgb8
from dcls_cli.degradation.classical import sent
from dcls_cli.errors import DataError, ImageError, TrainingError, UsageError
from dcls_cli.files.atomic import printable
from dcls_cli.image import read
from dcls_cli.image.folders import images_in

#: The data sets of the paper, by their names in `dcls data`.
TITLES = {"div2k": "DIV2K", "flickr2k": "Flickr2K"}


def default_images(
    download: Callable[[Path, Sequence[str]], bool], pack: Callable[[Path, Path], None]
) -> tuple[Path, ...]:
    """DIV2K and Flickr2K as training opens them: folders or packs in the data home.

    Args:
        download: called with the data home and the names of missing sets; whether it got them.
        pack: called with an archive and the pack to make of it, once.

    Raises:
        UsageError: they are missing, and a download was declined.
        DataError: one is damaged, or the data home cannot be written.
    """
    home = data_home()
    missing = [name for name in TRAINING_SETS if find_images(name, home) is None]
    if missing and not download(home, missing):
        raise UsageError(
            f"no --hr, and no {' or '.join(TITLES[name] for name in missing)} in {home}: "
            f"dcls data download {' '.join(missing)}"
        )
    paths = []
    for name in TRAINING_SETS:
        path, packed = find_images(name, home), pack_of(name, home)
        assert path is not None
        if not path.is_dir() and path != packed:
            if "RANK" in os.environ:  # several processes would write one file
                raise UsageError(
                    f"{path}: prepare it first: dcls data prepare {path} -o {name}.pack"
                )
            pack(path, packed)
            path = packed
        paths.append(path)
    return tuple(paths)


@dataclass(frozen=True)
class SkippedImage:
    """A file that cannot be trained on, and why."""

    path: Path
    reason: str


class ImageStore:
    """All training images as one flat uint8 tensor on the training device."""

    def __init__(self, pixels: Tensor, offsets: Tensor, sizes: Tensor, files: int) -> None:
        """Use `load`.

        Args:
            pixels: (N, 3) uint8, all images row by row.
            offsets: (images,) int64, first pixel of each image (CPU).
            sizes: (images, 2) int64, height and width (CPU).
            files: files that were read.
        """
        self.pixels, self.offsets, self.sizes, self.files = pixels, offsets, sizes, files
        self.fingerprint = _fingerprint(pixels, sizes)

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        min_side: int,
        device: torch.device,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple["ImageStore", list[SkippedImage]]:
        """Read every image below the folders, and those of files of `dcls data prepare`.

        Such a file is mapped into memory; alone, on the CPU, it is not copied either.

        Args:
            folders: searched recursively as every command searches (`dcls_cli.image.folders`),
                their files ordered by path; or prepared files.
            min_side: smallest usable width and height, pixels.
            device: where the pixels are kept.
            progress: called with (images read, images).

        Returns:
            The store, and the images that were skipped.

        Raises:
            TrainingError: a folder is missing, or no image is usable.
            ImageError: a folder cannot be read.
        """
        sources: list[Path | _Mapped] = []
        packs = 0
        for folder in folders:
            if folder.is_file():
                sources += _mapped(folder)
                packs += 1
            elif folder.is_dir():
                sources += images_in(folder, recursive=True)
            else:
                raise TrainingError(f"{folder}: no such folder of training images")
        arrays: list[np.ndarray] = []
        skipped: list[SkippedImage] = []
        for count, source in enumerate(sources, start=1):
            path = source if isinstance(source, Path) else source.path
            try:
                pixels = rgb8(read(path)) if isinstance(source, Path) else source.pixels
                _refuse_small(pixels, min_side)
                arrays.append(pixels)
            except ImageError as error:
                skipped.append(SkippedImage(path, str(error).removeprefix(f"{printable(path)}: ")))
            if progress is not None:
                progress(count, len(sources))
        if not arrays:
            searched = ", ".join(map(str, folders))
            raise TrainingError(
                f"no usable training image in {searched}: {len(sources)} image files, "
                f"{len(skipped)} skipped; needed are images of at least {min_side} px a side"
            )
        one_pack = packs == 1 == len(folders) and not skipped
        return cls._joined(arrays, device, contiguous=one_pack), skipped

    @classmethod
    def _joined(
        cls, arrays: list[np.ndarray], device: torch.device, *, contiguous: bool
    ) -> "ImageStore":
        """A store of images (H, W, 3); `contiguous`: they lie one behind the other already."""
        sizes = torch.tensor([array.shape[:2] for array in arrays])
        counts = sizes.prod(1)
        offsets = torch.cat((torch.zeros(1, dtype=torch.int64), counts.cumsum(0)[:-1]))
        total = int(counts.sum())
        if contiguous:
            whole = np.lib.stride_tricks.as_strided(arrays[0], (total, 3), (3, 1), writeable=False)
            with warnings.catch_warnings(action="ignore"):  # the store is read only
                pixels = torch.from_numpy(whole)
        else:
            pixels = torch.empty(total, 3, dtype=torch.uint8)
            for start, count in zip(offsets.tolist(), counts.tolist(), strict=True):
                # Images are released one by one: two copies of a data set might not fit.
                image = np.ascontiguousarray(arrays.pop(0).reshape(-1, 3))
                pixels[start : start + count] = torch.from_numpy(image.copy())
        return cls(pixels.to(device), offsets, sizes, len(sizes))

    def windows(self, image: Tensor, top: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
        """First pixel of windows, and distance between their rows, both on the pixels' device.

        Args:
            image: index of the image of each window, any shape, on the CPU.
            top: upper row of each window.
            left: first column of each window.
        """
        device = self.pixels.device
        start = self.offsets[image] + top * self.sizes[image, 1] + left
        width = self.sizes[image, 1]
        return sent(start, device), sent(width, device)

    def crop(self, start: Tensor, width: Tensor, size: int) -> Tensor:
        """Square windows as `windows` gives them, (B,) -> (B, 3, size, size) float in [0, 1]."""
        span = torch.arange(size, device=self.pixels.device)
        index = start[:, None, None] + span[None, :, None] * width[:, None, None] + span
        window = self.pixels[index.flatten()].view(-1, size, size, 3)
        return window.permute(0, 3, 1, 2).float() / 255


@dataclass(frozen=True, eq=False)
class _Mapped:
    """An image of a pack: a name for messages, and its pixels, (H, W, 3) uint8 on the disk."""

    path: Path
    pixels: np.ndarray


def _mapped(path: Path) -> list[_Mapped]:
    """The images of a pack, mapped into memory.

    Raises:
        TrainingError: it is no pack, or cut off.
    """
    try:
        pack = Pack.open(path)
    except DataError as error:
        raise TrainingError(str(error)) from error
    pixels = np.memmap(path, np.uint8, "r", pack.start, (pack.pixel_count, 3))
    images, start = [], 0
    for image in pack.images:
        count = image.height * image.width
        shape = (image.height, image.width, 3)
        images.append(_Mapped(path / image.name, pixels[start : start + count].reshape(shape)))
        start += count
    return images


def _refuse_small(pixels: np.ndarray, min_side: int) -> None:
    """Refuse an image that no window fits into.

    Raises:
        ImageError: it is too small.
    """
    if min(pixels.shape[:2]) < min_side:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ImageError(f"{size} pixels, at least {min_side} a side are needed")


def _fingerprint(pixels: Tensor, sizes: Tensor) -> str:
    """A digest of all sizes and of every 997th pixel: cheap, and other images change it."""
    digest = hashlib.sha256(sizes.numpy().tobytes())
    digest.update(pixels[::997].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
