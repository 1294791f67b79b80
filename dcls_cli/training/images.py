"""Training images in memory."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dcls_cli.atomic import printable
from dcls_cli.errors import ImageError, TrainingError
from dcls_cli.image import read

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}


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
        """Read every image below the folders.

        Args:
            folders: searched recursively; files are ordered by path.
            min_side: smallest usable width and height, pixels.
            device: where the pixels are kept.
            progress: called with (files done, files).

        Returns:
            The store, and the files that were skipped.

        Raises:
            TrainingError: a folder is missing, or nothing usable was found.
        """
        paths = []
        for folder in folders:
            if not folder.is_dir():
                raise TrainingError(f"{folder}: no such folder of training images")
            found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
            paths += sorted(path for path in found if not path.is_dir())
        arrays: list[np.ndarray] = []
        skipped: list[SkippedImage] = []
        for done, path in enumerate(paths, start=1):
            try:
                arrays.append(_read_rgb(path, min_side))
            except ImageError as error:
                skipped.append(SkippedImage(path, str(error).removeprefix(f"{printable(path)}: ")))
            if progress is not None:
                progress(done, len(paths))
        if not arrays:
            searched = ", ".join(map(str, folders))
            raise TrainingError(
                f"no usable training image in {searched}: {len(paths)} image files, "
                f"{len(skipped)} skipped; needed are images of at least {min_side} px a side"
            )
        sizes = torch.tensor([array.shape[:2] for array in arrays])
        counts = sizes.prod(1)
        offsets = torch.cat((torch.zeros(1, dtype=torch.int64), counts.cumsum(0)[:-1]))
        pixels = torch.empty(int(counts.sum()), 3, dtype=torch.uint8)
        for start, count in zip(offsets.tolist(), counts.tolist(), strict=True):
            # Images are released one by one: two copies of a data set might not fit.
            pixels[start : start + count] = torch.from_numpy(arrays.pop(0).reshape(-1, 3))
        return cls(pixels.to(device), offsets, sizes, len(sizes)), skipped

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
        return start.to(device, non_blocking=True), width.to(device, non_blocking=True)

    def crop(self, start: Tensor, width: Tensor, size: int) -> Tensor:
        """Square windows as `windows` gives them, (B,) -> (B, 3, size, size) float in [0, 1]."""
        span = torch.arange(size, device=self.pixels.device)
        index = start[:, None, None] + span[None, :, None] * width[:, None, None] + span
        window = self.pixels[index.flatten()].view(-1, size, size, 3)
        return window.permute(0, 3, 1, 2).float() / 255


def _read_rgb(path: Path, min_side: int) -> np.ndarray:
    """An image as (H, W, 3) uint8, all formats as `dcls upscale` reads them.

    Raises:
        ImageError: it cannot be read or is too small.
    """
    pixels = read(path).pixels
    if min(pixels.shape[:2]) < min_side:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ImageError(f"{size} pixels, at least {min_side} a side are needed")
    return np.asarray(np.rint(pixels * 255), np.uint8)


def _fingerprint(pixels: Tensor, sizes: Tensor) -> str:
    """A digest of all sizes and of every 997th pixel: cheap, and other images change it."""
    digest = hashlib.sha256(sizes.numpy().tobytes())
    digest.update(pixels[::997].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
