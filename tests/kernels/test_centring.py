"""Kernels are centred on their mass without becoming wider or narrower."""

import numpy as np
import pytest

from dcls_cli.kernels.geometry import centre_of_mass, centred
from tests import oracle


@pytest.mark.parametrize("size", [19, 21, 41])
def test_a_centred_kernel_is_only_cut_or_padded(size: int) -> None:
    wide = oracle.gauss_iso(31, 2.0)
    got, lost = centred(wide, size)
    margin = (31 - size) // 2
    cut = wide[margin : 31 - margin, margin : 31 - margin] if margin > 0 else np.pad(wide, -margin)
    np.testing.assert_allclose(got, cut / cut.sum(), atol=1e-15)
    assert lost == pytest.approx(1 - cut.sum(), abs=1e-12)


def test_an_even_gaussian_becomes_the_odd_one_of_the_same_width() -> None:
    """Its middle lies between taps; interpolation would make it wider, this does not."""
    even = np.outer(oracle.gauss1d(20, 1.5), oracle.gauss1d(24, 1.5))
    got, _ = centred(even, 21)
    np.testing.assert_allclose(got, oracle.gauss_iso(21, 1.5), atol=2e-6)


def test_two_taps_become_their_average_half_a_pixel_on() -> None:
    got, lost = centred(np.array([[0.5, 0.5]]), 41)
    omega = np.linspace(-2.4, 2.4, 7)
    across = np.arange(41) - 20
    response = np.exp(-1j * np.outer(omega, across)) @ got.sum(axis=0)
    np.testing.assert_allclose(response, np.cos(omega / 2), atol=0.01)
    assert lost == 0


@pytest.mark.parametrize("shift", [(0, 0), (3, -4), (0.3, 0.0), (-2.45, 1.5)])
def test_wherever_the_mass_was_it_is_in_the_middle(shift: tuple[float, float]) -> None:
    moved = np.outer(oracle.gauss1d(31, 1.8, shift[0]), oracle.gauss1d(31, 1.8, shift[1]))
    assert centre_of_mass(moved) == pytest.approx((15 + shift[0], 15 + shift[1]), abs=1e-3)
    got, _ = centred(moved, 21)
    np.testing.assert_allclose(got, oracle.gauss_iso(21, 1.8), atol=2e-5)
    assert centre_of_mass(got) == pytest.approx((10, 10), abs=0.01)


def test_a_lopsided_kernel_keeps_its_orientation() -> None:
    comet = np.zeros((5, 9))
    comet[2, 3:7] = [6, 0, 0, 3]  # its centre of mass is column 4
    got, _ = centred(comet, 7)
    expected = np.zeros((7, 7))
    expected[3, 2], expected[3, 5] = 2 / 3, 1 / 3
    np.testing.assert_allclose(got, expected, atol=1e-15)


def test_what_lies_outside_is_counted() -> None:
    kernel = np.ones((1, 4))
    kernel[0, 3] = 0  # three equal taps
    assert centred(kernel, 1)[1] == pytest.approx(2 / 3)
