"""Kernels in HR pixels and in LR pixels, one carried into the other.

An HR kernel blurs before the picture becomes small, an LR kernel after it. The closed form
(`network.spectra.reformulation_matrix`, the expectation of Eq. 7 over natural images) takes an HR
kernel into the LR kernel; it is linear, M h = l, and loses what lies beyond the LR frequencies.
"""

import numpy as np

from dcls_cli.network.spectra import reformulation_matrix

#: Least variance of the Gaussian that an HR kernel is guessed from, px^2: an impulse in practice.
SMALLEST_VARIANCE = 0.04

#: Share of the mean energy of M that is added when it is inverted.
DAMPING = 1e-3


def to_lr(kernel: np.ndarray, scale: int, size: int) -> np.ndarray:
    """LR kernel of an HR kernel by the closed form.

    Args:
        kernel: (k, k) in HR pixels, k odd.
        scale: HR pixels of one LR pixel.
        size: taps of the result, odd.

    Returns:
        (size, size) float64, sum 1.
    """
    matrix = reformulation_matrix(scale, kernel.shape[0], size)
    lr_kernel = (matrix @ kernel.ravel()).reshape(size, size)
    return np.asarray(lr_kernel / lr_kernel.sum())


def to_hr(kernel: np.ndarray, scale: int, size: int) -> tuple[np.ndarray, float]:
    """HR kernel whose LR form is a given kernel: of all of them, the one nearest to a Gaussian.

    The LR kernel says nothing about the frequencies that the reduction removed. There the Gaussian
    g of the same second moments (they are the square of the scale times those of the LR kernel)
    stands in: h = g + M' (M M' + damping)^-1 (l - M g). Exact for Gaussian blurs.

    Args:
        kernel: (l, l) in LR pixels, l odd, centred, sum 1.
        scale: HR pixels of one LR pixel.
        size: taps of the result, odd.

    Returns:
        (size, size) float64, sum 1; and the misfit, sum |M h - l|: the share of the LR kernel that
        no HR kernel of this size can have.
    """
    matrix = reformulation_matrix(scale, size, kernel.shape[0])
    guess = _gaussian(scale**2 * _signed_covariance(kernel), size).ravel()
    energy = matrix @ matrix.T
    energy[np.diag_indices_from(energy)] += DAMPING * np.trace(energy) / len(energy)
    taps = guess + matrix.T @ np.linalg.solve(energy, kernel.ravel() - matrix @ guess)
    taps /= taps.sum()
    misfit = float(np.abs(matrix @ taps - kernel.ravel()).sum())
    return taps.reshape(size, size), misfit


def _signed_covariance(kernel: np.ndarray) -> np.ndarray:
    """Second moments about the middle tap, negative taps as they are: (2, 2).

    An LR kernel rings, and only with its negative taps has it the variance of the blur.
    """
    offset = np.indices(kernel.shape, np.float64).reshape(2, -1) - kernel.shape[0] // 2
    return np.asarray((offset * kernel.ravel()) @ offset.T)


def _gaussian(covariance: np.ndarray, size: int) -> np.ndarray:
    """Gaussian (size, size), sum 1, whose variances are at least `SMALLEST_VARIANCE`."""
    variances, directions = np.linalg.eigh(covariance)
    inverse = (directions / np.maximum(variances, SMALLEST_VARIANCE)) @ directions.T
    offset = np.indices((size, size), np.float64) - size // 2
    distance = np.einsum("iyx,ij,jyx->yx", offset, inverse, offset)
    taps = np.exp(-0.5 * distance)
    return np.asarray(taps / taps.sum())
