"""The damage of ordinary photographs: blur of any direction, sharpening, sensor noise, JPEG."""

import math
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from dcls_cli.degradation.gaussian import anisotropic_gaussian_kernel, quantise
from dcls_cli.degradation.jpeg import jpeg
from dcls_cli.degradation.separable import degrade

ISOTROPIC_SHARE = 0.4
#: Narrow over wide axis of an anisotropic blur.
SMALLEST_ASPECT = 0.25
SHARPENED_SHARE = 0.25
STRONGEST_SHARPENING = 0.8
NOISY_SHARE = 0.8
#: Standard deviation of the strongest noise at mid grey, 8-bit levels; weak noise is likelier.
STRONGEST_NOISE = 14.0
SMOOTHED_SHARE = 0.5
JPEG_SHARE = 0.8
SUBSAMPLED_SHARE = 0.6
QUALITY = (60.0, 100.0)
JPEG_GRID = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoDamage:
    """What happens to each of B photos; every field is (B, ...).

    Attributes:
        kernel: (B, 1, k, k), HR pixels.
        sharpening: amount of the unsharp mask; 0: none.
        noise: standard deviation at mid grey, in units of the full range.
        shot: share of the noise's variance that grows with the light.
        grey: share of the noise's variance that is the same in all channels.
        smoothed: whether a camera's denoiser has smoothed the noise.
        colour_pattern: (B, 3, h, w) standard normal.
        grey_pattern: (B, 1, h, w) standard normal.
        quality: of JPEG; above 100: not compressed.
        subsampled: whether JPEG halves the chroma.
        grid: (B, 2) where JPEG's blocks start, pixels, 0 to 15.
    """

    kernel: Tensor
    sharpening: Tensor
    noise: Tensor
    shot: Tensor
    grey: Tensor
    smoothed: Tensor
    colour_pattern: Tensor
    grey_pattern: Tensor
    quality: Tensor
    subsampled: Tensor
    grid: Tensor

    @classmethod
    def draw(
        cls,
        count: int,
        lr_size: tuple[int, int],
        kernel_size: int,
        sigma: tuple[float, float],
        random: torch.Generator,
    ) -> Self:
        """Draw the damage of `count` photos, on the CPU, so that any device gets the same.

        Args:
            count: B.
            lr_size: height and width of the LR images.
            kernel_size: taps of the blur.
            sigma: range of the blur's wide axis, HR pixels.
            random: on the CPU.
        """

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, generator=random)

        def chosen(share: float) -> Tensor:
            return torch.rand(count, generator=random) < share

        wide = uniform(*sigma)
        aspect = torch.where(chosen(ISOTROPIC_SHARE), 1.0, uniform(SMALLEST_ASPECT, 1.0))
        narrow = (wide * aspect).clamp(min=sigma[0])
        weak_first = torch.rand(count, generator=random).square()
        return cls(
            kernel=anisotropic_gaussian_kernel(wide, narrow, uniform(0, math.pi), kernel_size),
            sharpening=uniform(0, STRONGEST_SHARPENING) * chosen(SHARPENED_SHARE),
            noise=STRONGEST_NOISE / 255 * weak_first * chosen(NOISY_SHARE),
            shot=uniform(0, 1),
            grey=uniform(0, 1),
            smoothed=chosen(SMOOTHED_SHARE),
            colour_pattern=torch.randn(count, 3, *lr_size, generator=random),
            grey_pattern=torch.randn(count, 1, *lr_size, generator=random),
            quality=torch.where(chosen(JPEG_SHARE), uniform(*QUALITY), 101.0),
            subsampled=chosen(SUBSAMPLED_SHARE),
            grid=torch.randint(JPEG_GRID, (count, 2), generator=random),
        )

    def part(self, which: slice, device: torch.device) -> Self:
        """Some of the photos, on a device."""
        parts = {field.name: getattr(self, field.name)[which] for field in fields(self)}
        return type(self)(
            **{name: part.to(device, non_blocking=True) for name, part in parts.items()}
        )


class Damaged(NamedTuple):
    """lr (B, 3, h, w) of 8 bits; noise (B,).

    noise: power of everything but the blur over the variance of the blurred image.
    """

    lr: Tensor
    noise: Tensor


def damage_photo(hr: Tensor, damage: PhotoDamage, scale: int) -> Damaged:
    """Blur, reduce, sharpen, add noise, round and compress.

    Args:
        hr: (B, 3, H, W) in [0, 1], sides multiples of `scale`.
        damage: for B photos of that size, on the same device.
        scale: reduction.
    """
    blurred = degrade(hr, damage.kernel, scale)
    lr = blurred + _each(damage.sharpening) * (blurred - _binomial(blurred))
    lr = quantise(_noisy(lr, damage))
    lr = _compressed(lr, damage)
    power = (lr - blurred).square().mean((1, 2, 3))
    noise = power / blurred.var((1, 2, 3)).clamp(min=1e-4)
    return Damaged(lr, noise.clamp(1e-6, 1))


def _each(values: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return values[:, None, None, None]


def _binomial(image: Tensor) -> Tensor:
    """The 3x3 binomial (1 2 1) / 4 in both directions, borders replicated."""
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=image.dtype, device=image.device)
    kernel = torch.outer(taps, taps).expand(image.shape[1], 1, 3, 3)
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel, groups=image.shape[1])


def _noisy(image: Tensor, damage: PhotoDamage) -> Tensor:
    """Shot and read noise, grey and coloured."""
    pattern = _each((1 - damage.grey).sqrt()) * damage.colour_pattern
    pattern = pattern + _each(damage.grey.sqrt()) * damage.grey_pattern
    # Smoothing takes 86 % of the variance; a gain of 2 leaves grain of about half the strength.
    pattern = torch.where(_each(damage.smoothed), 2 * _binomial(pattern), pattern)
    shot = _each(damage.shot)
    variance = 1 - shot + shot * 2 * image.clamp(0, 1)
    return image + _each(damage.noise) * variance.sqrt() * pattern


def _compressed(image: Tensor, damage: PhotoDamage) -> Tensor:
    """JPEG whose blocks start anywhere: the image is shifted within a larger canvas."""
    height, width = image.shape[-2:]
    canvas = [-(-(side + JPEG_GRID) // JPEG_GRID) * JPEG_GRID for side in (height, width)]
    rows, columns = (
        torch.arange(side, device=image.device)[None] - damage.grid[:, axis, None]
        for axis, side in enumerate(canvas)
    )
    index = torch.arange(image.shape[0], device=image.device)[:, None, None]
    rows = rows.clamp(0, height - 1)[:, :, None]
    columns = columns.clamp(0, width - 1)[:, None, :]
    shifted = image.permute(0, 2, 3, 1)[index, rows, columns].permute(0, 3, 1, 2)
    decoded = jpeg(shifted.contiguous(), damage.quality.clamp(max=100), damage.subsampled)
    rows = torch.arange(height, device=image.device)[None] + damage.grid[:, 0, None]
    columns = torch.arange(width, device=image.device)[None] + damage.grid[:, 1, None]
    back = decoded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return torch.where(_each(damage.quality <= 100), back.permute(0, 3, 1, 2), image)
