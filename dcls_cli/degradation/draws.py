"""How often photographs have which damage, and how much: the draws of `PhotoDamage`.

The usual ways to make a picture smaller are drawn as kernels ahead of the antialiased bicubic:
networks learn the HR kernel that it must follow to give the picture they see. Area averaging, the
triangle ("bilinear") and Lanczos are other filters h; on the HR grid each is nearly h_bicubic * r
with a short kernel r, so that a blur k reduced by h is k * r reduced by the bicubic. r is the
least-squares fit over natural pictures, whose power falls as |w|^-2.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dcls_cli.degradation.classical import anisotropic_gaussian_kernel, cubic
from dcls_cli.degradation.jpeg import GRID
from dcls_cli.degradation.photo import LARGEST_FACTOR, UNCOMPRESSED, WHITE, PhotoDamage

Reduction = Literal["bicubic", "area", "triangle", "lanczos"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

#: Frequencies of the fit.
FIT_GRID = 1024
#: Energy of the taps over the error's share of the power. The filters have zeros of different
#: orders; without it r would be large where the bicubic lets nothing through anyway.
RIDGE = 1e-4
#: Weight of the fit at frequency 0, by which r gets the sum 1.
EXACT = 1e3


def as_bicubic(kernel: Tensor, reductions: list[Reduction], scale: int) -> Tensor:
    """The kernels that the bicubic needs in place of others before other reductions.

    Returns:
        (B, 1, n, n), of sum 1, with negative taps; what would exceed n pixels is cropped.
    """
    taps = torch.stack([relative_taps(name, scale) for name in reductions]).to(kernel)
    size, reach = kernel.shape[-1], taps.shape[1] // 2
    # Row i of each matrix convolves: its column j has the tap i - j.
    padded = F.pad(taps, (size, size))
    offset = torch.arange(size, device=kernel.device)
    matrix = padded[:, size + reach + offset[:, None] - offset].unsqueeze(1)
    full = matrix @ kernel @ matrix.mT
    return full / full.sum((-2, -1), keepdim=True)


@lru_cache(maxsize=16)
def relative_taps(reduction: Reduction, scale: int) -> Tensor:
    """The taps of r, (4 scale + 1,) float64, symmetric, of sum 1; an impulse for the bicubic."""
    omega = 2 * np.pi * np.arange(FIT_GRID) / FIT_GRID
    lag = np.arange(2 * scale + 1)
    basis = np.cos(np.outer(omega, lag)) * np.where(lag == 0, 1, 2)
    frequency = np.minimum(omega, 2 * np.pi - omega)
    amplitude = 1 / np.maximum(frequency, frequency[1])
    bicubic, wanted = _response("bicubic", scale, omega), _response(reduction, scale, omega)
    if reduction == "bicubic":
        half = (lag == 0).astype(float)
    else:
        ridge = np.sqrt(RIDGE * np.square(amplitude).sum()) * np.eye(len(lag))
        system = np.vstack((basis * (bicubic * amplitude)[:, None], EXACT * basis[:1], ridge))
        right = np.concatenate((wanted * amplitude, [EXACT], np.zeros(len(lag))))
        half = np.linalg.lstsq(system, right)[0]
    taps = np.concatenate((half[:0:-1], half))
    return torch.from_numpy(taps / taps.sum())


def _response(reduction: Reduction, scale: int, omega: np.ndarray) -> np.ndarray:
    """Frequency response about the position of the LR sample; real, as all are symmetric."""
    # For even scales the LR sample lies between two HR pixels.
    position = np.arange(-4 * scale, 4 * scale + 1) - (scale - 1) / 2 % 1
    weight = _weight(reduction, np.abs(position) / scale)
    return np.asarray(np.cos(np.outer(omega, position)) @ (weight / weight.sum()))


def _weight(reduction: Reduction, distance: np.ndarray) -> np.ndarray:
    """Of an HR pixel at a distance >= 0 from the LR sample, in LR pixels."""
    if reduction == "area":
        return (distance < 0.5).astype(float)
    if reduction == "triangle":
        return np.asarray(np.clip(1 - distance, 0, None))
    if reduction == "lanczos":
        return np.where(distance < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    return cubic(distance)


#: Of all that is drawn here and done in `photo`: a run goes on only with the damage that it
#: began with.
VERSION = 3

#: Not blurred at all: computer graphics, and photos that have been made smaller before.
UNBLURRED_SHARE = 0.06
ISOTROPIC_SHARE = 0.4
#: Narrow over wide axis of an anisotropic blur.
SMALLEST_ASPECT = 0.25
REDUCTION_SHARES: Mapping[Reduction, float] = {
    "bicubic": 0.55,
    "area": 0.15,
    "triangle": 0.15,
    "lanczos": 0.15,
}
SHARPENED_SHARE = 0.4
STRONGEST_SHARPENING = 1.2
NOISY_SHARE = 0.8
#: Standard deviation of the strongest noise at mid grey, 8-bit levels; weak noise is likelier.
STRONGEST_NOISE = 14.0
#: Noise that was there before the sharpening and is sharpened too.
NOISE_FIRST_SHARE = 0.5
GRAINED_SHARE = 0.4
#: Standard deviations of grain, LR pixels: as wide as two to three pixels at half its height.
GRAIN = (0.7, 1.3)
#: What a denoiser that leaves grain leaves of the noise.
GRAIN_STRENGTH = 0.75
BLOTCHED_SHARE = 0.2
#: Standard deviation of the strongest blotches in Cb and Cr, 8-bit levels; weak ones are likelier.
STRONGEST_BLOTCHES = 8.0
BLOTCH = (1.0, 3.0)
JPEG_SHARE = 0.8
SUBSAMPLED_SHARE = 0.6
QUALITY = (60.0, 100.0)
#: Compressed at another size before.
TWICE_SHARE = 0.15
FIRST_QUALITY = (50.0, 95.0)
#: Width at which a picture was compressed first, over its width now.
FIRST_FACTOR = (0.75, LARGEST_FACTOR)


def draw_damage(
    count: int,
    lr_size: tuple[int, int],
    kernel_size: int,
    sigma: tuple[float, float],
    scale: int,
    *,
    random: torch.Generator,
) -> PhotoDamage:
    """Draw the damage of `count` photos, on the CPU, so that any device gets the same."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=random)

    def chosen(share: float) -> Tensor:
        return torch.rand(count, generator=random) < share

    def weak_first(strongest: float) -> Tensor:
        return strongest / 255 * torch.rand(count, generator=random).square()

    def normal(channels: int) -> Tensor:
        return torch.randn(count, channels, *lr_size, generator=random)

    grain = torch.where(chosen(GRAINED_SHARE), uniform(*GRAIN), WHITE)
    loss = torch.where(grain > WHITE, GRAIN_STRENGTH, 1.0)
    blur, kernel = _kernels(count, kernel_size, sigma, scale, random)
    return PhotoDamage(
        blur=blur,
        kernel=kernel,
        sharpening=uniform(0, STRONGEST_SHARPENING) * chosen(SHARPENED_SHARE),
        noise=loss * weak_first(STRONGEST_NOISE) * chosen(NOISY_SHARE),
        noise_first=chosen(NOISE_FIRST_SHARE),
        shot=uniform(0, 1),
        grey=uniform(0, 1),
        grain=grain,
        blotches=weak_first(STRONGEST_BLOTCHES) * chosen(BLOTCHED_SHARE),
        blotch=uniform(*BLOTCH),
        colour_pattern=normal(3),
        grey_pattern=normal(1),
        blotch_pattern=normal(2),
        first_quality=torch.where(chosen(TWICE_SHARE), uniform(*FIRST_QUALITY), UNCOMPRESSED),
        first_factor=uniform(*FIRST_FACTOR),
        first_start=GRID * torch.rand(count, 2, generator=random),
        quality=torch.where(chosen(JPEG_SHARE), uniform(*QUALITY), UNCOMPRESSED),
        subsampled=chosen(SUBSAMPLED_SHARE),
        grid=torch.randint(GRID, (count, 2), generator=random),
    )


def _kernels(
    count: int, size: int, sigma: tuple[float, float], scale: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw blurs, and the same with reductions: (B, 1, size, size), for the antialiased bicubic."""
    draws = torch.rand(6, count, generator=random)
    wide = sigma[0] + (sigma[1] - sigma[0]) * draws[0]
    aspect = SMALLEST_ASPECT + (1 - SMALLEST_ASPECT) * draws[1]
    aspect = torch.where(draws[2] < ISOTROPIC_SHARE, 1.0, aspect)
    narrow = (wide * aspect).clamp(min=sigma[0])
    blur = anisotropic_gaussian_kernel(wide, narrow, math.pi * draws[3], size)
    impulse = torch.zeros(size, size)
    impulse[size // 2, size // 2] = 1
    blur = torch.where((draws[4] < UNBLURRED_SHARE)[:, None, None, None], impulse, blur)
    names = list(REDUCTION_SHARES)
    upper = torch.tensor(list(REDUCTION_SHARES.values())).cumsum(0)[:-1]
    chosen = [names[index] for index in torch.searchsorted(upper, draws[5]).tolist()]
    return blur, as_bicubic(blur, chosen, scale)
