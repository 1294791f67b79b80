"""Originals, their damaged versions, and how a restoration of them is measured.

Sharp images are read in the 8 bits for which the protocols are defined.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcls_cli.data.sources import rgb8
from dcls_cli.errors import ImageError
from dcls_cli.evaluation.reading import Reader, Text, reading_figures
from dcls_cli.evaluation.rows import Row
from dcls_cli.files.atomic import printable
from dcls_cli.image import read
from dcls_cli.image.folders import images_in
from dcls_cli.metrics import SSIM_WIDTH, crop_border, luma, psnr, round_to_8_bit, ssim

#: LR (3, h, w) float32 in [0, 1] -> SR (3, scale h, scale w), which is clamped and rounded here.
Restore = Callable[[np.ndarray], np.ndarray]

#: How files become pixels. Results that were kept under another number are made again: they may
#: be of pictures that were read otherwise.
READING = 2


@dataclass(frozen=True, eq=False)
class TrueKernel:
    """What a benchmark did to an image.

    Attributes:
        taps: (k, k), k odd, sum 1: what the HR pixels around one give to it (correlation).
        reduction: `bicubic`: the antialiased bicubic came after it; `sampled`: every scale-th
            pixel was taken, from the first on, so that the taps are the whole reduction.
    """

    taps: NDArray[np.float64]
    reduction: Literal["bicubic", "sampled"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One HR image and its N degraded versions, in the 8 bits that the protocols round to.

    Attributes:
        image: name of the image.
        scale: up-scaling factor.
        hr: (3, H, W) uint8, sides multiples of `scale`.
        lr: (N, 3, H / scale, W / scale) uint8.
        sigmas: widths of the blurs, HR pixels; NaN where unknown.
        cases: names of what was done.
        kernels: of the blurs, where known.
        files: the LR images as files, where the benchmark makes such.
        has_ssim: whether SSIM is measured too, which takes longer than PSNR.
        text: what is written on it, where that is to be read again.
    """

    image: str
    scale: int
    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]
    sigmas: tuple[float, ...]
    cases: tuple[str, ...]
    kernels: tuple[TrueKernel | None, ...]
    files: tuple[bytes, ...] = ()
    has_ssim: bool = True
    text: Text | None = None

    def file(self, index: int) -> bytes | None:
        """An LR image as a file; None where it is pixels only."""
        return self.files[index] if self.files else None

    def rows(self, restore: Restore, *, with_ssim: bool = True) -> Iterator[Row]:
        """Restore and measure the LR images one by one.

        Raises:
            ImageError: `restore` returned another shape.
        """
        for index, lr in enumerate(self.lr):
            yield self.row(index, restore(as_input(lr)), with_ssim=with_ssim)

    def row(self, index: int, restored: np.ndarray, *, with_ssim: bool = True) -> Row:
        """Measure a restoration of one LR image.

        Args:
            index: of the LR image.
            restored: (3, H, W), clamped and rounded here.
            with_ssim: SSIM costs more than PSNR.

        Raises:
            ImageError: another shape, or a page that cannot be read.
            UsageError: what reads pages is not installed.
        """
        if restored.shape != self.hr.shape:
            raise ImageError(
                f"{self.image}: expected a restored image of shape {self.hr.shape}, "
                f"got {restored.shape}; is the network made for scale {self.scale}?"
            )
        sharp = crop_border(self.hr.astype(np.float64) / 255, self.scale)
        rounded = crop_border(round_to_8_bit(restored), self.scale)
        y, sharp_y = luma(rounded), luma(sharp)
        sigma, measured = self.sigmas[index], with_ssim and self.has_ssim
        read = None
        if self.text is not None:
            page = np.rint(255 * round_to_8_bit(restored)).astype(np.uint8)
            reader = Reader.found((self.text.language,))
            read = reading_figures(reader.read(page, self.text), self.text)
        return Row(
            image=self.image,
            sigma=None if math.isnan(sigma) else sigma,
            psnr_y=psnr(y, sharp_y),
            ssim_y=ssim(y, sharp_y) if measured else None,
            psnr_rgb=psnr(rounded, sharp, peak=1.0),
            ssim_rgb=_ssim_rgb(rounded, sharp) if measured else None,
            case=self.cases[index],
            words_read=None if read is None else read.words_read,
            letters_invented=None if read is None else read.letters_invented,
        )


def as_input(lr: NDArray[np.uint8]) -> NDArray[np.float32]:
    """8-bit levels as networks take them: float32 in [0, 1]."""
    return lr.astype(np.float32) / np.float32(255)


def fitting(image: str, hr: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Crop an image, (3, H, W), to multiples of the scale.

    Raises:
        ImageError: too small to be compared, or not 8-bit RGB.
    """
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
    return np.ascontiguousarray(hr[:, :height, :width])


def _ssim_rgb(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Mean SSIM of the three channels, in 8-bit levels."""
    return float(np.mean([ssim(255 * x, 255 * y) for x, y in zip(a, b, strict=True)]))


def find_hr(folder: Path) -> list[Path]:
    """Images right in a folder, sorted by name.

    Raises:
        ImageError: no such folder, or no image in it.
    """
    return find_images(folder, "HR")


def find_images(folder: Path, kind: str) -> list[Path]:
    """Images right in a folder, sorted by name; `kind` (HR or LR) is for the message.

    Hidden files are left out, as everywhere.

    Raises:
        ImageError: no such folder, it cannot be read, or there is no image in it.
    """
    if not folder.is_dir():
        raise ImageError(
            f"{printable(folder)}: expected a folder of {kind} images, found no folder"
        )
    paths = images_in(folder, recursive=False)
    if not paths:
        raise ImageError(
            f"{printable(folder)}: no {kind} image; files are looked for that are named as "
            "photos are, such as .png, .jpg, .webp or .tif"
        )
    return paths


def read_hr(path: Path) -> NDArray[np.uint8]:
    """Read an image as `dcls upscale` reads it, upright, as (3, H, W) uint8.

    The protocols are those of 8-bit RGB: grey is repeated, more bits are rounded to the nearest
    level (v / 257 of 16 bits), CMYK and Lab become sRGB, of several frames the first is taken.
    Alpha that hides nothing is left out.

    Raises:
        ImageError: missing, damaged, no image, or partly transparent: the figures are of colours,
            and those that nobody sees would count in them.
    """
    photo = read(path)
    if photo.has_alpha and photo.samples[..., -1].min() < photo.white:
        raise ImageError(
            f"{printable(path)}: it is partly transparent, and figures are those of opaque "
            "pictures; put it on a background first"
        )
    return np.ascontiguousarray(rgb8(photo).transpose(2, 0, 1))


def distinct_names(names: Sequence[str]) -> list[str]:
    """File names without their suffixes; with them where two would be the same without."""
    stems = [Path(name).stem for name in names]
    return stems if len(set(stems)) == len(stems) else list(names)


def random_of(benchmark: str, pixels: NDArray[np.uint8], index: int = 0) -> np.random.RandomState:
    """A source that depends on the benchmark's version, the image's pixels and a number alone.

    `RandomState`, because numpy promises that its stream never changes; that of newer generators
    may.

    Args:
        benchmark: name and version.
        pixels: (3, H, W) of the original; neither its name nor its place in the set counts.
        index: of the damage.
    """
    digest = hashlib.sha256(f"{benchmark} {index} {pixels.shape} ".encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return np.random.RandomState(np.frombuffer(digest.digest(), "<u4").astype(np.uint32))
