"""JPEGs that end properly and too early: libjpeg fills them with grey and says nothing."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli import example
from dcls_cli.errors import ImageError
from dcls_cli.image.reading import decode

END = b"\xff\xd9"

KINDS: dict[str, dict[str, object]] = {
    "baseline": {},
    "full colour": {"subsampling": 0},
    "optimised": {"optimize": True},
    "restarts in rows": {"restart_marker_rows": 1},
    "restarts in blocks": {"restart_marker_blocks": 3},
    "progressive": {"progressive": True},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
}


def picture(mode: str = "RGB") -> Image.Image:
    return Image.open(example.location()).convert(mode).crop((0, 0, 133, 91))


def encoded(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_end_that_comes_too_early_is_found(mode: str, kind: str) -> None:
    content = encoded(picture(mode), **KINDS[kind])
    assert decode(io.BytesIO(content)).notes[1:] == ()  # CMYK has one
    start = content.index(b"\xff\xda") + 20
    silent = 0
    for part in np.linspace(0.02, 0.96, 20):
        cut = content[: start + int((len(content) - start) * part)].rstrip(b"\xff") + END
        try:
            with Image.open(io.BytesIO(cut)) as image:
                image.load()
        except OSError:  # between the scans of a progressive one: the decoder says so itself
            with pytest.raises(ImageError, match="truncated"):
                decode(io.BytesIO(cut))
            continue
        silent += 1
        try:
            notes = decode(io.BytesIO(cut)).notes
        except ImageError as error:
            assert "truncated JPEG: its data end before the picture" in str(error)  # noqa: PT017
        else:
            assert "its last scans are missing, and with them some detail" in notes
            assert "progressive" in kind
    assert silent >= (10 if "progressive" in kind else 20)


@pytest.mark.parametrize("kind", ["restarts in rows", "restarts in blocks"])
def test_an_end_in_the_place_of_a_restart(kind: str) -> None:
    content = encoded(picture(), **KINDS[kind])
    for found in list(re.finditer(rb"\xff[\xd0-\xd7]", content))[:-1]:
        with pytest.raises(ImageError, match="truncated JPEG: its data end"):
            decode(io.BytesIO(content[: found.start()] + END))


def test_a_height_that_is_too_large() -> None:
    content = encoded(picture())
    higher = content.replace((91).to_bytes(2) + (133).to_bytes(2), b"\x01\x00\x00\x85", 1)
    assert higher != content
    with pytest.raises(ImageError, match="truncated JPEG: its data end"):
        decode(io.BytesIO(higher))


@pytest.mark.parametrize(
    "size", [(1, 1), (8, 8), (16, 16), (17, 9), (300, 5), (3, 300), (640, 480)]
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_whole_pictures_of_one_colour_are_whole(
    size: tuple[int, int], kind: str, mode: str
) -> None:
    """Their last blocks are as flat as those that are filled in."""
    colour = Image.new("RGB", (1, 1), (9, 200, 30)).convert(mode).getpixel((0, 0))
    photo = decode(io.BytesIO(encoded(Image.new(mode, size, colour), **KINDS[kind])))
    assert (photo.width, photo.height) == size
    assert not any("scans" in note for note in photo.notes)


def test_what_follows_the_picture_does_not_matter() -> None:
    content = encoded(picture())
    expected = decode(io.BytesIO(content)).samples
    for tail in (
        b"\0" * 100,
        encoded(picture("L")),
        b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + b"x" * 9,
    ):
        np.testing.assert_array_equal(decode(io.BytesIO(content + tail)).samples, expected)


def test_scans_that_are_missing_altogether_are_told() -> None:
    content = encoded(picture(), progressive=True)
    starts = [found.start() for found in re.finditer(rb"\xff\xda", content)]
    tables = content.rindex(b"\xff\xc4", 0, starts[-1])
    for end in (starts[-1], tables):
        photo = decode(io.BytesIO(content[:end] + END))
        assert photo.notes == ("its last scans are missing, and with them some detail",)
    assert decode(io.BytesIO(content)).notes == ()


def test_the_last_block_may_lack_its_last_bits(tmp_path: Path) -> None:
    """As encoders of some cameras write it."""
    content = encoded(picture("L"))
    decode(io.BytesIO(content[:-3] + END))
