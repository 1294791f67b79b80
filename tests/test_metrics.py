"""PSNR and SSIM against the oracle and values computed by hand."""

import math

import numpy as np
import pytest

from dcls_cli.errors import ImageError
from dcls_cli.metrics import crop_border, luma, psnr, round_to_8_bit, ssim
from tests import oracle

RANDOM = np.random.default_rng(0)


class TestRoundTo8Bit:
    """Rounding of restored images."""

    def test_clamps_and_rounds(self) -> None:
        values = np.array([-1.0, 0.4 / 255, 0.6 / 255, 2.0], dtype=np.float32)
        rounded = round_to_8_bit(values)
        assert rounded.dtype == np.float64
        assert rounded.tolist() == [0, 0, 1 / 255, 1]

    def test_equals_oracle(self) -> None:
        values = RANDOM.uniform(-0.2, 1.2, (3, 9, 7))
        assert np.array_equal(round_to_8_bit(values), oracle.q8(values))


class TestLuma:
    """Y of BT.601."""

    def test_black_white_and_primaries(self) -> None:
        colours = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
        y = luma(colours.T[:, None])
        np.testing.assert_allclose(y, [[16, 235, 81.481, 144.553, 40.966]], atol=1e-12)

    def test_equals_oracle_and_is_not_rounded(self) -> None:
        image = RANDOM.random((3, 6, 5))
        y = luma(image)
        np.testing.assert_allclose(y, oracle.to_y(image.transpose(1, 2, 0)), atol=1e-12)
        assert not np.array_equal(y, np.round(y))


class TestCropBorder:
    """Borders that do not count."""

    def test_keeps_the_inside(self) -> None:
        image = np.arange(3 * 6 * 7, dtype=float).reshape(3, 6, 7)
        assert np.array_equal(crop_border(image, 2), image[:, 2:4, 2:5])
        assert np.array_equal(crop_border(image, 0), image)

    def test_refuses_to_keep_nothing(self) -> None:
        with pytest.raises(ImageError, match="7x4 px is too small"):
            crop_border(np.zeros((3, 4, 7)), 2)


class TestPsnr:
    """Signal-to-noise ratio."""

    def test_by_hand(self) -> None:
        a = np.zeros((4, 4))
        assert psnr(a, a + 255) == pytest.approx(0)
        assert psnr(a, a + 25.5) == pytest.approx(20)
        assert psnr(a, a + 0.1, peak=1.0) == pytest.approx(20)

    def test_equals_oracle(self) -> None:
        a, b = RANDOM.uniform(16, 235, (2, 20, 30))
        assert psnr(a, b) == pytest.approx(oracle.psnr(a, b), abs=1e-12)

    def test_of_equal_images_is_infinite(self) -> None:
        assert psnr(np.ones((2, 2)), np.ones((2, 2))) == math.inf

    def test_of_what_is_no_number_is_no_number(self) -> None:
        assert math.isnan(psnr(np.full((2, 2), np.nan), np.ones((2, 2))))

    def test_refuses_other_shapes(self) -> None:
        with pytest.raises(ImageError, match=r"\(2, 3\) and \(3, 2\)"):
            psnr(np.zeros((2, 3)), np.zeros((3, 2)))


class TestSsim:
    """Structural similarity."""

    @pytest.mark.parametrize("shape", [(11, 11), (23, 12), (40, 57)])
    def test_equals_oracle(self, shape: tuple[int, int]) -> None:
        a = RANDOM.uniform(16, 235, shape)
        b = a + RANDOM.normal(0, 20, shape)
        assert ssim(a, b) == pytest.approx(oracle.ssim(a, b), abs=1e-12)

    def test_of_equal_images_is_one(self) -> None:
        a = RANDOM.uniform(16, 235, (16, 16))
        assert ssim(a, a) == pytest.approx(1, abs=1e-12)

    def test_of_two_flat_images_by_hand(self) -> None:
        # No variance: only the luminance term is left.
        c1 = (0.01 * 255) ** 2
        expected = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)
        assert ssim(np.full((12, 12), 100.0), np.full((12, 12), 120.0)) == pytest.approx(expected)

    def test_falls_with_noise(self) -> None:
        a = RANDOM.uniform(16, 235, (32, 32))
        noise = RANDOM.normal(0, 1, a.shape)
        similarities = [ssim(a, a + level * noise) for level in (1, 10, 50)]
        assert similarities == sorted(similarities, reverse=True)

    def test_refuses_small_images(self) -> None:
        with pytest.raises(ImageError, match="20x10 px .* needs 11 px"):
            ssim(np.zeros((10, 20)), np.zeros((10, 20)))
