"""Training images in memory, and batches that depend on the seed and the step alone."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dcls_cli.degradation import degrade_isotropic, gaussian_kernel, quantise
from dcls_cli.degradation.photo import PhotoDamage, damage_photo
from dcls_cli.errors import ImageError, TrainingError
from dcls_cli.image import read
from dcls_cli.training.config import TrainConfig

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
#: LR pixels around a patch that absorb the borders of blur and bicubic, then are cut off.
MARGIN = 6
#: Detail is measured at every so many pixels.
DETAIL_STEP = 4


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
                skipped.append(SkippedImage(path, str(error).removeprefix(f"{path}: ")))
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


class Batch(NamedTuple):
    """lr (B, 3, p, p) rounded to 8 bit, hr (B, 3, sp, sp), kernel (B, 1, k, k) in HR pixels.

    clear (B, 3, p, p) and blurred (B, 3, p, p) are the unrounded LR images before and after the
    blur where Eq. 7 needs them, else None. noise (B,): power of noise over power of the image for
    damaged photos, else None.
    """

    lr: Tensor
    hr: Tensor
    kernel: Tensor
    clear: Tensor | None = None
    blurred: Tensor | None = None
    noise: Tensor | None = None


class PatchSampler:
    """Random crops, flips, rotations and blurs; the same for a step however often it is asked."""

    def __init__(
        self, store: ImageStore, config: TrainConfig, scale: int, kernel_size: int, images: bool
    ) -> None:
        """`images` adds the clear and blurred LR images that Eq. 7 needs."""
        self.store, self.config, self.scale = store, config, scale
        self.kernel_size, self.images = kernel_size, images
        self.window = (config.patch + 2 * MARGIN) * scale
        areas = (store.sizes - self.window + 1).clamp(min=1).prod(1).double()
        self.cumulative = areas.cumsum(0) / areas.sum()

    @staticmethod
    def min_side(config: TrainConfig, scale: int) -> int:
        """Smallest side of an image that a window fits into, HR pixels."""
        return (config.patch + 2 * MARGIN) * scale

    def batch(self, step: int, salt: int, rank: int = 0, world: int = 1) -> Batch:
        """The batch of a step, or every `world`-th patch of it from `rank` on.

        Args:
            step: training step.
            salt: changes every batch; counts roll-backs, so that a batch is not met twice.
            rank: index of this process.
            world: number of processes.
        """
        config, device = self.config, self.store.pixels.device
        random = torch.Generator().manual_seed((config.seed << 40) + (salt << 32) + step)
        count, n = config.batch, config.candidates
        image = torch.searchsorted(
            self.cumulative, torch.rand(count * n, generator=random, dtype=torch.float64)
        ).clamp(max=len(self.cumulative) - 1)
        corner = torch.rand(count * n, 2, generator=random, dtype=torch.float64)
        corner = (corner * (self.store.sizes[image] - self.window + 1)).long()
        draws = torch.rand(count, 2, generator=random)
        position = draws.mean(1) if config.sigma_centred else draws[:, 0]
        sigma = config.sigma_min + position * (config.sigma_max - config.sigma_min)
        symmetry = torch.randint(8, (count,), generator=random)

        mine = slice(rank, None, world)
        image, corner = image.view(count, n)[mine], corner.view(count, n, 2)[mine]
        start, width = self.store.windows(image, corner[..., 0], corner[..., 1])
        hr = self.store.crop(*self._with_most_detail(start, width), self.window)
        hr = _orient(hr, symmetry[mine])
        if config.degradation == "photo":
            size = (self.window // self.scale,) * 2
            widths = (config.sigma_min, config.sigma_max)
            damage = PhotoDamage.draw(count, size, self.kernel_size, widths, random)
            return self._photograph(hr, damage.part(mine, device))
        return self._degrade(hr, sigma[mine].to(device, non_blocking=True))

    def _with_most_detail(self, start: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Of (B, n) windows the (B,) whose pixels, sampled coarsely, differ most."""
        if start.shape[1] == 1:
            return start[:, 0], width[:, 0]
        green = self.store.pixels[:, 1]
        span = torch.arange(0, self.window - 1, DETAIL_STEP, device=green.device)
        index = start[..., None, None] + span[:, None] * width[..., None, None] + span
        below = (index + width[..., None, None]).flatten()
        index = index.flatten()
        here = green[index].short()
        detail = (here - green[index + 1].short()).abs() + (here - green[below].short()).abs()
        best = detail.float().view(*start.shape, -1).mean(-1).argmax(1, keepdim=True)
        return start.gather(1, best)[:, 0], width.gather(1, best)[:, 0]

    def _degrade(self, hr: Tensor, sigma: Tensor) -> Batch:
        s, m = self.scale, MARGIN
        kernel = gaussian_kernel(sigma, self.kernel_size)
        blurred = degrade_isotropic(hr, sigma, s, self.kernel_size)[..., m:-m, m:-m]
        clear = None
        if self.images:
            clear = degrade_isotropic(hr, torch.full_like(sigma, 1e-3), s, self.kernel_size)
            clear = clear[..., m:-m, m:-m]
        target = hr[..., m * s : -m * s, m * s : -m * s]
        return Batch(quantise(blurred), target, kernel, clear, blurred if self.images else None)

    def _photograph(self, hr: Tensor, damage: PhotoDamage) -> Batch:
        s, m = self.scale, MARGIN
        lr, noise = damage_photo(hr, damage, s)
        target = hr[..., m * s : -m * s, m * s : -m * s]
        return Batch(lr[..., m:-m, m:-m], target, damage.kernel, noise=noise)


def _orient(images: Tensor, symmetry: Tensor) -> Tensor:
    """Flip and rotate each square image by one of the eight symmetries of the square."""
    out = torch.empty_like(images)
    for index, code in enumerate(symmetry.tolist()):
        image = images[index]
        if code & 1:
            image = image.flip(-1)
        if code & 2:
            image = image.flip(-2)
        if code & 4:
            image = image.transpose(-1, -2)
        out[index] = image
    return out
