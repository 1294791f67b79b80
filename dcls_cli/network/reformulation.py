"""What a high-resolution blur does to the low-resolution image, in closed form.

A blur kernel lives in HR pixels; the deconvolution works on LR pixels. Two facts about natural
images carry one into the other without looking at the image:

* `ReformulatedKernel`: the expectation of the paper's reformulated kernel (Eq. 7) under a power
  spectrum |w|^-2 depends on the HR kernel alone, and linearly.
* `linear_super_resolver`: for a known kernel and the spectrum |w|^-3 the linear super-resolver of
  least squared error is one transposed convolution.

`reformulate` is Eq. 7 itself, on an image.
"""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the name that every torch user knows)
from torch import Tensor, nn

from dcls_cli.network.fourier import full_transfer_function, unit_sum
from dcls_cli.network.spectra import bicubic_response, power_spectrum, reformulation_matrix

SUPER_RESOLVER_GRID = 48
NOISE_TO_SIGNAL = 1e-5

#: Width of the LR kernel that follows from an HR kernel of any size.
LR_KERNEL_TAPS = 21


def reformulate(blurred: Tensor, clear: Tensor, kernel_size: int, epsilon: float = 1e-10) -> Tensor:
    """The LR kernel that takes a clear LR image into the blurred one (Eq. 7).

    k = F^-1(conj(F(x)) F(y) / (|F(x)|^2 + epsilon)), one kernel for all channels, in the sense of
    least squares over them.

    Args:
        blurred: y, (B, C, H, W): the blurred HR image after down-sampling.
        clear: x, (B, C, H, W): the HR image after down-sampling.
        kernel_size: k, odd, at most H and W.
        epsilon: added to the energy of the clear image.

    Returns:
        (B, 1, k, k); noisy where the image has no energy, not normalised.
    """
    clear_f = torch.fft.rfft2(clear)
    cross = (torch.fft.rfft2(blurred) * clear_f.conj()).sum(1, keepdim=True)
    energy = (clear_f.real.square() + clear_f.imag.square()).sum(1, keepdim=True)
    psf = torch.fft.irfft2(cross / (energy + epsilon), s=clear.shape[-2:])
    radius = kernel_size // 2
    psf = psf.roll((radius, radius), (-2, -1))
    kernel: Tensor = psf[..., :kernel_size, :kernel_size]
    return kernel


def clean_kernel(kernel: Tensor, tail: int = 40) -> Tensor:
    """Keep the about `tail` largest taps of kernels (B, 1, k, k), and normalise their sum to 1.

    The authors' post-processing of Eq. 7: 0.75 x the (tail + 1)-th largest tap is subtracted,
    negative taps become zero.
    """
    threshold = 0.75 * kernel.flatten(1).sort(dim=1).values[:, -tail - 1]
    kept = (kernel - threshold.view(-1, 1, 1, 1)).clamp(0, 1)
    centre = kernel.shape[-1] // 2
    impulse = torch.zeros_like(kept)
    impulse[..., centre, centre] = 1e-12
    kept = kept + impulse
    return kept / kept.sum((-2, -1), keepdim=True)


class ReformulatedKernel(nn.Module):
    """The expected reformulated kernel: a fixed linear layer from HR taps to LR taps.

    Its expectation is over images with a power spectrum |w|^-2. Against Eq. 7 on single images it
    carries no noise, so it is the better target and the better deconvolution kernel.
    """

    def __init__(self, scale: int, hr_size: int = 21, lr_size: int = LR_KERNEL_TAPS) -> None:
        """Compute the map; it has no parameters and is not stored in weight files."""
        super().__init__()
        self.lr_size = lr_size
        matrix = torch.from_numpy(reformulation_matrix(scale, hr_size, lr_size).copy()).float()
        self.register_buffer("matrix", matrix, persistent=False)
        self.matrix: Tensor

    def forward(self, kernel: Tensor) -> Tensor:
        """HR kernel (B, 1, k, k), sum 1 -> LR kernel (B, 1, l, l), sum 1."""
        lr_kernel = kernel.flatten(1) @ self.matrix.to(kernel.dtype).T
        return unit_sum(lr_kernel.view(-1, 1, self.lr_size, self.lr_size))


