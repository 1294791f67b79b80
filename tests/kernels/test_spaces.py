"""HR and LR forms of one blur, against the network's layer and against Gaussians."""

import numpy as np
import pytest
import torch

from dcls_cli.kernels.geometry import to_hr, to_lr
from dcls_cli.network.reformulation import ReformulatedKernel
from tests import oracle

SIGMAS = {2: (0.8, 1.6), 3: (1.35, 2.4), 4: (1.8, 3.2)}
CASES = [(scale, sigma) for scale, ends in SIGMAS.items() for sigma in ends]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_lr_form_is_what_the_network_deconvolves_with(scale: int) -> None:
    kernel = np.random.default_rng(0).random((21, 21))
    kernel /= kernel.sum()
    expected = ReformulatedKernel(scale)(torch.from_numpy(kernel)[None, None].float())[0, 0]
    np.testing.assert_allclose(to_lr(kernel, scale, 21), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize(("scale", "sigma"), CASES)
def test_a_gaussian_comes_back_from_its_lr_form(scale: int, sigma: float) -> None:
    kernel = np.outer(oracle.gauss1d(21, sigma), oracle.gauss1d(21, 0.8 * sigma))
    got, misfit = to_hr(to_lr(kernel, scale, 21), scale, 21)
    assert np.abs(got - kernel).sum() < 0.06  # of 2, the most that two kernels can differ
    assert misfit < 1e-3


def test_no_blur_is_no_blur() -> None:
    impulse = np.zeros((21, 21))
    impulse[10, 10] = 1
    np.testing.assert_allclose(to_lr(impulse, 4, 21), impulse, atol=1e-9)
    got, misfit = to_hr(impulse, 4, 21)
    np.testing.assert_allclose(got, impulse, atol=1e-4)
    assert misfit < 1e-4


def test_a_sharp_edged_lr_kernel_is_met_where_lr_pixels_can_tell() -> None:
    """Whatever the HR taps are, the LR form of what was found is the kernel that was asked for."""
    box = np.pad(np.full((3, 3), 1 / 9), 9)
    got, misfit = to_hr(box, 4, 21)
    assert misfit < 0.01
    assert np.abs(to_lr(got, 4, 21) - box).sum() < 0.01


def test_a_kernel_too_wide_shows_in_the_misfit() -> None:
    assert to_hr(np.pad(np.full((11, 11), 1 / 121), 5), 4, 21)[1] > 0.3
