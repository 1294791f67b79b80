"""Blur kernels as arrays: their shape, the spaces that they live in, kernels that a user brings.

A kernel is the picture of a point, rows downwards: the photo is the sharp picture convolved with
it. Numpy only.
"""

from dcls_cli.kernels.geometry import KernelShape, kernel_width_px, log_spectrum, shape_of
from dcls_cli.kernels.user_kernel import FittedKernel, UserKernel, fit_kernel

__all__ = [
    "FittedKernel",
    "KernelShape",
    "UserKernel",
    "fit_kernel",
    "kernel_width_px",
    "log_spectrum",
    "shape_of",
]
