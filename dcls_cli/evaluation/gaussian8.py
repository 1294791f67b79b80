"""Gaussian8, the protocol behind published figures of blind super-resolution: images -> rows.

Every HR image is cropped to a multiple of the scale, blurred by eight isotropic Gaussians, made
smaller by antialiased bicubic and rounded to 8 bit; what a method restores is compared on Y with
`scale` pixels of border left out. Arrays are numpy, (3, H, W) RGB.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dcls_cli.degradation import (
    GAUSSIAN8_KERNEL_SIZE,
    bicubic,
    degrade_isotropic,
    gaussian8_sigmas,
    gaussian_kernel,
    quantise,
)
from dcls_cli.evaluation.rows import Row
from dcls_cli.evaluation.samples import (
    Restore,
    Sample,
    TrueKernel,
    fitting,
    random_of,
    read_hr,
)


def gaussian8_sample(image: str, hr: NDArray[np.uint8], scale: int, noise: float = 0.0) -> Sample:
    """Degrade an HR image, (3, H, W), in float64.

    Args:
        image: its name.
        hr: its pixels.
        scale: by how much the LR images are smaller.
        noise: standard deviation of white Gaussian noise that is added before rounding, 8-bit
            levels; it depends on the pixels and the blur alone.

    Raises:
        ImageError: too small to be compared, or not 8-bit RGB.
        UsageError: the protocol does not define this scale.
    """
    sigmas = gaussian8_sigmas(scale)
    hr = fitting(image, hr, scale)
    clear = torch.from_numpy(hr).double()[None] / 255
    levels, kernels = [], []
    for index, sigma in enumerate(sigmas):  # one after the other: float64 fits once, not 8 times
        width = clear.new_tensor([sigma])
        small = degrade_isotropic(clear, width, scale)
        if noise:
            draws = random_of("gaussian8-noise/1", hr, index).standard_normal(small.shape)
            small = small + torch.from_numpy(draws) * (noise / 255)
        levels.append((quantise(small)[0] * 255).round().to(torch.uint8).numpy())
        taps = gaussian_kernel(width, GAUSSIAN8_KERNEL_SIZE)[0, 0].numpy()
        kernels.append(TrueKernel(taps, "bicubic"))
    cases = tuple(f"{sigma:.2f}" for sigma in sigmas)
    return Sample(image, scale, hr, np.stack(levels), sigmas, cases, tuple(kernels))


def gaussian8(
    hr_paths: Sequence[Path], scale: int, restore: Restore, *, with_ssim: bool = True
) -> list[Row]:
    """Evaluate a method on images that are read and degraded one at a time.

    SSIM costs more than PSNR. Rows come in the order of the images, sigma ascending.

    Raises:
        ImageError: an image cannot be read or is too small, or `restore` returned another shape.
        UsageError: the protocol does not define this scale.
    """
    samples = (gaussian8_sample(path.name, read_hr(path), scale) for path in hr_paths)
    return [row for sample in samples for row in sample.rows(restore, with_ssim=with_ssim)]


def bicubic_restore(scale: int) -> Restore:
    """The baseline that every paper reports: MATLAB's bicubic up-sampling, in float64."""

    def restore(lr: np.ndarray) -> np.ndarray:
        small = torch.from_numpy(lr.astype(np.float64))[None]
        return np.asarray(bicubic(small, scale)[0].numpy())

    return restore
