"""The paper's second setting: Gaussians of any direction whose taps are disturbed at random."""

import math

import torch
from torch import Tensor

from dcls_cli.degradation.gaussian import anisotropic_gaussian_kernel, bicubic
from dcls_cli.degradation.spectral import blur


def draw_kernels(
    count: int,
    size: int,
    sigma: tuple[float, float],
    disturbance: float,
    random: torch.Generator,
) -> Tensor:
    """Draw the kernels of `count` images, on the CPU, so that any device gets the same.

    Both standard deviations are drawn on their own, uniformly as the angle over the whole circle;
    then each tap is multiplied by 1 + u, u uniform in [0, disturbance], as in the authors' code.

    Args:
        count: B.
        size: width of the kernels in pixels.
        sigma: range of both standard deviations in pixels.
        disturbance: largest share by which a tap grows.
        random: on the CPU.

    Returns:
        (B, 1, size, size), sum 1.
    """
    low, high = sigma
    widths = low + (high - low) * torch.rand(2, count, generator=random)
    angle = math.pi * (2 * torch.rand(count, generator=random) - 1)
    kernel = anisotropic_gaussian_kernel(widths[0], widths[1], angle, size)
    if disturbance > 0:
        kernel = kernel * (1 + disturbance * torch.rand(kernel.shape, generator=random))
        kernel = kernel / kernel.sum((-2, -1), keepdim=True)
    return kernel


def degrade_anisotropic(image: Tensor, kernel: Tensor, scale: int) -> Tensor:
    """Blur every image with its own kernel and make it smaller by antialiased bicubic.

    A disturbed kernel is far from separable, so that the blur is done in the frequency domain.

    Args:
        image: (B, C, H, W).
        kernel: (B, 1, k, k), k odd.
        scale: by how much the result is smaller.

    Returns:
        (B, C, ceil(H / scale), ceil(W / scale)), neither clamped nor rounded.
    """
    return bicubic(blur(image, kernel), 1 / scale)
