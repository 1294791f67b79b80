"""The damage of ordinary photographs: blur of any direction, sharpening, sensor noise, JPEG.

Every number is drawn from a generator on the CPU, so that a step's batch is the same on any
device; the work is done on the device of the images.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from dcls_cli.degradation.gaussian import anisotropic_gaussian_kernel, bicubic, blur, quantise
from dcls_cli.degradation.jpeg import jpeg

ISOTROPIC_SHARE = 0.4
#: Narrow over wide axis of an anisotropic blur.
SMALLEST_ASPECT = 0.25
SHARPENED_SHARE = 0.25
STRONGEST_SHARPENING = 0.8
NOISY_SHARE = 0.8
#: Standard deviation of the strongest noise at mid grey, 8-bit levels; weak noise is likelier.
STRONGEST_NOISE = 14.0
JPEG_SHARE = 0.8
QUALITY = (60.0, 100.0)
JPEG_GRID = 16


class Damaged(NamedTuple):
    """lr (B, 3, h, w) of 8 bits; kernel (B, 1, k, k) in HR pixels; noise (B,).

    noise: power of everything but the blur over the variance of the blurred image.
    """

    lr: Tensor
    kernel: Tensor
    noise: Tensor


def damage(
    hr: Tensor, scale: int, kernel_size: int, sigma: tuple[float, float], random: torch.Generator
) -> Damaged:
    """Make LR photographs of HR images.

    Args:
        hr: (B, 3, H, W) in [0, 1], sides multiples of `scale`.
        scale: reduction.
        kernel_size: taps of the blur kernel.
        sigma: range of the blur's wide axis, HR pixels.
        random: on the CPU.
    """
    batch = hr.shape[0]
    kernel = _kernels(batch, kernel_size, sigma, random).to(hr.device)
    blurred = bicubic(blur(hr, kernel), 1 / scale)
    lr = _sharpened(blurred, random)
    lr = quantise(_noisy(lr, random))
    lr = _compressed(lr, random)
    power = (lr - blurred).square().mean((1, 2, 3))
    noise = power / blurred.var((1, 2, 3)).clamp(min=1e-4)
    return Damaged(lr, kernel, noise.clamp(1e-6, 1))


def _uniform(count: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=random)


def _chosen(count: int, share: float, random: torch.Generator) -> Tensor:
    return torch.rand(count, generator=random) < share


def _kernels(count: int, size: int, sigma: tuple[float, float], random: torch.Generator) -> Tensor:
    wide = _uniform(count, *sigma, random)
    aspect = _uniform(count, SMALLEST_ASPECT, 1.0, random)
    aspect = torch.where(_chosen(count, ISOTROPIC_SHARE, random), 1.0, aspect)
    narrow = (wide * aspect).clamp(min=sigma[0])
    angle = _uniform(count, 0.0, math.pi, random)
    return anisotropic_gaussian_kernel(wide, narrow, angle, size)


def _sharpened(image: Tensor, random: torch.Generator) -> Tensor:
    """Unsharp mask of a 3x3 binomial, as cameras and web sites apply it."""
    count = image.shape[0]
    amount = _uniform(count, 0.0, STRONGEST_SHARPENING, random)
    amount = amount * _chosen(count, SHARPENED_SHARE, random)
    return image + amount.to(image.device)[:, None, None, None] * (image - _binomial(image))


def _binomial(image: Tensor) -> Tensor:
    """The 3x3 binomial (1 2 1)/4 in both directions, borders replicated."""
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=image.dtype, device=image.device)
    kernel = torch.outer(taps, taps).expand(image.shape[1], 1, 3, 3)
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel, groups=image.shape[1])


def _noisy(image: Tensor, random: torch.Generator) -> Tensor:
    """Shot and read noise; half of it smoothed as a camera's denoiser would, part of it grey."""
    count = image.shape[0]
    level = STRONGEST_NOISE / 255 * torch.rand(count, generator=random).square()
    level = level * _chosen(count, NOISY_SHARE, random)
    shot = torch.rand(count, generator=random)
    grey = torch.rand(count, generator=random)
    smooth = _chosen(count, 0.5, random)
    colour_noise = torch.randn(image.shape, generator=random)
    grey_noise = torch.randn((count, 1, *image.shape[2:]), generator=random)

    def per_image(values: Tensor) -> Tensor:
        return values.to(image.device)[:, None, None, None]

    noise = per_image((1 - grey).sqrt()) * colour_noise.to(image.device)
    noise = noise + per_image(grey.sqrt()) * grey_noise.to(image.device)
    noise = torch.where(per_image(smooth), _binomial(noise) * 2, noise)
    # The variance of shot noise grows with the light: 1 at mid grey.
    variance = 1 - per_image(shot) + per_image(shot) * 2 * image.clamp(0, 1)
    return image + per_image(level) * variance.sqrt() * noise


def _compressed(image: Tensor, random: torch.Generator) -> Tensor:
    """JPEG whose block grid starts anywhere."""
    count, _, height, width = image.shape
    quality = _uniform(count, *QUALITY, random)
    subsample = _chosen(count, 0.6, random)
    coded = _chosen(count, JPEG_SHARE, random)
    top, left = torch.randint(JPEG_GRID, (2,), generator=random).tolist()
    bottom, right = -(height + top) % JPEG_GRID, -(width + left) % JPEG_GRID
    padded = F.pad(image, (left, right, top, bottom), mode="replicate")
    decoded = jpeg(padded, quality.to(image.device), subsample.to(image.device))
    decoded = decoded[..., top : top + height, left : left + width]
    return torch.where(coded.to(image.device)[:, None, None, None], decoded, image)
