"""The rule behind `--model auto`."""

import numpy as np
import pytest

from dcls_cli.choice import NOISE_LIMIT, choose
from dcls_cli.errors import WeightsError
from dcls_cli.image.traces import traces
from tests.image.test_traces import jpeg, small_and_busy, smooth
from tests.scenes import natural


def test_a_clean_png_gets_the_default_of_the_scale() -> None:
    choice = choose(np.round(smooth(256, 256) * 255) / 255, "PNG", 4)
    assert choice.model == "dcls-light-x4"


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF", "HEIF"])
def test_a_lossy_format_gets_the_photo_model(form: str) -> None:
    choice = choose(smooth(64, 64), form, 4)
    assert choice.model == "dcls-photo-x4"
    assert form in choice.reason


def test_noise_gets_the_photo_model_and_is_named() -> None:
    noisy = smooth(256, 256) + np.random.default_rng(0).normal(0, 4 / 255, (256, 256))
    choice = choose(noisy, "PNG", 4)
    assert choice.model == "dcls-photo-x4"
    assert "noise of 3." in choice.reason


def test_a_jpeg_saved_as_png_gets_the_photo_model() -> None:
    smooth_scene = (natural(400, 400) + 3 * smooth(400, 400).transpose(1, 2, 0)) / 4
    choice = choose(jpeg(smooth_scene, 70), "PNG", 4)
    assert choice.model == "dcls-photo-x4"
    assert "JPEG" in choice.reason


def test_a_scale_without_a_photo_model_says_so() -> None:
    choice = choose(smooth(64, 64), "JPEG", 2)
    assert choice.model == "dcls-light-x2"
    assert "no model for photographs at x2" in choice.reason


def test_a_scale_without_any_model_is_an_error() -> None:
    with pytest.raises(WeightsError, match="x8"):
        choose(smooth(64, 64), "PNG", 8)  # type: ignore[arg-type]


def test_the_texture_of_a_small_clean_picture_is_no_noise() -> None:
    picture = small_and_busy()
    assert traces(picture).noise > NOISE_LIMIT  # it has no smooth block
    assert choose(picture, "PNG", 4).model == "dcls-light-x4"
