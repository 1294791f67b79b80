"""Kernel figures against reductions that scipy makes, in both spaces."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import correlate

from dcls_cli.evaluation.gaussian8 import gaussian8_sample
from dcls_cli.evaluation.kernel_metrics import (
    Estimate,
    kernel_figures,
    lr_form,
    peak_error,
    whole_reduction,
)
from dcls_cli.evaluation.samples import Sample, TrueKernel
from dcls_cli.kernels.geometry import to_lr
from tests import oracle, scenes


def uneven_kernel(size: int = 9) -> NDArray[np.float64]:
    """Not symmetric in any way, sum 1."""
    offset = np.arange(size) - size // 2 - 0.3
    taps = np.exp(-0.5 * (offset[:, None] / 2.0 + 0.4 * offset[None]) ** 2 - 0.1 * offset**2)
    taps *= 1 + 0.3 * np.sin(np.arange(size * size).reshape(size, size))
    return taps / taps.sum()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_whole_reduction_is_blur_and_bicubic_in_one(scale: int) -> None:
    kernel = uneven_kernel()
    image = scenes.natural(24 * scale, 20 * scale)[..., :1]
    blurred = correlate(image, kernel[..., None], mode="mirror")
    expected = oracle.imresize(blurred, 1 / scale)
    weights = whole_reduction(kernel, scale)
    found = correlate(image, weights[..., None], mode="mirror")[::scale, ::scale]
    inside = np.s_[8:-8, 8:-8]  # borders are mirrored otherwise
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-10)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_lr_form_of_a_blur_is_the_closed_form_of_training(scale: int) -> None:
    kernel = uneven_kernel(21)
    true = TrueKernel(kernel, "bicubic")
    # The truth correlates, the closed form convolves.
    expected = to_lr(np.ascontiguousarray(kernel[::-1, ::-1]), scale, 21)
    np.testing.assert_allclose(lr_form(true, scale, 21), expected, atol=1e-6)


def test_a_whole_reduction_has_the_lr_form_of_its_blur() -> None:
    blur = uneven_kernel(11)
    whole = TrueKernel(whole_reduction(blur, 4), "sampled")
    expected = lr_form(TrueKernel(blur, "bicubic"), 4, 21)
    np.testing.assert_allclose(lr_form(whole, 4, 21), expected, atol=1e-6)


def sample_of(true: TrueKernel, hr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> Sample:
    return Sample("x", 4, hr, lr[None], (1.0,), ("case",), (true,))


def slanted_sample(reduction: str) -> tuple[Sample, NDArray[np.float64]]:
    """A picture blurred by an uneven kernel, and that kernel as a convolution."""
    kernel = uneven_kernel(11)
    picture = scenes.natural(96, 112)
    blurred = correlate(picture, kernel[..., None], mode="mirror")
    lr = np.uint8(np.round(255 * oracle.q8(oracle.imresize(blurred, 0.25)))).transpose(2, 0, 1)
    hr = np.uint8(np.round(255 * picture)).transpose(2, 0, 1)
    true = (
        TrueKernel(kernel, "bicubic")
        if reduction == "bicubic"
        else TrueKernel(whole_reduction(kernel, 4), "sampled")
    )
    return sample_of(true, hr, lr), np.ascontiguousarray(kernel[::-1, ::-1])


@pytest.mark.parametrize("reduction", ["bicubic", "sampled"])
def test_the_true_kernel_is_perfect_but_for_rounding(reduction: str) -> None:
    sample, kernel = slanted_sample(reduction)
    padded = np.pad(kernel, 5)
    figures = kernel_figures(sample, 0, Estimate(padded, "hr"))
    assert figures is not None
    assert figures.lr_psnr > 56  # 58.9 dB is the rounding to 8 bit; Y mixes three of them
    assert figures.error_hr < 1e-12
    assert figures.error_lr < 1e-9


@pytest.mark.parametrize("reduction", ["bicubic", "sampled"])
def test_a_kernel_that_is_turned_by_half_a_circle_is_wrong(reduction: str) -> None:
    sample, kernel = slanted_sample(reduction)
    right = kernel_figures(sample, 0, Estimate(np.pad(kernel, 5), "hr"))
    turned = np.ascontiguousarray(np.pad(kernel, 5)[::-1, ::-1])
    wrong = kernel_figures(sample, 0, Estimate(turned, "hr"))
    assert right is not None
    assert wrong is not None
    assert wrong.lr_psnr < right.lr_psnr - 5
    assert wrong.error_hr > 1e-3
    assert wrong.error_lr > 1e-4


def test_a_kernel_in_lr_space_is_compared_in_both() -> None:
    hr = np.uint8(np.round(255 * scenes.natural(96, 112))).transpose(2, 0, 1)
    sample = gaussian8_sample("x", hr, 4)
    true = sample.kernels[2]
    assert true is not None
    in_lr = to_lr(true.taps, 4, 21)
    figures = kernel_figures(sample, 2, Estimate(in_lr, "lr"))
    assert figures is not None
    assert figures.lr_psnr > 45
    assert figures.error_hr < 1e-4
    assert figures.error_lr < 1e-9


def test_an_unknown_truth_has_no_figures() -> None:
    hr = np.zeros((3, 40, 40), np.uint8)
    sample = Sample("x", 4, hr, hr[None, :, ::4, ::4], (float("nan"),), ("pair",), (None,))
    assert kernel_figures(sample, 0, Estimate(np.eye(21) / 21, "hr")) is None


def test_peak_error_by_hand() -> None:
    true, found = np.zeros((3, 3)), np.zeros((5, 5))
    true[1, 1], true[0, 1] = 0.5, 0.25
    found[2, 2], found[2, 3], found[0, 0] = 0.8, 0.2, 9e-9
    assert peak_error(found, true) == pytest.approx((0.5**2 + 0.25**2) / 9)
    assert peak_error(true, np.pad(true, 2)) == 0
