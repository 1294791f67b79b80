"""Blur kernels as arrays: their shape, the spaces that they live in, kernels that a user brings.

A kernel is the picture of a point, rows downwards: the photo is the sharp picture convolved with
it. Numpy only.
"""

from dcls_cli.kernels.own import Fitted, OwnKernel, fit
from dcls_cli.kernels.shape import KernelShape, kernel_width_px, log_spectrum, shape_of

__all__ = [
    "Fitted",
    "KernelShape",
    "OwnKernel",
    "fit",
    "kernel_width_px",
    "log_spectrum",
    "shape_of",
]
