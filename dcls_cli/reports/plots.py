"""Kernels, spectra and maps of differences as grey pictures."""

import numpy as np

from dcls_cli.config import KernelSpace
from dcls_cli.kernels import log_spectrum
from dcls_cli.reports.pictures import Picture, encode, enlarge, to_levels

#: Pictures are enlarged by a whole number to about this side.
SIDE_PX = 256

#: What is black in a spectrum.
DARKEST_DB = -60.0

_FREQUENCIES = 128

_MARK = np.array([255, 140, 0], np.uint8)


def kernel_picture(kernel: np.ndarray) -> Picture:
    """Taps from black, zero or less, to white, the largest: (k, k)."""
    levels = to_levels(kernel / max(float(kernel.max()), 1e-12))
    return encode(enlarge(levels, max(SIDE_PX // len(kernel), 1)))


def spectrum_picture(kernel: np.ndarray, space: KernelSpace, scale: int) -> Picture:
    """Log magnitude of a kernel's transfer function, `DARKEST_DB` to 0 dB, zero in the middle.

    For a kernel in HR pixels a square marks the frequencies that LR pixels can carry.
    """
    decibels = log_spectrum(kernel, _FREQUENCIES)
    factor = SIDE_PX // _FREQUENCIES
    levels = enlarge(to_levels(1 - decibels / DARKEST_DB), factor)
    colours = np.repeat(levels[..., None], 3, axis=2)
    if space == "hr":
        half = round(SIDE_PX / scale / 2)
        first, last = SIDE_PX // 2 - half, SIDE_PX // 2 + half - 1
        for edge in (first, last):
            colours[edge, first : last + 1] = _MARK
            colours[first : last + 1, edge] = _MARK
    return encode(colours)


def white_of(residual: np.ndarray) -> float:
    """Difference that is white in a map (H, W): all but one in 200 pixels are below it.

    At least one 8-bit level, so that rounding does not look like something.
    """
    return max(float(np.quantile(residual, 0.995)), 1 / 255)


def residual_picture(residual: np.ndarray) -> Picture:
    """Differences from black, none, to white, `white_of` and above: (H, W)."""
    levels = to_levels(residual / white_of(residual))
    return encode(enlarge(levels, max(2 * SIDE_PX // max(levels.shape), 1)))