class LinearSuperResolver(nn.Module):
    """The linear super-resolver of least squared error for a known HR kernel.

    With G = D H (bicubic times blur) and the prior spectrum S = |w|^-3 the estimate at each of the
    s^2 aliases w_m of an LR frequency W is

        X(w_m) = S(w_m) conj(G(w_m)) Y(W) / (sum_m |G(w_m)|^2 S(w_m) / s^2 + nu),

    a transposed convolution of stride s whose taps depend on the kernel only. It needs no FFT of
    the image and is exact under tiling.

    The filter has no end, and where it is cut off it still oscillates: a step there costs more
    than the taps beyond it. So it fades out over some taps, as windowed filters do.
    """

    def __init__(self, scale: int, taps: int = 31, taper: int = 0) -> None:
        """Prepare the spectra.

        Args:
            scale: s.
            taps: width of the filter in LR pixels, odd.
            taper: taps on each side over which it falls to 0, in half a cosine; 0: it is cut off.
        """
        super().__init__()
        self.scale, self.taps = scale, taps
        grid = SUPER_RESOLVER_GRID * scale
        self.grid = grid
        response = bicubic_response(scale, grid)
        # D(w) exp(i w offset): the LR sample sits `offset` HR pixels after the first of its block.
        omega = 2 * np.pi * np.fft.fftfreq(grid)
        phased = response * np.exp(1j * omega * (scale - 1) / 2)
        # The Nyquist row of an even grid has no sign; half a pixel of phase makes it vanish.
        phased[grid // 2] = phased[grid // 2].real
        down = torch.from_numpy(np.outer(phased, phased)).to(torch.complex64)
        spectrum = torch.from_numpy(power_spectrum(grid, 3.0).copy()).float()
        # tap[p, d]: HR phase p of LR tap d reads w[p - s d] of the circular HR filter.
        phase = torch.arange(scale)[:, None]
        tap = torch.arange(taps)[None] - taps // 2
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("spectrum", spectrum, persistent=False)
        # The first tap outside the filter would have the factor 0.
        outside = (taps // 2 + 1 - tap[0].abs()).clamp(max=taper + 1).float() / (taper + 1)
        fade = torch.sin(np.pi / 2 * outside).square()
        self.register_buffer("offset", (phase - scale * tap) % grid, persistent=False)
        self.register_buffer("window", fade[:, None] * fade, persistent=False)
        self.down: Tensor
        self.spectrum: Tensor
        self.offset: Tensor
        self.window: Tensor

    def filters(self, kernel: Tensor, noise: float | Tensor = NOISE_TO_SIGNAL) -> Tensor:
        """Taps for each kernel: (B, 1, k, k) -> (B, s^2, 1, taps, taps), unit gain per phase.

        Args:
            kernel: HR kernels, sum 1.
            noise: power of the noise over power of the LR image, for all or each, (B,): nu in
                units of the mean of sum_m |G|^2 S / s^2.
        """
        s, n = self.scale, SUPER_RESOLVER_GRID
        gain = full_transfer_function(kernel[:, 0].float(), self.grid) * self.down
        power = (gain.real.square() + gain.imag.square()) * self.spectrum
        folded = power.view(-1, s, n, s, n).sum((1, 3)) / s**2
        ratio = noise.view(-1, 1, 1) if isinstance(noise, Tensor) else noise
        # The smallest number keeps a kernel of zeros, which no estimate is, from 0 / 0.
        nu = ratio * folded.mean((1, 2), keepdim=True) + torch.finfo(folded.dtype).tiny
        quotient = (self.spectrum * gain.conj()).view(-1, s, n, s, n)
        quotient = quotient / (folded + nu)[:, None, :, None, :]
        filter_hr = torch.fft.ifft2(quotient.reshape(-1, self.grid, self.grid)).real
        rows = self.offset.flatten()
        taps = filter_hr[:, rows[:, None], rows[None]]
        taps = taps.view(-1, s, self.taps, s, self.taps).transpose(2, 3) * self.window
        return unit_sum(taps.reshape(-1, s * s, 1, self.taps, self.taps))

    def forward(self, lr: Tensor, filters: Tensor) -> Tensor:
        """Apply each image's filters, or those of all: (B, C, H, W) -> (B, C s^2, H, W).

        The result is pixel-unshuffled.
        """
        radius = self.taps // 2
        padded = F.pad(lr, (radius,) * 4, mode="replicate")
        if filters.shape[0] == 1:
            channels = padded.reshape(-1, 1, *padded.shape[-2:])
            return F.conv2d(channels, filters[0]).view(lr.shape[0], -1, *lr.shape[-2:])
        # One convolution an image: a grouped one over the batch is three times slower on CPUs.
        phases = [
            F.conv2d(image.unsqueeze(1), taps).flatten(0, 1)
            for image, taps in zip(padded, filters, strict=True)
        ]
        return torch.stack(phases)
