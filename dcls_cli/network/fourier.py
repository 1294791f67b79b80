"""Discrete Fourier transforms of kernels, and constrained least squares (Eq. 14).

Conventions: a kernel (B, C, k, k) with odd k is centred at tap k // 2; its optical transfer
function (OTF) is the half-spectrum (B, C, H, W // 2 + 1) of a real 2-D DFT whose origin is that
centre, so the OTF of the unit impulse is one everywhere.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

#: Sums of a kernel that are closer to zero cannot be divided by.
SUM_FLOOR = 1e-6

#: Added to |K|^2 + |P|^2 where nothing else is: about the rounding error of a square in fp32.
ENERGY_FLOOR = 1e-15


def _exponentials(taps: int, size: int, frequencies: int, device: torch.device) -> Tensor:
    """exp(-2 pi i f t / size) for `frequencies` f and centred taps t: (frequencies, taps).

    They are kept for the next call, but not by a CUDA graph, which would read their memory when
    they are there no longer: it computes its own.
    """
    capturing = device.type == "cuda" and torch.cuda.is_current_stream_capturing()
    compute = _computed_exponentials if capturing else _kept_exponentials
    return compute(taps, size, frequencies, device)


def _computed_exponentials(taps: int, size: int, frequencies: int, device: torch.device) -> Tensor:
    f = torch.arange(frequencies, dtype=torch.float64, device=device)
    t = torch.arange(taps, dtype=torch.float64, device=device) - taps // 2
    phase = torch.remainder(torch.outer(f, t), size) * (-2 * math.pi / size)
    return torch.polar(torch.ones_like(phase), phase)


_kept_exponentials = lru_cache(maxsize=64)(_computed_exponentials)


def unit_sum(kernel: Tensor) -> Tensor:
    """Divide kernels (..., k, k), k odd, by their sum.

    Where that is near zero, the centre makes up for the rest.
    """
    total = kernel.sum((-2, -1), keepdim=True)
    small = total.abs() < SUM_FLOOR
    # Of two numbers, `where` makes a tensor of the default type, which callers may change.
    floor = torch.where(total < 0, -SUM_FLOOR, SUM_FLOOR).to(total.dtype)
    divisor = torch.where(small, floor, total)
    missing = torch.where(small, 1 - total / divisor, 0.0)
    return kernel / divisor + F.pad(missing, (kernel.shape[-1] // 2,) * 4)


def transfer_function(kernel: Tensor, height: int, width: int) -> Tensor:
    """Half-spectrum (..., height, width // 2 + 1) of a kernel (..., k, k), k odd, on a grid.

    Two small matrix products; taps beyond the grid wrap around. A kernel has few taps, so this
    takes less work than padding it to the grid and running an FFT.
    """
    taps_y, taps_x = kernel.shape[-2:]
    dtype = torch.complex128 if kernel.dtype == torch.float64 else torch.complex64
    rows = _exponentials(taps_y, height, height, kernel.device).to(dtype)
    columns = _exponentials(taps_x, width, width // 2 + 1, kernel.device).to(dtype)
    return rows @ (kernel.to(dtype) @ columns.T)


def full_transfer_function(kernel: Tensor, size: int) -> Tensor:
    """The whole spectrum (..., size, size) of a kernel (..., k, k); see `transfer_function`."""
    dtype = torch.complex128 if kernel.dtype == torch.float64 else torch.complex64
    matrix = _exponentials(kernel.shape[-1], size, size, kernel.device).to(dtype)
    return matrix @ (kernel.to(dtype) @ matrix.T)


def constrained_least_squares(
    blurred: Tensor, kernel: Tensor, smoothing: Tensor, epsilon: float = 0.0
) -> Tensor:
    """Invert a blur where it can be inverted, and smooth where it cannot (Eq. 14).

    X = conj(K) Y / (|K|^2 + |P|^2 + epsilon), all channels in one real FFT. Borders are circular:
    pad `blurred` first.

    Args:
        blurred: y, (B, C, H, W).
        kernel: k, (B, 1, k, k), sum 1, convolved with the clear signal.
        smoothing: p, (B, C, 3, 3), the high-pass filter whose energy is penalised.
        epsilon: added to the denominator; at least ENERGY_FLOOR is.

    Returns:
        (B, C, H, W), an estimate of the clear signal.
    """
    height, width = blurred.shape[-2:]
    kernel_f = transfer_function(kernel, height, width)
    smoothing_f = transfer_function(smoothing, height, width)
    floor = max(epsilon, ENERGY_FLOOR)
    denominator = _energy(kernel_f) + _energy(smoothing_f) + floor
    clear_f = torch.fft.rfft2(blurred) * kernel_f.conj() / denominator
    clear: Tensor = torch.fft.irfft2(clear_f, s=(height, width))
    return clear


def _energy(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()
