"""Blur by large kernels of any form through the Fourier transform."""

import torch
from torch import Tensor

from dcls_cli.degradation.gaussian import reflect_index


def blur(image: Tensor, kernel: Tensor) -> Tensor:
    """Correlate every image with its own kernel, 'reflect' padding (edge not repeated).

    The same as `gaussian.blur`, whose k² products a pixel cost more from about 15 taps on.

    Args:
        image: (B, C, H, W) of real numbers that the FFT knows: float32 or float64.
        kernel: (B, 1, k, k), k odd.

    Returns:
        (B, C, H, W).
    """
    height, width = image.shape[-2:]
    radius = kernel.shape[-1] // 2
    rows, columns = (
        reflect_index(side, radius, fast_length(side + 2 * radius) - side - radius, image.device)
        for side in (height, width)
    )
    with torch.autocast(image.device.type, enabled=False):
        padded = image.index_select(2, rows).index_select(3, columns)
        grid = padded.shape[-2:]
        spectrum = torch.fft.rfft2(padded)
        gain = torch.fft.rfft2(kernel.to(image.dtype), s=grid).conj()  # correlation
        blurred: Tensor = torch.fft.irfft2(spectrum * gain, s=grid)
    return blurred[..., :height, :width]


def fast_length(least: int) -> int:
    """The smallest even number of at least `least` without prime factors above 5."""
    length = least + least % 2
    while _rest(length) > 1:
        length += 2
    return length


def _rest(number: int) -> int:
    """What is left of a number without its factors 2, 3 and 5."""
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number
