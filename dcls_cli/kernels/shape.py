"""Width, direction and spectrum of a kernel, in pixels of its own grid.

Width and direction are those of the second central moments. Small negative taps, which an
estimated kernel may have, count as zero in them.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class KernelShape:
    """The ellipse of inertia of a kernel.

    Attributes:
        width_px: root of the mean second central moment per axis; sigma of an isotropic Gaussian,
            the root mean square of the two sigmas of an anisotropic one.
        major_px: standard deviation along the direction in which the kernel is widest.
        minor_px: standard deviation across it.
        angle_deg: of the widest direction, [0, 180): 0 is to the right, 90 up, as the picture is
            seen. Means nothing where the anisotropy is near zero.
        anisotropy: 1 - minor_px / major_px: 0 for a round kernel, 1 for a line.
    """

    width_px: float
    major_px: float
    minor_px: float
    angle_deg: float
    anisotropy: float


def shape_of(kernel: np.ndarray) -> KernelShape:
    """Measure a kernel."""
    covariance = _covariance(kernel)
    variances, directions = np.linalg.eigh(covariance)
    minor, major = (math.sqrt(max(variance, 0.0)) for variance in variances)
    down, right = directions[:, 1]
    return KernelShape(
        width_px=math.sqrt(max(float(np.trace(covariance)) / 2, 0.0)),
        major_px=major,
        minor_px=minor,
        angle_deg=math.degrees(math.atan2(-down, right)) % 180 if major > minor else 0.0,
        anisotropy=1 - minor / major if major > 0 else 0.0,
    )


def kernel_width_px(kernel: np.ndarray) -> float:
    """`KernelShape.width_px` of a kernel (h, w)."""
    return shape_of(kernel).width_px


def _covariance(kernel: np.ndarray) -> np.ndarray:
    """Second central moments, rows before columns: (2, 2)."""
    mass = np.clip(kernel.astype(np.float64), 0, None)
    total = mass.sum()
    if total == 0:
        return np.zeros((2, 2))
    position = np.indices(kernel.shape, np.float64).reshape(2, -1)
    weight = mass.ravel() / total
    position -= (position @ weight)[:, None]
    return np.asarray((position * weight) @ position.T)


def log_spectrum(kernel: np.ndarray, size: int) -> np.ndarray:
    """Magnitude of a kernel's transfer function in decibels, zero frequency in the middle.

    Returns:
        (size, size) float64: 0 where the blur passes all, negative where it weakens.
    """
    magnitude = np.abs(np.fft.fft2(kernel.astype(np.float64), (size, size)))
    decibels: np.ndarray = 20 * np.log10(np.maximum(magnitude, 1e-12))
    return np.fft.fftshift(decibels)
