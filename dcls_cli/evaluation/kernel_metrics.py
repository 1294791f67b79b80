"""How good is an estimated kernel (Table 4): in the picture that it makes, and tap by tap.

Networks estimate a kernel in HR pixels, which the antialiased bicubic follows, or its LR form, that
comes after the reduction. Each is carried into the other by the closed form, so that every network
is compared in both. The benchmark's truth is a blur before the antialiased bicubic, or, in DIV2KRK,
the whole reduction; an estimate is then completed by the bicubic before it is compared.

The error of taps is the mean squared difference of kernels that are divided by their largest tap,
over the taps of the truth: so do the scripts behind published figures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcls_cli.config import KernelSpace
from dcls_cli.degradation import bicubic_matrix
from dcls_cli.evaluation.samples import Sample, TrueKernel
from dcls_cli.kernels.geometry import to_hr, to_lr
from dcls_cli.metrics import luma, psnr
from dcls_cli.network.spectra import LR_KERNEL_GRID, fold, power_spectrum
from dcls_cli.reports.consistency import damage_again

#: LR pixel in the middle of a long signal whose bicubic weights are looked at.
_MIDDLE = 16


@dataclass(frozen=True, eq=False)
class Estimate:
    """A kernel that a network estimated, as a convolution.

    Attributes:
        taps: (k, k), sum 1.
        space: whose pixels the taps are.
    """

    taps: NDArray[np.float64]
    space: KernelSpace


@dataclass(frozen=True)
class KernelFigures:
    """See the module.

    Attributes:
        lr_psnr: PSNR on Y, dB, of the original degraded with the estimate against the LR image,
            as it is given: rounded, and with its noise. No border is cropped.
        error_hr: of the taps in HR space.
        error_lr: of the taps in LR space.
    """

    lr_psnr: float
    error_hr: float
    error_lr: float


def kernel_figures(sample: Sample, index: int, estimate: Estimate) -> KernelFigures | None:
    """Compare an estimate with what was done to the sample; None where that is not known."""
    true = sample.kernels[index]
    if true is None:
        return None
    scale, size = sample.scale, len(estimate.taps)
    taps = estimate.taps.astype(np.float64)
    in_hr = taps if estimate.space == "hr" else to_hr(taps, scale, size)[0]
    in_lr = taps if estimate.space == "lr" else to_lr(taps, scale, size)
    # The truth correlates.
    estimated = np.ascontiguousarray(in_hr[::-1, ::-1])
    if true.reduction == "sampled":
        estimated = whole_reduction(estimated, scale)
    sharp = sample.hr.astype(np.float32) / np.float32(255)
    again = damage_again(sharp, taps, estimate.space, scale)
    return KernelFigures(
        lr_psnr=psnr(luma(again.astype(np.float64)), luma(sample.lr[index] / 255.0)),
        error_hr=peak_error(estimated, true.taps),
        error_lr=peak_error(in_lr, lr_form(true, scale, size)),
    )


def peak_error(estimated: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Mean squared difference of kernels of largest tap 1, over the taps of the truth.

    Args:
        estimated: (k, k), k odd; cut or padded about its middle.
        true: (n, n), n odd.
    """
    fitted = _about_the_middle(estimated, len(true))
    return float(np.mean((fitted / estimated.max() - true / true.max()) ** 2))


def whole_reduction(kernel: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """A blur and the antialiased bicubic as the weights of a plain sub-sampling.

    Args:
        kernel: (k, k), k odd, correlated before the bicubic.
        scale: of the reduction.

    Returns:
        (n, n), n odd: weight of each HR pixel about the first of the LR pixel's block; for even
        scales the middle of mass is half a pixel off a tap.
    """
    row = bicubic_matrix(2 * _MIDDLE * scale, 1 / scale).numpy()[_MIDDLE]
    reach = 3 * scale
    first = _MIDDLE * scale
    weights = row[first - reach : first + reach + 1]
    size = len(kernel) + 2 * reach
    shape = (size, size)
    spectrum = np.fft.rfft2(np.outer(weights, weights), shape) * np.fft.rfft2(kernel, shape)
    return np.asarray(np.fft.irfft2(spectrum, shape))


def lr_form(true: TrueKernel, scale: int, size: int) -> NDArray[np.float64]:
    """The reformulated kernel of a truth, as a convolution: (size, size), sum 1.

    The expectation of Eq. 7 over images of the spectrum S = |w|^-2: with E the response of the
    whole reduction and D that of the bicubic alone, K(W) = sum_m E conj(D) S / sum_m |D|^2 S over
    the aliases w_m of W. For blurs before the bicubic that is `kernels.geometry.to_lr`.
    """
    grid = LR_KERNEL_GRID * scale
    impulse = np.ones((1, 1))
    whole = true.taps if true.reduction == "sampled" else whole_reduction(true.taps, scale)
    response = _response(whole, grid)
    alone = _response(whole_reduction(impulse, scale), grid)
    spectrum = power_spectrum(grid, 2.0)
    cross = fold(response * alone.conj() * spectrum, scale)
    kernel = np.fft.ifft2(cross / fold(np.abs(alone) ** 2 * spectrum, scale)).real
    taps = (np.arange(size) - size // 2) % LR_KERNEL_GRID
    cut = kernel[np.ix_(taps, taps)]
    return np.asarray(cut / cut.sum())


def _response(weights: NDArray[np.float64], grid: int) -> NDArray[np.complex128]:
    """sum_m weights[m] exp(+i w m) about the middle tap: what a correlation does to exp(i w x)."""
    reach = len(weights) // 2
    placed = np.zeros((grid, grid))
    index = (reach - np.arange(len(weights))) % grid
    np.add.at(placed, np.ix_(index, index), weights)
    return np.asarray(np.fft.fft2(placed))


def _about_the_middle(kernel: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Cut or zero-pad a kernel of odd size to another odd size."""
    more = (size - len(kernel)) // 2
    if more >= 0:
        return np.pad(kernel, more)
    return kernel[-more:more, -more:more]
