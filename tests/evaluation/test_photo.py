"""The photo benchmark: each step against an independent one, and the figure that it must give."""

import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import correlate

from dcls_cli.evaluation.gaussian8 import bicubic_restore
from dcls_cli.evaluation.photo import (
    RECIPES,
    Recipe,
    _blurred,
    _grain,
    _noisy,
    _to_linear,
    _to_srgb,
    blur_kernel,
    photo_sample,
)
from dcls_cli.evaluation.rows import mean_row
from dcls_cli.evaluation.samples import find_hr, read_hr
from dcls_cli.kernels import shape_of
from tests import oracle, scenes

SHARED = Path(__file__).resolve().parents[3] / "shared"


def hr_of(height: int = 96, width: int = 80) -> np.ndarray:
    return np.uint8(np.round(255 * scenes.natural(height, width))).transpose(2, 0, 1)


def test_every_image_gets_every_recipe() -> None:
    sample = photo_sample("x", hr_of(99, 82), 4)
    assert sample.lr.shape == (8, 3, 24, 20)
    assert sample.cases == tuple(recipe.name for recipe in RECIPES)
    assert len({lr.tobytes() for lr in sample.lr}) == 8


def test_the_damage_depends_on_the_pixels_alone() -> None:
    assert np.array_equal(photo_sample("a", hr_of(), 4).lr, photo_sample("b", hr_of(), 4).lr)


@pytest.mark.parametrize("scale", [2, 4])
def test_kernels_have_the_widths_and_the_direction_of_their_recipe(scale: int) -> None:
    for recipe in RECIPES:
        shape = shape_of(blur_kernel(recipe, scale))
        along, across = (sigma * scale / 4 for sigma in recipe.sigma)
        if not along:
            assert shape.width_px == 0
            continue
        # Sampling on pixels shows where the Gaussian is narrower than one.
        assert shape.major_px == pytest.approx(along, rel=0.03)
        assert shape.minor_px == pytest.approx(across, rel=0.12)
        if along != across:
            assert shape.angle_deg == pytest.approx(recipe.angle_deg, abs=1)


def test_the_blur_is_scipy_s_correlation() -> None:
    image, kernel = scenes.natural(40, 30), blur_kernel(RECIPES[3], 4)
    expected = correlate(image, kernel[..., None], mode="mirror")
    found = _blurred(image.transpose(2, 0, 1), kernel).transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_sharp_recipe_is_bicubic_and_a_perfect_jpeg() -> None:
    sample = photo_sample("x", hr_of(), 4)
    expected = oracle.q8(oracle.imresize(sample.hr.transpose(1, 2, 0) / 255.0, 0.25))
    coded = BytesIO()
    picture = Image.fromarray(np.uint8(np.round(255 * expected)))
    picture.save(coded, "JPEG", quality=100, subsampling=0)
    decoded = np.asarray(Image.open(coded)).transpose(2, 0, 1)
    difference = np.abs(sample.lr[0].astype(int) - decoded)
    # Pillow leaves out what lies beyond the border, MATLAB mirrors it; JPEG's blocks spread that.
    assert difference[:, 8:16, 8:16].max() <= 2
    assert difference.mean() < 1


def test_srgb_is_its_own_inverse_and_has_the_standard_s_values() -> None:
    levels = np.linspace(0, 1, 256)
    np.testing.assert_allclose(_to_srgb(_to_linear(levels)), levels, atol=1e-12)
    assert _to_linear(np.array([0.5]))[0] == pytest.approx(0.21404, abs=1e-5)


@pytest.mark.parametrize("light", [0.05, 0.3])
def test_noise_has_the_strength_that_the_recipe_says_in_linear_light(light: float) -> None:
    recipe = Recipe(name="x", sigma=(0, 0), read=0.004, shot=1e-3, quality=95)
    flat = _to_srgb(np.full((3, 200, 200), light))
    noise = _to_linear(_noisy(flat, recipe, np.random.RandomState(0))) - light
    assert noise.std() == pytest.approx(math.sqrt(0.004**2 + 1e-3 * light), rel=0.03)
    assert abs(noise.mean()) < 2e-4
    red, green, _ = noise.reshape(3, -1)
    assert np.corrcoef(red, green)[0, 1] == pytest.approx(0.5, abs=0.03)


def test_grain_has_two_thirds_of_the_strength_and_spreads() -> None:
    pattern = _grain(np.random.RandomState(0).standard_normal((3, 200, 200)))
    assert pattern.std() == pytest.approx(2 / 3, rel=0.03)
    assert np.mean(pattern * np.roll(pattern, 1, 2)) / pattern.var() == pytest.approx(
        2 / 3, abs=0.03
    )


def test_bicubic_has_the_published_figures_on_set5() -> None:
    """The figures of docs/benchmark.md: the damage is the same on every machine."""
    folder = SHARED / "data" / "Set5" / "x4" / "HR"
    if not folder.is_dir():
        pytest.skip("Set5 is not part of this checkout")
    rows = [
        row
        for path in find_hr(folder)
        for row in photo_sample(path.name, read_hr(path), 4).rows(bicubic_restore(4))
    ]
    mean = mean_row(rows)
    assert mean.psnr_y == pytest.approx(26.538, abs=0.001)
    assert mean.ssim_y == pytest.approx(0.7395, abs=0.0001)
