"""PSNR and SSIM as super-resolution papers report them: on Y, borders cropped, 8-bit images.

Images are float64 arrays; RGB is (3, H, W) in [0, 1], Y is (H, W) in [16, 235]. Rules in full:
Gaussian8 protocol, the one of the test code of DAN and DCLS.
"""

import math

import numpy as np
from numpy.typing import NDArray

from dcls_cli.errors import ImageError

FloatArray = NDArray[np.float64]

#: BT.601 luma weights for RGB in [0, 1]; black is 16, white 235.
_LUMA = np.array([65.481, 128.553, 24.966])
_BLACK = 16.0
_PEAK = 255.0

#: Width of the window of SSIM, pixels.
SSIM_WIDTH = 11
_SSIM_SIGMA = 1.5
_SSIM_K = (0.01, 0.03)


def round_to_8_bit(image: NDArray[np.floating]) -> FloatArray:
    """Clamp to [0, 1] and round to multiples of 1/255, halves to even; any shape."""
    levels = np.round(np.clip(image.astype(np.float64), 0.0, 1.0) * 255.0)
    return np.asarray(levels / 255.0)


def luma(image: FloatArray) -> FloatArray:
    """Y = 65.481 R + 128.553 G + 24.966 B + 16, not rounded: (3, H, W) -> (H, W)."""
    return np.asarray(np.tensordot(_LUMA, image, axes=1) + _BLACK)


def crop_border(image: FloatArray, border: int) -> FloatArray:
    """Drop `border` pixels on all four sides of the last two axes.

    Raises:
        ImageError: nothing would be left.
    """
    height, width = image.shape[-2:]
    if min(height, width) <= 2 * border:
        raise ImageError(
            f"an image of {width}x{height} px is too small to be compared: "
            f"{border} px are cropped on each side"
        )
    return image[..., border : height - border, border : width - border]


def psnr(a: FloatArray, b: FloatArray, peak: float = _PEAK) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak² / mean((a - b)²)).

    Returns:
        Decibels; infinity for equal images.

    Raises:
        ImageError: the shapes differ.
    """
    _require_same_shape(a, b)
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def ssim(a: FloatArray, b: FloatArray) -> float:
    """Mean structural similarity: 11x11 Gaussian of sigma 1.5, 'valid', K = (0.01, 0.03), peak 255.

    Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, 2004.

    Returns:
        At most 1; 1 for equal images.

    Raises:
        ImageError: the shapes differ, or a side is shorter than 11 pixels.
    """
    _require_same_shape(a, b)
    if min(a.shape) < SSIM_WIDTH:
        raise ImageError(
            f"an image of {a.shape[1]}x{a.shape[0]} px (borders cropped) is too small for SSIM, "
            f"which needs {SSIM_WIDTH} px a side"
        )
    mean_a, mean_b, square_a, square_b, product = _local_means(
        np.stack((a, b, a * a, b * b, a * b))
    )
    variances = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    c1, c2 = ((k * _PEAK) ** 2 for k in _SSIM_K)
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    similarity /= (mean_a**2 + mean_b**2 + c1) * (variances + c2)
    return float(np.mean(similarity))


def _local_means(maps: FloatArray) -> FloatArray:
    """Gaussian-weighted means around each inner pixel: (N, H, W) -> (N, H - 10, W - 10)."""
    offset = np.arange(SSIM_WIDTH) - SSIM_WIDTH // 2
    taps = np.exp(-(offset**2) / (2 * _SSIM_SIGMA**2))
    taps /= taps.sum()
    for _ in range(2):  # rows, then columns
        length = maps.shape[1] - SSIM_WIDTH + 1
        means = np.zeros((maps.shape[0], length, maps.shape[2]))
        for first, tap in enumerate(taps):
            means += tap * maps[:, first : first + length]
        maps = means.transpose(0, 2, 1)
    return maps


def _require_same_shape(a: FloatArray, b: FloatArray) -> None:
    if a.shape != b.shape:
        raise ImageError(f"images to compare differ in shape: {a.shape} and {b.shape}")
