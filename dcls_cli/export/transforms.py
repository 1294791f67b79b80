"""Fourier transforms and the linear super-resolver without complex numbers, which ONNX lacks.

Two forms of the same transforms: as DFT operators, which the ONNX standard has and few providers
run, or as products with the matrices of the transform, which every provider runs. Spectra are
pairs (real, imaginary) of the half (..., H, W // 2 + 1) that determines a real signal's.
"""

import math
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812  # noqa: N812
from torch import Tensor, nn

from dcls_cli.network.fourier import ENERGY_FLOOR, unit_sum
from dcls_cli.network.reformulation import SUPER_RESOLVER_GRID, LinearSuperResolver

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
    """Cos and sin of 2 pi f t / size for whole numbers f (F,) and t (T,): (F, T) each."""
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
    """`network.fourier.transfer_function` in real numbers: (..., k, k) -> two parts of the half."""
    taps_y, taps_x = (torch.arange(size) - size // 2 for size in kernel.shape[-2:])
    cosine, sine = waves(taps_x, torch.arange(width // 2 + 1), width)
    re, im = kernel @ cosine, kernel @ -sine
    cosine, sine = waves(torch.arange(height), taps_y, height)
    return cosine @ re + sine @ im, cosine @ im - sine @ re


def constrained_least_squares(
    blurred: Tensor, kernel: Tensor, smoothing: Tensor, epsilon: float, transform: Transform
) -> Tensor:
    """`network.fourier.constrained_least_squares` (Eq. 14) in real numbers."""
    height, width = blurred.shape[-2:]
    k_re, k_im = transfer_function(kernel, height, width)
    p_re, p_im = transfer_function(smoothing, height, width)
    y_re, y_im = transform.forward(blurred)
    energy = k_re.square() + k_im.square() + p_re.square() + p_im.square()
    inverse = 1 / (energy + max(epsilon, ENERGY_FLOOR))
    clear = (y_re * k_re + y_im * k_im) * inverse, (y_im * k_re - y_re * k_im) * inverse
    return transform.inverse(clear, width)


class RealLinearSuperResolver(nn.Module):
    """`network.reformulation.LinearSuperResolver` in real numbers.

    Of the inverse DFT only the taps that are kept are computed.
    """

    def __init__(self, linear: LinearSuperResolver, kernel_size: int) -> None:
        """Take over the spectra of the network's own module; `kernel_size` is k."""
        super().__init__()
        self.scale, self.taps, self.grid = linear.scale, linear.taps, linear.grid
        frequencies = torch.arange(self.grid)
        cosine, sine = waves(frequencies, torch.arange(kernel_size) - kernel_size // 2, self.grid)
        self.register_buffer("kernel_cos", cosine)
        self.register_buffer("kernel_sin", sine)
        cosine, sine = waves(linear.offset.flatten(), frequencies, self.grid)
        self.register_buffer("tap_cos", cosine / self.grid)
        self.register_buffer("tap_sin", sine / self.grid)
        self.register_buffer("down_re", linear.down.real.clone())
        self.register_buffer("down_im", linear.down.imag.clone())
        self.register_buffer("spectrum", linear.spectrum.clone())
        self.register_buffer("window", linear.window.clone())
        self.kernel_cos: Tensor
        self.kernel_sin: Tensor
        self.tap_cos: Tensor
        self.tap_sin: Tensor
        self.down_re: Tensor
        self.down_im: Tensor
        self.spectrum: Tensor
        self.window: Tensor

    def filters(self, kernel: Tensor, noise: float | Tensor) -> Tensor:
        """(B, 1, k, k) -> (B, s^2, 1, taps, taps); see `LinearSuperResolver.filters`."""
        s, n = self.scale, SUPER_RESOLVER_GRID
        otf_re, otf_im = self._transfer_function(kernel[:, 0])
        re = otf_re * self.down_re - otf_im * self.down_im
        im = otf_re * self.down_im + otf_im * self.down_re
        power = (re.square() + im.square()) * self.spectrum
        folded = power.view(-1, s, n, s, n).sum((1, 3)) / s**2
        ratio = noise.view(-1, 1, 1) if isinstance(noise, Tensor) else noise
        nu = ratio * folded.mean((1, 2), keepdim=True) + torch.finfo(folded.dtype).tiny
        # conj(G) S / (folded + nu), the denominator repeated for every alias
        gain = self.spectrum / (folded + nu).repeat(1, s, s)
        taps = self._kept_taps(re * gain, -im * gain)
        taps = taps.view(-1, s, self.taps, s, self.taps).transpose(2, 3) * self.window
        return unit_sum(taps.reshape(-1, s * s, 1, self.taps, self.taps))

    def _transfer_function(self, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """(B, k, k) -> whole spectrum, two parts, (B, grid, grid) each."""
        re, im = kernel @ self.kernel_cos.T, kernel @ -self.kernel_sin.T
        return (
            self.kernel_cos @ re + self.kernel_sin @ im,
            self.kernel_cos @ im - self.kernel_sin @ re,
        )

    def _kept_taps(self, re: Tensor, im: Tensor) -> Tensor:
        """Real part of the inverse DFT at the taps that are kept: (B, s taps, s taps)."""
        rows_re = self.tap_cos @ re - self.tap_sin @ im
        rows_im = self.tap_cos @ im + self.tap_sin @ re
        return rows_re @ self.tap_cos.T - rows_im @ self.tap_sin.T

    def shared(self, lr: Tensor, filters: Tensor) -> Tensor:
        """Apply one kernel's filters (1, s^2, 1, taps, taps): (B, C, H, W) -> (B, C s^2, H, W).

        The estimate is pixel-unshuffled.
        """
        batch, channels, height, width = lr.shape
        padded = F.pad(lr, (self.taps // 2,) * 4, mode="replicate")
        planes = padded.reshape(batch * channels, 1, *padded.shape[2:])
        phases = F.conv2d(planes, filters[0])
        return phases.reshape(batch, channels * self.scale**2, height, width)

    def each(self, lr: Tensor, filters: Tensor, pad: int) -> Tensor:
        """Apply to each image its own filters: (B, C, H, W) -> (B, C s^2, H, W), pixel-unshuffled.

        A convolution whose filters differ over the batch is none that ONNX has. The filters
        amplify what is fine, rounding too, so the transforms are matrix products in every graph:
        ONNX Runtime's DFT is ten times less exact where sizes are no powers of two.
        """
        assert pad >= self.taps // 2, "filters wrap around"
        transform = MatrixTransform()
        batch, channels, height, width = lr.shape
        padded = F.pad(lr, (pad,) * 4, mode="replicate")
        re, im = (part.unsqueeze(2) for part in transform.forward(padded))
        # Convolutions of networks correlate: the filter's spectrum is conjugate.
        filter_re, filter_im = transfer_function(filters[:, :, 0], *padded.shape[2:])
        filter_re, filter_im = filter_re.unsqueeze(1), filter_im.unsqueeze(1)
        product = re * filter_re + im * filter_im, im * filter_re - re * filter_im
        phases = transform.inverse(product, padded.shape[-1])
        phases = phases[..., pad : pad + height, pad : pad + width]
        return phases.reshape(batch, channels * self.scale**2, height, width)
