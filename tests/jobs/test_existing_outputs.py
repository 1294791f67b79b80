"""Whole outputs are distinguished from damaged ones without decoding them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli.image import from_array, write
from dcls_cli.jobs.existing_outputs import State, look, measure
from tests.jobs.files import picture

SIZES = {(64, 48), (48, 64)}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_what_was_written_is_whole_and_cut_at_any_place_it_is_not(
    suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    write(from_array(noise), path, overwrite=False)
    assert look(path, SIZES).state is State.WHOLE
    assert look(path, {(64, 64)}).state is State.OTHER
    assert measure(path) == (64, 48)
    content = path.read_bytes()
    for cut in (1, 2, 10, len(content) // 2, len(content) - 40):
        path.write_bytes(content[:-cut])
        assert look(path, SIZES).state is State.DAMAGED
    path.write_bytes(b"")
    assert look(path, SIZES).state is State.DAMAGED


def test_other_encoders_and_depths(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.zeros((48, 64), np.uint16)).save(path, compression="tiff_lzw")
    assert look(path, SIZES).state is State.WHOLE


def test_what_is_no_output_is_left_alone(tmp_path: Path) -> None:
    assert look(tmp_path / "none.png", SIZES).state is State.ABSENT
    (tmp_path / "text.png").write_text("precious")
    (tmp_path / "folder.png").mkdir()
    for name in ("text.png", "folder.png"):
        assert look(tmp_path / name, SIZES).state is State.OTHER
    assert look(picture(tmp_path / "small.png"), SIZES).size == (12, 8)


def test_outputs_above_the_limit_of_decoders_are_known(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (20000, 20000)).save(path)
    assert look(path, {(20000, 20000)}).state is State.WHOLE
    assert measure(path) == (20000, 20000)
    assert measure(tmp_path / "none.png") is None
