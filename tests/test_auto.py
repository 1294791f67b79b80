"""The rule behind `--model auto`."""

import io

import numpy as np
import pytest
from PIL import Image

from dcls_cli.errors import WeightsError
from dcls_cli.evaluation.graphics import draw
from dcls_cli.image import Photo, decode
from dcls_cli.models.auto import choose, features, rule
from tests.image.test_traces import jpeg, small_and_busy, smooth
from tests.scenes import natural


def as_file(picture: np.ndarray, form: str = "PNG", **options: object) -> Photo:
    """A file of (3, H, W) in [0, 1], read again."""
    levels = np.rint(picture.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels)).save(file, form, **options)
    return decode(file)


def reduced(name: str) -> np.ndarray:
    """A picture of the graphics benchmark at a quarter of its size: (3, h, w) in [0, 1]."""
    picture = Image.fromarray(draw(name).transpose(1, 2, 0))
    small = picture.resize((picture.width // 4, picture.height // 4), Image.Resampling.BOX)
    return np.asarray(small).transpose(2, 0, 1) / 255


def test_a_clean_photograph_gets_the_default_of_the_scale() -> None:
    choice = choose(as_file(small_and_busy()), 4)
    assert choice.model == "dcls-light-x4"
    assert choice.reason == "it shows no noise and no compression"


def test_a_compressed_photograph_gets_the_photo_model() -> None:
    choice = choose(as_file(small_and_busy(), "JPEG", quality=60), 4)
    assert choice.model == "dcls-photo-x4"
    assert choice.reason == "JPEG compresses with loss"


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("quality", [30, 95])
def test_a_lossy_file_is_never_called_clean(form: str, quality: int) -> None:
    photo = as_file(small_and_busy(), form, quality=quality)
    assert not photo.lossless
    words = {
        "dcls-photo-x4": f"{form} compresses with loss",
        "dcls-light-x4": f"what {form} has lost does not show",
    }
    choice = choose(photo, 4)
    assert choice.reason == words[choice.model]


def test_noise_gets_the_photo_model_and_is_named() -> None:
    noise = np.random.default_rng(0).normal(0, 8 / 255, (3, 144, 144))
    choice = choose(as_file(small_and_busy() + noise), 4)
    assert choice.model == "dcls-photo-x4"
    assert "noise of " in choice.reason


def test_a_jpeg_saved_as_png_gets_the_photo_model() -> None:
    smooth_scene = (natural(400, 400) + 3 * smooth(400, 400).transpose(1, 2, 0)) / 4
    choice = choose(as_file(jpeg(smooth_scene, 70)), 4)
    assert choice.model == "dcls-photo-x4"
    assert "JPEG" in choice.reason


@pytest.mark.parametrize("name", ["screens-03", "text-02", "charts-04", "flags-france"])
def test_a_clean_drawing_is_not_taken_for_a_noisy_or_compressed_photograph(name: str) -> None:
    choice = choose(as_file(reduced(name)), 4)
    assert choice.model == "dcls-light-x4"
    assert "noise of" not in choice.reason
    assert "JPEG" not in choice.reason


def test_a_lossless_webp_is_judged_as_its_pixels() -> None:
    picture = reduced("logos-04")
    webp, png = as_file(picture, "WEBP", lossless=True), as_file(picture)
    assert webp.lossless
    assert choose(webp, 4) == choose(png, 4)
    assert features(webp) == features(png)


def test_what_nobody_sees_is_no_trace() -> None:
    """Hidden colours are filled in squares of 2, 4, 8 pixels, which would look like JPEG."""
    picture = small_and_busy()
    alpha = np.zeros((1, 144, 144))
    alpha[:, 20:120, 30:100] = 1
    cut = choose(as_rgba(np.concatenate([picture, alpha])), 4)
    assert cut.model == "dcls-light-x4"
    assert "JPEG" not in cut.reason


def as_rgba(picture: np.ndarray) -> Photo:
    levels = np.rint(picture * 255).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels), "RGBA").save(file, "PNG")
    return decode(file)


def test_the_photo_model_of_the_next_scale_stands_in() -> None:
    photo = as_file(small_and_busy(), "JPEG", quality=60)
    choice = choose(photo, 2)
    assert choice.model == "dcls-photo-x4"
    assert "its x4 result is reduced" in choice.reason
    exact = choose(photo, 2, exact=True)
    assert exact.model == "dcls-light-x2"
    assert "no model for photographs at x2" in exact.reason


def test_a_scale_without_any_model_is_an_error() -> None:
    with pytest.raises(WeightsError, match="x8"):
        choose(as_file(smooth(64, 64)), 8)  # type: ignore[arg-type]


def test_the_rule_looks_at_features_that_there_are() -> None:
    seen = features(as_file(smooth(64, 64)))
    _, steps = rule()
    assert {step.feature for step in steps} <= set(seen)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (8, 8), (3, 5)])
def test_any_size_gets_a_model(size: tuple[int, int]) -> None:
    assert choose(as_file(smooth(*size)), 4).model in ("dcls-light-x4", "dcls-photo-x4")
