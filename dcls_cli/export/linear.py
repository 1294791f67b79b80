"""The linear super-resolver without complex numbers and without a loop over the batch."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcls_cli.export.transforms import MatrixTransform, transfer_function, waves
from dcls_cli.network.fourier import unit_sum
from dcls_cli.network.reformulation import SUPER_RESOLVER_GRID, LinearSuperResolver


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
        """Apply the filters of one kernel to all images.

        Args:
            lr: (B, C, H, W).
            filters: (1, s^2, 1, taps, taps).

        Returns:
            (B, C s^2, H, W): the estimate, pixel-unshuffled.
        """
        batch, channels, height, width = lr.shape
        padded = F.pad(lr, (self.taps // 2,) * 4, mode="replicate")
        planes = padded.reshape(batch * channels, 1, *padded.shape[2:])
        phases = F.conv2d(planes, filters[0])
        return phases.reshape(batch, channels * self.scale**2, height, width)

    def each(self, lr: Tensor, filters: Tensor, pad: int) -> Tensor:
        """Apply to each image its own filters: a product of spectra.

        A convolution whose filters differ over the batch is none that ONNX has. The filters
        amplify what is fine, rounding too, so the transforms are matrix products in every graph:
        ONNX Runtime's DFT is ten times less exact where sizes are no powers of two.

        Args:
            lr: (B, C, H, W).
            filters: (B, s^2, 1, taps, taps).
            pad: replicated pixels on each side, which the filters must not reach beyond.

        Returns:
            (B, C s^2, H, W): the estimate, pixel-unshuffled.
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
