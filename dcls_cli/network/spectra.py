"""Spectra of the antialiased bicubic and of natural images, and what follows from them: numpy only.

An LR frequency W is the sum of the scale^2 HR frequencies w_m that alias onto it.
"""

import math
from functools import lru_cache

import numpy as np

LR_KERNEL_GRID = 64


@lru_cache(maxsize=16)
def bicubic_response(scale: int, grid: int) -> np.ndarray:
    """Frequency response of the antialiased bicubic (a = -0.5) on `grid` HR frequencies: (grid,).

    Real, because the response is taken about the position of the LR sample, which lies half a
    pixel off the HR grid for even scales.
    """
    offset = (scale - 1) / 2
    position = np.arange(-4 * scale, 4 * scale + 1) - (offset - math.floor(offset))
    t = np.abs(position) / scale
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    weight = np.where(t <= 1, near, np.where(t <= 2, far, 0.0))
    weight /= weight.sum()
    omega = 2 * np.pi * np.fft.fftfreq(grid)
    return np.asarray(np.cos(np.outer(omega, position)) @ weight)


@lru_cache(maxsize=16)
def power_spectrum(grid: int, exponent: float) -> np.ndarray:
    """|w|^-exponent on a (grid, grid) DFT; at zero, twice the value of the lowest frequency."""
    omega = 2 * np.pi * np.fft.fftfreq(grid)
    radius = np.hypot(omega[:, None], omega[None])
    radius[0, 0] = 2 ** (-1 / exponent) * 2 * np.pi / grid
    return np.asarray(radius**-exponent)


def fold(spectrum: np.ndarray, scale: int) -> np.ndarray:
    """Sum the scale^2 aliases of each LR frequency: (s n, s n) -> (n, n)."""
    n = spectrum.shape[0] // scale
    return np.asarray(spectrum.reshape(scale, n, scale, n).sum((0, 2)))


@lru_cache(maxsize=16)
def reformulation_matrix(scale: int, hr_size: int, lr_size: int) -> np.ndarray:
    """The linear map of an HR kernel into the LR kernel, (lr_size^2, hr_size^2).

    K(W) = sum_m |D(w_m)|^2 H(w_m) S(w_m) / sum_m |D(w_m)|^2 S(w_m) over the aliases w_m of W is a
    filter A = |D|^2 S / sum |D|^2 S on the HR grid, sampled every `scale` pixels.
    """
    grid = LR_KERNEL_GRID * scale
    response = bicubic_response(scale, grid)
    weight = np.outer(response, response) ** 2 * power_spectrum(grid, 2.0)
    weight /= np.tile(fold(weight, scale), (scale, scale))
    filter_a = np.fft.ifft2(weight).real * scale**2
    lr_tap = scale * (np.arange(lr_size) - lr_size // 2)
    hr_tap = np.arange(hr_size) - hr_size // 2
    offset = (lr_tap[:, None] - hr_tap[None]) % grid
    matrix = filter_a[offset[:, None, :, None], offset[None, :, None, :]]
    return np.asarray(matrix.reshape(lr_size**2, hr_size**2))
