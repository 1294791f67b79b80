"""Noise that neighbouring pixels share: grain left by a camera's denoiser, blotches of colour."""

import torch
from torch import Tensor

from dcls_cli.degradation.jpeg import from_ycbcr

#: A Gaussian as narrow as this leaves white noise white.
WHITE = 0.05
#: Below it taps are 0: processors take a hundred times longer for denormal numbers.
SMALLEST_TAP = 1e-6


def grained(pattern: Tensor, width: Tensor) -> Tensor:
    """Blur white noise by a Gaussian and make it as strong as before.

    Neighbours at a distance d then correlate by exp(-d² / 4 width²), and every pixel, those of the
    border too, keeps the variance 1.

    Args:
        pattern: (B, C, h, w), independent and standard normal.
        width: (B,) standard deviation of the Gaussian, pixels; `WHITE`: left as it is.

    Returns:
        (B, C, h, w), standard normal.
    """
    rows, columns = (_matrix(width, side) for side in pattern.shape[-2:])
    return rows @ pattern @ columns.mT


def _matrix(width: Tensor, side: int) -> Tensor:
    """(B, 1, side, side): Gaussians around each pixel, the squares of each row's taps sum to 1."""
    pixel = torch.arange(side, device=width.device, dtype=width.dtype)
    distance = (pixel[:, None] - pixel).square()
    taps = torch.exp(-0.5 * distance / width[:, None, None].square())
    taps = torch.where(taps < SMALLEST_TAP, 0.0, taps)
    return (taps / taps.square().sum(2, keepdim=True).sqrt())[:, None]


def blotches(pattern: Tensor, width: Tensor) -> Tensor:
    """Noise of colour alone.

    Args:
        pattern: (B, 2, h, w), independent and standard normal.
        width: (B,) as of `grained`.

    Returns:
        (B, 3, h, w) RGB without luma; Cb and Cr are standard normal.
    """
    chroma = grained(pattern, width)
    return from_ycbcr(torch.cat((torch.zeros_like(chroma[:, :1]), chroma), 1))
