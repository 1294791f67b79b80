"""An unsharp mask after the reduction, and the one HR kernel that blur and mask are together."""

import torch
import torch.nn.functional as F
from torch import Tensor

#: The mask's blur: the binomial (1 2 1) / 4 in both directions.
TAPS = (0.25, 0.5, 0.25)


def binomial(image: Tensor) -> Tensor:
    """Blur by `TAPS` in both directions, borders replicated: (B, C, h, w) -> the same."""
    side, middle, _ = TAPS
    for axis in (-2, -1):
        padding = (1, 1, 0, 0) if axis == -1 else (0, 0, 1, 1)
        padded = F.pad(image, padding, mode="replicate")
        length = image.shape[axis]
        neighbours = padded.narrow(axis, 0, length) + padded.narrow(axis, 2, length)
        image = middle * image + side * neighbours
    return image


def sharpened(image: Tensor, amount: Tensor) -> Tensor:
    """The unsharp mask x + a (x - b * x) of a binomial b.

    Args:
        image: (B, C, h, w).
        amount: a, (B,); 0 changes nothing.

    Returns:
        (B, C, h, w), not clamped.
    """
    return torch.lerp(binomial(image), image, 1 + amount[:, None, None, None])


def effective_kernel(kernel: Tensor, amount: Tensor, scale: int) -> Tensor:
    """The HR kernel of a blur whose reduced image is then sharpened.

    The mask is linear, and its taps lie `scale` HR pixels apart: blur k and mask together are
    k * (d + a (d - b_s)), where d is the unit impulse and b_s the binomial with scale - 1 zeros
    between its taps. The result is cropped to the width of k, which it exceeds by `scale` on each
    side: what a wide blur loses there is a little of its negative rim.

    Args:
        kernel: k, (B, 1, n, n), of sum 1.
        amount: a, (B,); 0 changes nothing.
        scale: of the reduction between the two.

    Returns:
        (B, 1, n, n), of sum 1, with negative taps where a > 0.
    """
    side, middle, _ = TAPS
    smooth = kernel
    for axis in (-2, -1):
        padding = (scale, scale, 0, 0) if axis == -1 else (0, 0, scale, scale)
        padded = F.pad(smooth, padding)
        length = kernel.shape[axis]
        neighbours = padded.narrow(axis, 0, length) + padded.narrow(axis, 2 * scale, length)
        smooth = middle * smooth + side * neighbours
    full = torch.lerp(smooth, kernel, 1 + amount[:, None, None, None])
    return full / full.sum((-2, -1), keepdim=True)
