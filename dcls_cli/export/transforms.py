"""Discrete Fourier transforms without complex numbers, which ONNX lacks.

Two forms of the same transforms: as DFT operators, which the ONNX standard has and few providers
run, or as products with the matrices of the transform, which every provider runs. Spectra are
pairs (real, imaginary) of the half (..., H, W // 2 + 1) that determines a real signal's.
"""

import math
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from dcls_cli.network.fourier import ENERGY_FLOOR

Spectrum = tuple[Tensor, Tensor]


class Transform(Protocol):
    """A two-dimensional DFT of real signals, and its inverse."""

    def forward(self, signal: Tensor) -> Spectrum:
        """(..., H, W) real -> half-spectrum (..., H, W // 2 + 1), twice."""
        ...

    def inverse(self, spectrum: Spectrum, width: int) -> Tensor:
        """Half-spectrum (..., H, W // 2 + 1), twice -> (..., H, W) real; `width` is W."""
        ...


def waves(frequencies: Tensor, positions: Tensor, size: int) -> Spectrum:
    """Cos and sin of 2 pi f t / size: (F, T) each.

    Args:
        frequencies: (F,) whole numbers.
        positions: (T,) whole numbers, negative ones too.
        size: of the DFT.
    """
    # The product is reduced as a whole number: in fp32 a phase of many turns has no digits left.
    period = torch.full((1, 1), size)
    turns = torch.remainder(frequencies[:, None] * positions[None], period)
    phase = turns.float() * (2 * math.pi / period.float())
    return phase.cos(), phase.sin()


def _half(width: int) -> tuple[Tensor, Tensor]:
    """Frequencies of a half-spectrum, and how often each counts in the whole one."""
    frequencies = torch.arange(width // 2 + 1)
    alone = (frequencies == 0) | (2 * frequencies == width)
    return frequencies, torch.where(alone, 1.0, 2.0)


class OperatorTransform:
    """By `torch.fft`, which is exported as DFT operators."""

    def forward(self, signal: Tensor) -> Spectrum:
        """Rows, then columns; see `Transform`."""
        half = torch.fft.rfft(signal, dim=-1)
        parts = torch.view_as_real(torch.fft.fft(half, dim=-2))
        return parts[..., 0], parts[..., 1]

    def inverse(self, spectrum: Spectrum, width: int) -> Tensor:
        """Columns, then rows; see `Transform`.

        ONNX has no inverse of a half-spectrum. The real part of the inverse of the half, with the
        frequencies that have a mirror image counted twice, is the same.
        """
        parts = torch.complex(*spectrum)
        columns = torch.view_as_real(torch.fft.ifft(parts, dim=-2))
        _, counts = _half(width)
        missing = width - (width // 2 + 1)
        whole = F.pad(columns * counts[:, None], (0, 0, 0, missing))
        rows = torch.view_as_real(torch.fft.ifft(torch.view_as_complex(whole), dim=-1))
        return rows[..., 0]


def _turned(cosine: Tensor, sine: Tensor, signal: Spectrum) -> Spectrum:
    """(cosine - i sine) @ signal, three products of real matrices in place of four (Gauss)."""
    re, im = signal
    both = cosine @ (re + im)
    return both - (cosine - sine) @ im, both - (cosine + sine) @ re


class MatrixTransform:
    """By products with matrices of cosines and sines; 2.5 N^3 multiplications for (N, N)."""

    def forward(self, signal: Tensor) -> Spectrum:
        """Rows, then columns; see `Transform`."""
        height, width = signal.shape[-2:]
        columns = torch.arange(width)
        cosine, sine = waves(columns, _half(width)[0], width)
        half = signal @ cosine, signal @ -sine
        rows = torch.arange(height)
        return _turned(*waves(rows, rows, height), half)

    def inverse(self, spectrum: Spectrum, width: int) -> Tensor:
        """Columns, then rows; see `Transform`."""
        height = spectrum[0].shape[-2]
        rows = torch.arange(height)
        cosine, sine = waves(rows, rows, height)
        re, im = _turned(cosine, -sine, spectrum)
        frequencies, counts = _half(width)
        cosine, sine = waves(frequencies, torch.arange(width), width)
        share = counts[:, None] / (height * width)
        return re @ (cosine * share) - im @ (sine * share)


def transfer_function(kernel: Tensor, height: int, width: int) -> Spectrum:
    """`network.fourier.transfer_function` in real numbers.

    Args:
        kernel: (..., k, k) real, k odd, centred at tap k // 2.
        height: rows of the grid.
        width: columns of the grid.

    Returns:
        Real and imaginary part, (..., height, width // 2 + 1) each.
    """
    taps_y, taps_x = (torch.arange(size) - size // 2 for size in kernel.shape[-2:])
    cosine, sine = waves(taps_x, torch.arange(width // 2 + 1), width)
    re, im = kernel @ cosine, kernel @ -sine
    cosine, sine = waves(torch.arange(height), taps_y, height)
    return cosine @ re + sine @ im, cosine @ im - sine @ re


def constrained_least_squares(
    blurred: Tensor, kernel: Tensor, smoothing: Tensor, epsilon: float, transform: Transform
) -> Tensor:
    """`network.fourier.constrained_least_squares` (Eq. 14) in real numbers.

    Args:
        blurred: y, (B, C, H, W).
        kernel: k, (B or 1, 1, k, k).
        smoothing: p, (B or 1, C, 3, 3).
        epsilon: added to the denominator; at least ENERGY_FLOOR is.
        transform: how spectra are made.
    """
    height, width = blurred.shape[-2:]
    k_re, k_im = transfer_function(kernel, height, width)
    p_re, p_im = transfer_function(smoothing, height, width)
    y_re, y_im = transform.forward(blurred)
    energy = k_re.square() + k_im.square() + p_re.square() + p_im.square()
    inverse = 1 / (energy + max(epsilon, ENERGY_FLOOR))
    clear = (y_re * k_re + y_im * k_im) * inverse, (y_im * k_re - y_re * k_im) * inverse
    return transform.inverse(clear, width)
