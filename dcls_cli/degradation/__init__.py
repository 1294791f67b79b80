"""How sharp photos become damaged ones: blurs and reduction, JPEG, and what cameras do."""

from dcls_cli.degradation.classical import (
    GAUSSIAN8_KERNEL_SIZE,
    GAUSSIAN8_RANGES,
    anisotropic_gaussian_kernel,
    bicubic,
    bicubic_matrix,
    blur,
    degrade_isotropic,
    gaussian8_sigmas,
    gaussian_kernel,
    gaussian_taps,
    quantise,
)
from dcls_cli.degradation.jpeg import jpeg

__all__ = [
    "GAUSSIAN8_KERNEL_SIZE",
    "GAUSSIAN8_RANGES",
    "anisotropic_gaussian_kernel",
    "bicubic",
    "bicubic_matrix",
    "blur",
    "degrade_isotropic",
    "gaussian8_sigmas",
    "gaussian_kernel",
    "gaussian_taps",
    "jpeg",
    "quantise",
]
