"""Gaussian8, the protocol behind published figures of blind super-resolution: images -> rows.

Every HR image is cropped to a multiple of the scale, blurred by eight isotropic Gaussians, made
smaller by antialiased bicubic and rounded to 8 bit; what a method restores is compared on Y with
`scale` pixels of border left out. Arrays are numpy, (3, H, W) RGB.
"""

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dcls_cli.degradation import bicubic, degrade_isotropic, gaussian8_sigmas, quantise
from dcls_cli.errors import ImageError, UsageError
from dcls_cli.metrics import SSIM_WIDTH, crop_border, luma, psnr, round_to_8_bit, ssim

#: LR (3, h, w) float32 in [0, 1] -> SR (3, scale h, scale w), which is clamped and rounded here.
Restore = Callable[[np.ndarray], np.ndarray]

#: Called with (LR images done, LR images in all).
Progress = Callable[[int, int], None]

SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".webp", ".jpg", ".jpeg"})
_FORMATS = ("PNG", "BMP", "TIFF", "WEBP", "JPEG")
#: Modes of Pillow with eight bits a channel or fewer, which become RGB without loss.
_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})

#: What Pillow raises on files that are missing or damaged.
_DAMAGE = (OSError, ValueError, SyntaxError, TypeError, IndexError, OverflowError, struct.error,
           Image.DecompressionBombError)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Figures of one restored image, or their mean.

    Attributes:
        image: name of the image, or "mean".
        sigma: width of the blur in HR pixels; None for a mean over several.
        psnr_y: PSNR on Y, dB.
        ssim_y: SSIM on Y; None where it was left out.
        psnr_rgb: PSNR over all channels, dB.
    """

    image: str
    sigma: float | None
    psnr_y: float
    ssim_y: float | None
    psnr_rgb: float


@dataclass(frozen=True)
class Sample:
    """One HR image and its degraded versions, in the 8 bits that the protocol rounds to.

    Attributes:
        image: name of the image.
        scale: up-scaling factor.
        hr: (3, H, W) uint8, sides multiples of `scale`.
        lr: (8, 3, H / scale, W / scale) uint8, one for each sigma.
        sigmas: widths of the blurs, HR pixels.
    """

    image: str
    scale: int
    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]
    sigmas: tuple[float, ...]

    @classmethod
    def prepare(cls, image: str, hr: NDArray[np.uint8], scale: int) -> "Sample":
        """Degrade an HR image, (3, H, W), in float64.

        Raises:
            ImageError: too small to be compared, or not 8-bit RGB.
            UsageError: the protocol does not define this scale.
        """
        sigmas = gaussian8_sigmas(scale)
        if hr.dtype != np.uint8 or hr.ndim != 3 or hr.shape[0] != 3:
            raise ImageError(
                f"{image}: expected (3, H, W) uint8, got {hr.shape} {hr.dtype}; convert it to RGB"
            )
        height, width = (side - side % scale for side in hr.shape[1:])
        least = SSIM_WIDTH + 2 * scale
        if min(height, width) < least:
            raise ImageError(
                f"{image}: {hr.shape[2]}x{hr.shape[1]} px is too small to be evaluated at scale "
                f"{scale}: {scale * math.ceil(least / scale)} px a side are needed"
            )
        hr = np.ascontiguousarray(hr[:, :height, :width])
        clear = torch.from_numpy(hr).double()[None] / 255
        levels = []
        for sigma in sigmas:  # one after the other: a large image in float64 fits once, not 8 times
            small = degrade_isotropic(clear, clear.new_tensor([sigma]), scale)
            levels.append((quantise(small)[0] * 255).round().to(torch.uint8).numpy())
        return cls(image, scale, hr, np.stack(levels), sigmas)

    def rows(self, restore: Restore, *, with_ssim: bool = True) -> Iterator[Row]:
        """Restore and measure the eight LR images one by one.

        Raises:
            ImageError: `restore` returned another shape.
        """
        s = self.scale
        sharp = self.hr.astype(np.float64) / 255
        sharp_y, sharp_rgb = crop_border(luma(sharp), s), crop_border(sharp, s)
        for sigma, lr in zip(self.sigmas, self.lr, strict=True):
            restored = restore(lr.astype(np.float32) / np.float32(255))
            if restored.shape != sharp.shape:
                raise ImageError(
                    f"{self.image}: expected a restored image of shape {sharp.shape}, "
                    f"got {restored.shape}; is the network made for scale {s}?"
                )
            rounded = round_to_8_bit(restored)
            y = crop_border(luma(rounded), s)
            yield Row(
                image=self.image,
                sigma=sigma,
                psnr_y=psnr(y, sharp_y),
                ssim_y=ssim(y, sharp_y) if with_ssim else None,
                psnr_rgb=psnr(crop_border(rounded, s), sharp_rgb, peak=1.0),
            )


class Gaussian8Set:
    """A data set that is degraded once and evaluated often, as in the validations of a training."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        """Keep prepared samples; see `from_paths`."""
        self.samples = tuple(samples)

    @classmethod
    def from_paths(cls, paths: Sequence[Path], scale: int) -> "Gaussian8Set":
        """Read and degrade HR images, raising as `gaussian8` does; kept in 8 bits."""
        return cls([Sample.prepare(path.name, read_hr(path), scale) for path in paths])

    def evaluate(
        self, restore: Restore, *, with_ssim: bool = True, progress: Progress | None = None
    ) -> list[Row]:
        """Restore and measure everything, image by image, sigma ascending."""
        return _evaluate(self.samples, len(self.samples), restore, with_ssim, progress)


def gaussian8(
    hr_paths: Sequence[Path],
    scale: int,
    restore: Restore,
    *,
    with_ssim: bool = True,
    progress: Progress | None = None,
) -> list[Row]:
    """Evaluate a method on images that are read and degraded one at a time.

    SSIM costs more than PSNR. Rows come in the order of the images, sigma ascending.

    Raises:
        ImageError: an image cannot be read or is too small, or `restore` returned another shape.
        UsageError: the protocol does not define this scale.
    """
    samples = (Sample.prepare(path.name, read_hr(path), scale) for path in hr_paths)
    return _evaluate(samples, len(hr_paths), restore, with_ssim, progress)


def _evaluate(
    samples: Iterable[Sample],
    images: int,
    restore: Restore,
    with_ssim: bool,
    progress: Progress | None,
) -> list[Row]:
    rows: list[Row] = []
    for sample in samples:
        for row in sample.rows(restore, with_ssim=with_ssim):
            rows.append(row)
            if progress is not None:
                progress(len(rows), images * len(sample.sigmas))
    return rows


def mean_row(rows: Sequence[Row]) -> Row:
    """Mean of all rows; `ssim_y` is None unless every row has it.

    Raises:
        UsageError: there are no rows.
    """
    if not rows:
        raise UsageError("nothing was evaluated: there are no figures to average")
    sigmas = {row.sigma for row in rows}
    similarities = [row.ssim_y for row in rows if row.ssim_y is not None]
    return Row(
        image="mean",
        sigma=sigmas.pop() if len(sigmas) == 1 else None,
        psnr_y=fmean(row.psnr_y for row in rows),
        ssim_y=fmean(similarities) if len(similarities) == len(rows) else None,
        psnr_rgb=fmean(row.psnr_rgb for row in rows),
    )


def rows_by_sigma(rows: Sequence[Row]) -> list[Row]:
    """Mean over the images for each sigma, ascending."""
    sigmas = sorted({row.sigma for row in rows if row.sigma is not None})
    return [mean_row([row for row in rows if row.sigma == sigma]) for sigma in sigmas]


def bicubic_restore(scale: int) -> Restore:
    """The baseline that every paper reports: MATLAB's bicubic up-sampling, in float64."""

    def restore(lr: np.ndarray) -> np.ndarray:
        small = torch.from_numpy(lr.astype(np.float64))[None]
        return np.asarray(bicubic(small, scale)[0].numpy())

    return restore


def find_hr(folder: Path) -> list[Path]:
    """Images right in a folder, sorted by name.

    Raises:
        ImageError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder}: expected a folder of HR images, found no folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        expected = ", ".join(sorted(SUFFIXES))
        raise ImageError(f"{folder}: no HR image; files ending in {expected} are looked for")
    return paths


def read_hr(path: Path) -> NDArray[np.uint8]:
    """Read a sharp image as (3, H, W) uint8; grey becomes three channels, alpha is dropped.

    Raises:
        ImageError: missing, damaged, or not 8-bit grey or RGB, for which the protocol is defined.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            mode, pixels = image.mode, np.asarray(image.convert("RGB"))
    except _DAMAGE as error:
        raise ImageError(f"{path}: cannot be read as an image ({error})") from error
    if mode not in _MODES:
        raise ImageError(f"{path}: mode {mode} has no Gaussian8 figures; give 8-bit grey or RGB")
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
