"""Makes the pictures of evaluation/val2 again, and SOURCES.md, from the originals and sources.csv.

Unpack or clone what SOURCES.md names, anywhere below one folder. Originals are recognised by
their content (SHA-256), wherever they lie.
"""

import argparse
import bz2
import csv
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from dcls_cli.errors import ImageError
from dcls_cli.files.atomic import atomic_write
from dcls_cli.training.graphics import draw_graphic

FOLDER = Path(__file__).resolve().parents[1] / "evaluation" / "val2"
TABLE = "sources.csv"

Row = Mapping[str, str]

#: Path of an original that `dcls_cli` draws itself: seed, index.
DRAWN = "draw_graphics"
#: scipy's raccoon is a bzip2 file of bare RGB samples: rows, columns, channels.
RACCOON = (768, 1024, 3)

KINDS = {"photo": "Photographs", "text": "Text and graphics", "structure": "Structure"}

HEAD = """# The pictures of val2

40 free pictures to choose networks by: 20 photographs, 10 of text and graphics, 10 of regular
structure. None of them is in the training packs or in Set5. Each was cut from a larger original and
reduced by the factor in the table, so that compression, noise and softness of the original are
gone, and is stored without loss. Both sides are multiples of 12: ×2, ×3 and ×4 fit.

Reduced: by antialiased bicubic (Pillow), after cropping the original to a multiple of the factor at
the right and at the bottom. Crop: left, top, width × height, in pixels of the reduced picture.

The licences are those that the named project states for the file. Changes to each work: it was
reduced and cut, as said. [CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/),
[CC BY 2.0](https://creativecommons.org/licenses/by/2.0/),
[CC BY 3.0](https://creativecommons.org/licenses/by/3.0/),
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/); MIT is the licence of dcls. Projects of
the form `owner/name at commit` are on GitHub.

`sources.csv` has the same and the SHA-256 of each original and of each picture's pixels.
`python docs/make_val2.py ORIGINALS` makes the pictures and this page again.

Compared with all 1058 pictures of the training packs and with Set5, in both orientations: at most 4
SIFT features of a picture lie alike in another one, for which 8 were found at least, and mostly
over 20, in each of 40 parts of val2 that were cut out, reduced to 0.7 and half of them mirrored.
Thumbnails of 24 × 24 pixels correlate by at most 0.90. The nearest pairs show different things.
"""


def main() -> None:
    """Write every picture of the table and SOURCES.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path, help="folder that has the originals, anywhere")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, help="folder")
    options = parser.parse_args()
    rows = read_table()
    originals = find(options.originals, {row["sha256"] for row in rows} - {""})
    for row in rows:
        picture = cut(original(row, originals), row)
        if row["pixels"] != pixels(picture):
            raise ImageError(f"{row['file']}: other pixels than the table says")
        store(picture, options.output / row["file"])
    page = "\n".join(sources(rows)).encode()
    atomic_write(options.output / "SOURCES.md", lambda file: _write(file, page), overwrite=True)


def read_table() -> list[dict[str, str]]:
    """Rows of sources.csv, as they stand there."""
    with (FOLDER / TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def find(folder: Path, digests: set[str]) -> dict[str, Path]:
    """Files below a folder by their SHA-256; other files are left out.

    Raises:
        ImageError: one is missing.
    """
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in digests:
            found[digest] = path
    if missing := digests - found.keys():
        names = [row["path"] for row in read_table() if row["sha256"] in missing]
        raise ImageError(f"{folder}: no file has the content of {', '.join(names)}")
    return found


def original(row: Row, paths: Mapping[str, Path]) -> Image.Image:
    """The whole original, RGB."""
    if not row["sha256"]:
        _, seed, index = row["path"].split()
        return draw_graphic(int(index), int(seed), int(row["width"]))
    path = paths[row["sha256"]]
    if path.suffix == ".dat":
        samples = np.frombuffer(bz2.decompress(path.read_bytes()), np.uint8)
        return Image.fromarray(samples.reshape(RACCOON))
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def cut(image: Image.Image, row: Row) -> Image.Image:
    """Reduce the original by the row's factor and cut the row's part."""
    factor = int(row["factor"])
    width, height = (side // factor for side in image.size)
    image = image.crop((0, 0, width * factor, height * factor))
    if factor > 1:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = int(row["left"]), int(row["top"])
    return image.crop((left, top, left + int(row["width"]), top + int(row["height"])))


def pixels(image: Image.Image) -> str:
    """SHA-256 of the RGB samples, row by row."""
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def store(image: Image.Image, path: Path) -> None:
    """Write WebP without loss."""
    atomic_write(
        path,
        lambda file: image.save(file, "WEBP", lossless=True, quality=100, method=6, exact=True),
        overwrite=True,
    )


def sources(rows: list[dict[str, str]]) -> Iterator[str]:
    """Lines of SOURCES.md."""
    yield HEAD
    for kind, title in KINDS.items():
        yield f"## {title}\n"
        yield "| file | title | author | licence | from | reduced | crop |"
        yield "| --- | --- | --- | --- | --- | --- | --- |"
        for row in rows:
            if row["kind"] == kind:
                crop = f"{row['left']}, {row['top']}, {row['width']} × {row['height']}"
                place = f"{row['source']}: `{row['path']}`"
                cells = (row["file"], row["title"], row["author"], row["licence"], place)
                yield f"| {' | '.join(cells)} | {row['factor']} | {crop} |"
        yield ""


def _write(file: BinaryIO, page: bytes) -> None:
    file.write(page.rstrip(b"\n") + b"\n")


if __name__ == "__main__":
    main()
