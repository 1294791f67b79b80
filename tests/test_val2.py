"""The validation pictures in evaluation/val2: all of them accounted for, free, and unchanged."""

import csv
import hashlib
from collections import Counter

from PIL import Image

from tests.test_packaging import ROOT

FOLDER = ROOT / "evaluation" / "val2"
LICENCES = {"MIT", "CC0 1.0", "public domain", "CC BY 2.0", "CC BY 3.0", "CC BY 4.0"}
LARGEST_SET_BYTES = 8_000_000
LARGEST_SIDE = 480


def table() -> list[dict[str, str]]:
    with (FOLDER / "sources.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_picture_is_listed_and_every_listed_picture_is_there() -> None:
    listed = [row["file"] for row in table()]
    assert sorted(listed) == sorted(path.name for path in FOLDER.glob("*.webp"))
    assert {path.name for path in FOLDER.iterdir()} == {*listed, "SOURCES.md", "sources.csv"}


def test_half_are_photographs_and_a_quarter_each_text_and_structure() -> None:
    rows = table()
    assert Counter(row["kind"] for row in rows) == {"photo": 20, "text": 10, "structure": 10}
    assert all(row["file"].startswith(f"{row['kind']}-") for row in rows)


def test_the_page_names_author_licence_and_source_of_every_picture() -> None:
    lines = (FOLDER / "SOURCES.md").read_text(encoding="utf-8").splitlines()
    for row in table():
        (line,) = (line for line in lines if line.startswith(f"| {row['file']} |"))
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        place = f"{row['source']}: `{row['path']}`"
        crop = f"{row['left']}, {row['top']}, {row['width']} × {row['height']}"
        assert cells == [*(row[name] for name in ("file", "title", "author", "licence")), place,
                         row["factor"], crop]  # fmt: skip
        assert all(cells)
        assert row["licence"] in LICENCES


def test_the_pixels_are_those_of_the_table_and_fit_every_scale() -> None:
    for row in table():
        path = FOLDER / row["file"]
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("WEBP", "RGB")
            assert image.size == (int(row["width"]), int(row["height"]))
            assert all(side % 12 == 0 and side <= LARGEST_SIDE for side in image.size)
            assert hashlib.sha256(image.tobytes()).hexdigest() == row["pixels"], row["file"]
        assert path.read_bytes()[12:16] == b"VP8L"  # WebP without loss


def test_what_a_camera_took_was_reduced() -> None:
    kept = {row["file"] for row in table() if int(row["factor"]) < 2}
    drawn = {row["file"] for row in table() if not row["sha256"]}
    assert kept - drawn == {"structure-10-gravel.webp"}  # reduced by those who published it


def test_the_set_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < LARGEST_SET_BYTES
