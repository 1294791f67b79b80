"""The damaged result against damage by other means, whole and in windows."""

import numpy as np
import pytest
from scipy.ndimage import convolve

from dcls_cli.reports import consistency as module
from dcls_cli.reports.consistency import consistency, damage_again
from tests import oracle, scenes

COMET = np.zeros((21, 21))
COMET[10, 6:16] = 0.7 ** np.arange(10)
COMET = convolve(COMET, oracle.gauss_iso(9, 1.2), mode="constant")
COMET /= COMET.sum()


def damaged(hr: scenes.Image, kernel: np.ndarray, scale: int) -> scenes.Image:
    planes = [convolve(hr[..., c], kernel, mode="mirror") for c in range(3)]
    return np.asarray(oracle.imresize(np.stack(planes, -1), 1 / scale))


def planes(image: scenes.Image) -> np.ndarray:
    return image.transpose(2, 0, 1)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_damage_is_convolution_then_bicubic(scale: int) -> None:
    hr = scenes.natural(24 * scale, 30 * scale)
    expected = damaged(hr, COMET, scale).clip(0, 1)
    np.testing.assert_allclose(
        damage_again(planes(hr), COMET, "hr", scale), planes(expected), atol=1e-4
    )


def test_damage_in_lr_pixels_is_bicubic_then_convolution() -> None:
    hr = scenes.natural(80, 60)
    low = oracle.imresize(hr, 1 / 2)
    expected = np.stack([convolve(low[..., c], COMET, mode="mirror") for c in range(3)]).clip(0, 1)
    np.testing.assert_allclose(damage_again(planes(hr), COMET, "lr", 2), expected, atol=1e-6)


def test_the_true_original_is_consistent_to_the_rounding_and_bicubic_is_not() -> None:
    hr = scenes.natural(240, 200)
    lr = planes(oracle.q8(damaged(hr, COMET, 4)))
    got = consistency(lr, planes(hr), COMET, "hr", 4)
    rounding_db = -10 * np.log10(1 / 12 / 255**2)
    assert got.psnr_db == pytest.approx(rounding_db, abs=0.2)
    enlarged = oracle.imresize(lr.transpose(1, 2, 0), 4).clip(0, 1)
    expected = damaged(enlarged, COMET, 4)
    expected_db = -10 * np.log10(np.mean((planes(expected) - lr) ** 2))
    assert got.bicubic_psnr_db == pytest.approx(expected_db, abs=0.01)
    assert got.bicubic_psnr_db < got.psnr_db - 10
    assert (got.block, got.residual.shape) == (1, (60, 50))


@pytest.mark.parametrize("space", ["hr", "lr"])
def test_windows_give_what_the_whole_gives(space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hr = planes(scenes.natural(160, 220))
    lr = planes(scenes.natural(80, 110, seed=1))
    monkeypatch.setattr(module, "WINDOW_PX", 200)
    whole = consistency(lr, hr, COMET, space, 2)
    monkeypatch.setattr(module, "WINDOW_PX", 40)
    monkeypatch.setattr(module, "MAP_PX", 37)
    parts = consistency(lr, hr, COMET, space, 2)
    assert parts.psnr_db == pytest.approx(whole.psnr_db, abs=1e-4)
    assert parts.bicubic_psnr_db == pytest.approx(whole.bicubic_psnr_db, abs=1e-4)
    assert (parts.block, parts.residual.shape) == (3, (27, 37))
    corner = np.sqrt(np.mean(whole.residual[3:6, 6:9] ** 2))
    assert parts.residual[1, 2] == pytest.approx(corner, rel=1e-4)


def test_the_residual_shows_where_something_was_invented() -> None:
    hr = scenes.natural(160, 160)
    lr = planes(damaged(hr, COMET, 4))
    hr[40:80, 100:120] = 1
    residual = consistency(lr, planes(hr), COMET, "hr", 4).residual
    row, column = np.unravel_index(residual.argmax(), residual.shape)
    assert 10 <= row < 20
    assert 25 <= column < 30
    assert residual[30:, :10].max() < 1e-3


def test_equal_pictures_are_infinitely_consistent() -> None:
    flat = np.full((3, 8, 8), 0.5)
    impulse = np.pad([[1.0]], 10)
    assert consistency(flat, flat.repeat(2, 1).repeat(2, 2), impulse, "hr", 2).psnr_db > 120
