"""Measures of kernels against the Gaussians and lines that they were made from."""

import numpy as np
import pytest

from dcls_cli.kernels import kernel_width_px, log_spectrum, shape_of
from tests import oracle


def gaussian(along: float, across: float, angle_deg: float, size: int = 41) -> np.ndarray:
    """Widest at an angle as it is seen: anticlockwise from the right."""
    down, right = np.mgrid[:size, :size] - size // 2
    angle = np.radians(angle_deg)
    u = right * np.cos(angle) - down * np.sin(angle)
    v = right * np.sin(angle) + down * np.cos(angle)
    kernel = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2))
    return np.asarray(kernel / kernel.sum(), np.float32)


@pytest.mark.parametrize("angle", [0.0, 20.0, 45.0, 90.0, 160.0])
def test_an_anisotropic_gaussian_gives_back_its_axes_and_its_angle(angle: float) -> None:
    shape = shape_of(np.roll(gaussian(3.0, 1.0, angle), (2, -5), axis=(0, 1)))
    assert shape.major_px == pytest.approx(3, rel=1e-3)
    assert shape.minor_px == pytest.approx(1, rel=1e-3)
    assert shape.anisotropy == pytest.approx(2 / 3, rel=1e-3)
    assert shape.width_px == pytest.approx(np.sqrt(5), rel=1e-3)
    assert (shape.angle_deg - angle + 90) % 180 - 90 == pytest.approx(0, abs=0.1)
    assert 0 <= shape.angle_deg < 180


@pytest.mark.parametrize("sigma", [0.8, 1.8, 3.2])
def test_a_round_gaussian_is_as_wide_as_its_sigma(sigma: float) -> None:
    shape = shape_of(oracle.gauss_iso(41, sigma))
    assert shape.width_px == pytest.approx(sigma, rel=1e-3)
    assert shape.anisotropy == pytest.approx(0, abs=1e-6)


def test_a_line_that_rises_to_the_right_is_at_45_degrees() -> None:
    shape = shape_of(np.fliplr(np.eye(9)))
    assert shape.angle_deg == pytest.approx(45)
    assert shape.anisotropy == pytest.approx(1)
    assert shape.major_px == pytest.approx(np.sqrt(2 * 20 / 3))  # 9 steps of root 2


def test_negative_taps_do_not_count_and_degenerate_kernels_have_no_width() -> None:
    kernel = gaussian(1.5, 1.5, 0)
    kernel[0, 0] = -0.01
    assert kernel_width_px(kernel) == pytest.approx(1.5, rel=1e-3)
    impulse = np.zeros((21, 21), np.float32)
    assert kernel_width_px(impulse) == 0
    impulse[10, 10] = 1
    assert shape_of(impulse) == shape_of(np.zeros((3, 3)))


def test_the_spectrum_of_a_gaussian_is_a_gaussian() -> None:
    decibels = log_spectrum(oracle.gauss_iso(31, 2.0), 64)
    omega = 2 * np.pi * (np.arange(64) - 32) / 64
    expected = 20 * np.log10(np.e) * -0.5 * 4.0 * (omega[:, None] ** 2 + omega**2)
    seen = expected > -60
    assert decibels[32, 32] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(decibels[seen], expected[seen], atol=0.05)
