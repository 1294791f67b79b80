"""Noise and block grids against pictures that have a known amount of them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli.image.traces import measure_traces
from tests.scenes import natural

PHOTO = Path(__file__).parents[2] / "examples" / "dog-original.png"


def smooth(height: int, width: int) -> np.ndarray:
    """A ramp without texture: (3, H, W) in [0, 1]."""
    rows, columns = np.mgrid[:height, :width]
    ramp = 0.2 + 0.3 * rows / height + 0.3 * columns / width
    return np.repeat(ramp[None], 3, axis=0)


def small_and_busy() -> np.ndarray:
    """A clean photograph made so small that no part of it is smooth: (3, 144, 144) in [0, 1]."""
    with Image.open(PHOTO) as photo:
        small = photo.convert("RGB").resize((144, 144), Image.Resampling.BICUBIC)
    return np.asarray(small).transpose(2, 0, 1) / 255


@pytest.mark.parametrize("sigma", [1.0, 3.0, 8.0])
def test_white_noise_is_measured_in_levels(sigma: float) -> None:
    noise = np.random.default_rng(0).normal(0, sigma / 255, (1, 512, 512))
    # The quietest twentieth of blocks with 64 samples each lies a fifth below the mean.
    assert measure_traces(smooth(512, 512) + noise).noise == pytest.approx(0.8 * sigma, rel=0.05)


def test_rounding_alone_is_a_third_of_a_level() -> None:
    rounded = np.round(smooth(512, 512) * 255) / 255
    assert measure_traces(rounded).noise < 0.4


def test_edges_are_no_noise() -> None:
    stripes = smooth(256, 256)
    stripes[:, :, ::32] = 0.9
    assert measure_traces(stripes).noise < 0.01


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """Compress and decode with Pillow: (H, W, 3) in [0, 1] to (3, H, W)."""
    file = io.BytesIO()
    Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).transpose(2, 0, 1) / 255


@pytest.mark.parametrize("shift", [(0, 0), (3, 5)])
def test_the_grid_of_jpeg_stands_out_wherever_it_starts(shift: tuple[int, int]) -> None:
    compressed = jpeg(natural(400, 400), 60)[:, shift[0] :, shift[1] :]
    assert measure_traces(compressed).grid > 8


def test_a_picture_without_jpeg_has_no_grid() -> None:
    assert measure_traces(natural(400, 400).transpose(2, 0, 1)).grid < 3.5


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (8, 8), (9, 3), (257, 5)])
def test_any_size_is_measured(size: tuple[int, int]) -> None:
    seen = measure_traces(smooth(*size))
    assert np.isfinite([seen.noise, seen.grid]).all()


class Counted:
    """A picture that counts how many values are read from it."""

    def __init__(self, picture: np.ndarray) -> None:
        self.picture, self.shape, self.read = picture, picture.shape, 0

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:  # noqa: D105
        window = self.picture[index]
        self.read += window.size
        return window


def test_a_large_picture_is_sampled() -> None:
    picture = Counted(smooth(2500, 3000))
    noise = np.random.default_rng(0).normal(0, 3 / 255, (2500, 3000))
    picture.picture += noise
    assert measure_traces(picture).noise == pytest.approx(0.8 * 3, rel=0.05)
    assert picture.read == 3 * 16 * 256**2


def test_white_noise_is_white_and_texture_is_not() -> None:
    noise = np.random.default_rng(0).normal(0, 4 / 255, (3, 128, 128))
    assert measure_traces(smooth(128, 128) + noise).whiteness == pytest.approx(1, abs=0.1)
    assert measure_traces(small_and_busy()).whiteness < 0.45


def test_without_detail_there_is_no_whiteness() -> None:
    assert measure_traces(np.full((3, 64, 64), 0.5)).whiteness == 0
