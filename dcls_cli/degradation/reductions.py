"""The usual ways to make a picture smaller, each as a kernel ahead of the antialiased bicubic.

Networks learn the HR kernel that the antialiased bicubic must follow to give the picture they
see. Area averaging, the triangle ("bilinear") and Lanczos are other filters h; on the HR grid each
is nearly h_bicubic * r with a short kernel r, so that a blur k reduced by h is k * r reduced by the
bicubic. r is the least-squares fit over natural pictures, whose power falls as |w|^-2.
"""

from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dcls_cli.degradation.gaussian import cubic

Reduction = Literal["bicubic", "area", "triangle", "lanczos"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

#: Frequencies of the fit.
GRID = 1024
#: Energy of the taps over the error's share of the power. The filters have zeros of different
#: orders; without it r would be large where the bicubic lets nothing through anyway.
RIDGE = 1e-4
#: Weight of the fit at frequency 0, by which r gets the sum 1.
EXACT = 1e3


def as_bicubic(kernel: Tensor, reductions: list[Reduction], scale: int) -> Tensor:
    """The kernels that the bicubic needs in place of others before other reductions.

    Args:
        kernel: (B, 1, n, n), of sum 1.
        reductions: B names.
        scale: of the reduction.

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
    omega = 2 * np.pi * np.arange(GRID) / GRID
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
