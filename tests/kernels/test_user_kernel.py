"""Kernels that users bring: what is accepted, what is changed and said, what is refused."""

import numpy as np
import pytest

from dcls_cli.config import KernelSpace, ModelConfig
from dcls_cli.errors import KernelError
from dcls_cli.kernels import UserKernel, fit_kernel
from tests import oracle

HR = ModelConfig.light(4)
LR = ModelConfig.paper(4)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 3)), "all taps are zero"),
        (np.ones((3, 3, 3)), r"taps as \(rows, columns\), got an array of \(3, 3, 3\)"),
        (np.ones(9), r"got an array of \(9,\)"),
        (np.ones((0, 3)), r"got an array of \(0, 3\)"),
        (np.ones((1024, 1)), "at most 1023 taps a side, got 1x1024"),
        (np.array([[1, np.nan]]), "expected finite taps"),
        (np.array([[1, np.inf]]), "expected finite taps"),
        (np.array([[1.0, -1.0]]), "negative taps are 100% of its positive ones"),
        (np.array([[1.0, -0.2]]), "20% of its positive ones, expected at most 10%"),
        (np.array([[-1.0, -0.2]]), "more than all"),
        (np.array([["1"]]), "expected numbers"),
        (np.array([[1j]]), "expected numbers"),
        (np.array([[True]]), "expected numbers"),
        (np.array([[None]]), "expected numbers"),
    ],
)
def test_what_is_no_blur_is_refused(array: np.ndarray, said: str) -> None:
    with pytest.raises(KernelError, match=said):
        UserKernel.of(array)


def test_the_sum_becomes_one_and_that_is_said() -> None:
    taps = oracle.gauss_iso(21, 2.0)
    assert UserKernel.of(taps).notes == ()
    counts = UserKernel.of(np.rint(taps * 60000).astype(np.uint16))
    assert counts.taps.sum() == pytest.approx(1)
    assert counts.notes == (f"its sum was {np.rint(taps * 60000).sum():g}; divided by it",)
    np.testing.assert_allclose(fit_kernel(counts, HR).kernel, taps, atol=2e-5)


def test_a_kernel_that_fits_is_left_as_it_is() -> None:
    taps = oracle.gauss_iso(21, 2.0).astype(np.float32)
    fitted = fit_kernel(UserKernel.of(taps), HR)
    np.testing.assert_allclose(fitted.kernel, taps, rtol=1e-6)
    assert fitted.kernel.dtype == np.float32
    assert fitted.notes == ()


@pytest.mark.parametrize("shape", [(9, 9), (10, 12), (30, 31)])
def test_any_size_becomes_the_networks(shape: tuple[int, int]) -> None:
    taps = np.outer(oracle.gauss1d(shape[0], 1.5), oracle.gauss1d(shape[1], 1.5))
    fitted = fit_kernel(UserKernel.of(taps), HR)
    assert fitted.kernel.shape == (21, 21)
    assert fitted.kernel.sum() == pytest.approx(1, abs=1e-6)
    assert np.abs(fitted.kernel - oracle.gauss_iso(21, 1.5)).sum() < 0.02
    assert fitted.notes == ()  # even sizes are centred in their middle


def test_a_kernel_off_its_middle_is_moved_and_that_is_said() -> None:
    taps = np.roll(oracle.gauss_iso(21, 1.5), (-2, 3), axis=(0, 1))
    fitted = fit_kernel(UserKernel.of(taps), HR)
    (note,) = fitted.notes
    assert "+3.00 px to the right and -2.00 px down" in note
    np.testing.assert_allclose(fitted.kernel, oracle.gauss_iso(21, 1.5), atol=1e-4)


def test_what_is_wider_than_the_network_is_cut_a_little_or_refused() -> None:
    (note,) = fit_kernel(UserKernel.of(oracle.gauss_iso(41, 3.8)), HR).notes
    assert "cut off 1." in note
    with pytest.raises(KernelError, match="outside the 21x21 output pixels"):
        fit_kernel(UserKernel.of(oracle.gauss_iso(41, 6.0)), HR)
    with pytest.raises(KernelError, match="outside the 21x21 input pixels"):
        fit_kernel(UserKernel.of(np.ones((41, 41)), "lr"), LR)
    with pytest.raises(KernelError, match="no blur within 21x21 output pixels"):
        fit_kernel(UserKernel.of(np.ones((11, 11)) / 121, "lr"), HR)


@pytest.mark.parametrize(("space", "config"), [("hr", HR), ("lr", LR)])
def test_the_networks_own_space_needs_no_conversion(
    space: KernelSpace, config: ModelConfig
) -> None:
    comet = np.zeros((3, 9))
    comet[1, 3:7] = [6, 0, 0, 3]
    got = fit_kernel(UserKernel.of(comet, space), config).kernel
    assert (got[10, 9], got[10, 12]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert np.abs(got).sum() == pytest.approx(1)


def test_an_hr_kernel_is_seen_by_an_lr_network_through_the_closed_form() -> None:
    """A Gaussian keeps its width: LR pixels are four times as large."""
    got = fit_kernel(UserKernel.of(oracle.gauss_iso(31, 3.2), "hr"), LR).kernel.astype(float)
    offset = np.arange(21) - 10
    variance = got.sum(axis=0) @ offset**2
    assert np.sqrt(variance) == pytest.approx(3.2 / 4, rel=0.01)
    far = fit_kernel(UserKernel.of(oracle.gauss_iso(61, 8.0), "hr"), LR)  # wider than 21 HR pixels
    assert np.sqrt(far.kernel.sum(axis=0) @ offset**2) == pytest.approx(2, rel=0.01)
    assert far.notes == ()


def test_both_forms_of_one_blur_agree_in_either_network() -> None:
    hr = oracle.gauss_iso(21, 2.4)
    lr = fit_kernel(UserKernel.of(hr, "hr"), LR).kernel
    back = fit_kernel(UserKernel.of(lr, "lr"), HR).kernel
    assert np.abs(back - hr).sum() < 0.01
