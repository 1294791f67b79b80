"""Pictures that hide their blur, in the page and by the Python engine; see `test_page.py`."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli import Upscaler
from tests.web import pictures
from tests.web.engine import CORRECTED_TOLERANCE, LIGHT, PHOTO, chosen, differs
from tests.web.nodes import Drive

pytestmark = pytest.mark.slow

#: Restored by both; in one tile, or in several.
OPAQUE: dict[str, Callable[[], np.ndarray]] = {
    "flag": lambda: pictures.flag(64, 100),
    "wide flag": lambda: pictures.flag(80, 121),  # part of its estimate is believed
    "logo": lambda: pictures.logo(72, 80),
    "tone": lambda: pictures.tone(70, 100),
    "flat": lambda: pictures.flat(30, 40),
    "smallest": lambda: pictures.noise(8, 8),
}
MASKS: dict[str, Callable[[], np.ndarray]] = {
    "ramp": lambda: pictures.ramp(64, 80, 3),
    "disc": lambda: pictures.discs(64, 80),
    "both": lambda: pictures.half_soft(72, 80),
}


def warned(picture: Path, model: str) -> list[str]:
    """What the Python engine warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Upscaler.from_pretrained(model, device="cpu", precision="fp32").up(Image.open(picture))
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("name", OPAQUE)
@pytest.mark.parametrize("model", [LIGHT, PHOTO])
@pytest.mark.filterwarnings("ignore:blur uncertain")
def test_drawings_are_restored_as_by_the_python_engine(
    site: str, drive: Drive, tmp_path: Path, *, name: str, model: str
) -> None:
    picture, result = tmp_path / f"{name}.png", tmp_path / "result.png"
    Image.fromarray(OPAQUE[name]()).save(picture)
    said = drive(url=site, picture=picture, download=result, settings={"model": model})
    assert differs(result, picture, model) <= CORRECTED_TOLERANCE
    doubts = [text for text in warned(picture, model) if text.startswith("blur uncertain")]
    assert bool(said["doubt"]) == bool(doubts)
    for text in doubts:
        assert said["doubt"].startswith(f"B{text[1:]}. ")
    if (name, model) == ("flag", LIGHT):
        assert doubts
    if name == "tone":
        with Image.open(result) as image:
            assert np.ptp(np.asarray(image), axis=2).max() == 0


@pytest.mark.filterwarnings("ignore:blur uncertain")
def test_brightness_is_kept_over_tiles(site: str, drive: Drive, tmp_path: Path) -> None:
    picture, result = tmp_path / "tone.png", tmp_path / "result.png"
    Image.fromarray(pictures.tone(70, 180)).save(picture)
    drive(url=site, picture=picture, download=result, settings={"tile": "64"})
    assert differs(result, picture, chosen(picture)) <= CORRECTED_TOLERANCE


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.filterwarnings("ignore:blur uncertain")
def test_masks_are_restored_as_by_the_python_engine(
    site: str, drive: Drive, tmp_path: Path, name: str
) -> None:
    picture, result = tmp_path / f"{name}.png", tmp_path / "result.png"
    mask = MASKS[name]()
    pictures.with_alpha(pictures.logo(*mask.shape), mask).save(picture)
    drive(url=site, picture=picture, download=result)
    assert differs(result, picture, chosen(picture)) <= CORRECTED_TOLERANCE
