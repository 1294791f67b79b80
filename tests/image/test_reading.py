"""Files that are photos are read; all else is refused in one line that says what it is."""

import io
import os
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dcls_cli.errors import ImageError
from dcls_cli.image import decode, read
from dcls_cli.image.tiff import read_tags
from tests.pace import stretched


def picture(height: int = 21, width: int = 34) -> np.ndarray:
    """Smooth enough for JPEG, different in each channel and at each border."""
    row, column = np.mgrid[:height, :width]
    planes = (row * 255 / height, column * 255 / width, 255 - (row + column) * 3)
    return np.stack(planes, axis=2).astype(np.uint8)


def encoded(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, form, **options)
    return file.getvalue()


DEEP = picture().astype(np.uint16) * 257

FILES = {
    "jpeg": encoded("JPEG", quality=95, subsampling=0),
    "progressive": encoded("JPEG", quality=95, subsampling=0, progressive=True),
    "png": encoded("PNG"),
    "png16": bytes(imagecodecs.png_encode(DEEP)),
    "webp": encoded("WEBP", lossless=True),
    "tiff": encoded("TIFF"),
    "tiff-lzw": encoded("TIFF", compression="tiff_lzw"),
    "tiff-jpeg": encoded("TIFF", compression="jpeg", quality=100),
    "tiff16": bytes(imagecodecs.tiff_encode(DEEP, compression="deflate")),
    "bmp": encoded("BMP"),
    "avif": encoded("AVIF", quality=100, subsampling="4:4:4"),
    "gif": encoded("GIF"),
}

#: Levels by which formats that lose something may be off.
TOLERANCES = {"jpeg": 8, "progressive": 8, "tiff-jpeg": 8, "avif": 3, "gif": 24}

FORMATS = {kind: kind.partition("-")[0].rstrip("16").upper() for kind in FILES}
FORMATS["progressive"] = "JPEG"


def refusal(path: Path) -> str:
    """The one line that a refused file gives, without its path."""
    with pytest.raises(ImageError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("name", ["photo", "photo.JPG", "photo.txt", "photo.eps"])
def test_the_content_decides(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[kind])
    photo = read(tmp_path / name)
    tolerance = TOLERANCES.get(kind, 0)
    assert np.abs(np.rint(photo.pixels * 255) - picture()).max() <= tolerance
    assert photo.format == FORMATS[kind]
    assert photo.bit_depth == (16 if kind.endswith("16") else 8)
    assert photo.alpha is None
    assert not photo.grey
    assert photo.notes == ()


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("percent", [3, 10, 30, 50, 70, 90, 97])
def test_truncated_files_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str, percent: int
) -> None:
    content = FILES[kind]
    (tmp_path / "photo").write_bytes(content[: len(content) * percent // 100])
    assert "truncated" in refusal(tmp_path / "photo")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b"x", "a text file"),
        (b"\x80", "not an image that is known"),
        ("schöne Grüße\n".encode(), "a text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html></html>", "an HTML page"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00", "truncated, damaged or unsupported AVIF"),
        (b"\x00\x00\x00\x1cftypisom\x00\x00", "a video or an image of another kind"),
        (b"<?xml version='1.0'?>\n<svg></svg>", "an SVG drawing"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "not an image that is known"),
        (encoded("GIF")[:9], "truncated, damaged or unsupported GIF"),
        (b"\xff\xd8\xff\xe0", "truncated, damaged or unsupported JPEG"),
        (b"\x89PNG\r\n\x1a\n", "truncated, damaged or unsupported PNG"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "truncated, damaged or unsupported WEBP"),
        (b"II*\0\x08\0\0\0", "truncated, damaged or unsupported TIFF"),
        (b"BM\0\0", "truncated, damaged or unsupported BMP"),
    ],
)
def test_files_that_are_no_images_are_named(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)
    assert refusal(tmp_path / "photo.jpg").startswith(expected)


def test_postscript_starts_no_ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ghostscript.parent}:{os.environ['PATH']}")
    Image.fromarray(picture()).save(tmp_path / "photo.eps")
    (tmp_path / "photo.eps").rename(tmp_path / "photo.jpg")
    assert refusal(tmp_path / "photo.jpg").startswith("a PostScript file")
    assert not (tmp_path / "started").exists()


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert refusal(tmp_path / "missing.png") == "no such file"
    assert refusal(tmp_path / "dangling") == "no such file"
    assert refusal(tmp_path).startswith("a folder, not an image")
    assert refusal(tmp_path / "fifo") == "not a regular file"
    refusal(tmp_path / "loop")


def test_awkward_names_stay_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"two\nlines\xff.png")
    path.write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        read(path)
    assert str(caught.value) == f"{tmp_path}/two\\nlines\\udcff.png: the file is empty"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("bits", "colour"), [(1, 0), (8, 0), (16, 0), (4, 3), (8, 2), (8, 6)])
@pytest.mark.parametrize("missing", [0, 1, 9, 40])
@pytest.mark.parametrize("split", [7, 1000])
def test_a_png_whose_data_end_properly_but_too_early(  # noqa: PLR0917 - a matrix
    tmp_path: Path, interlaced: bool, bits: int, colour: int, missing: int, split: int
) -> None:
    """Black rows at the end are what the decoder makes of data that are missing."""
    width, height = 13, 11
    pixel = bits * {2: 3, 6: 4}.get(colour, 1)
    passes = [(2, 2), (2, 2), (4, 1), (3, 3), (7, 3), (6, 6), (13, 5)]  # of Adam7, by hand
    sizes = passes if interlaced else [(width, height)]
    rows = b"".join(bytes(h * (1 + -(-w * pixel // 8))) for w, h in sizes)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    data = zlib.compress(rows[: len(rows) - missing] if missing else rows)
    (tmp_path / "photo").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"PLTE", bytes(48)) if colour == 3 else b"")
        + b"".join(chunk(b"IDAT", data[at : at + split]) for at in range(0, len(data), split))
        + chunk(b"IEND", b"")
    )
    if missing:
        assert "truncated" in refusal(tmp_path / "photo")
    else:
        assert read(tmp_path / "photo").pixels.shape == (height, width, 3)


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def bmp_header(width: int, height: int) -> bytes:
    body = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + body


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (png_header(2**31 - 1, 2**31 - 1), "2147483647x2147483647"),
        (png_header(20_000, 10_000), "20000x10000"),
        (bmp_header(30_000, 20_000), "30000x20000"),
    ],
)
def test_decompression_bombs_are_refused_by_their_size(
    tmp_path: Path, content: bytes, size: str
) -> None:
    (tmp_path / "photo").write_bytes(content)
    message = refusal(tmp_path / "photo")
    assert message.startswith(f"{size} pixels")
    assert "limit of 179 megapixels" in message


def test_a_jpeg_with_thousands_of_scans_is_refused_at_once(tmp_path: Path) -> None:
    content = encoded("JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    (tmp_path / "photo.jpg").write_bytes(content[:-2] + content[last:-2] * 5000 + b"\xff\xd9")
    start = time.monotonic()
    assert "scans" in refusal(tmp_path / "photo.jpg")
    assert time.monotonic() - start < stretched(1)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 1), (1, 5000)])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_tiny_and_narrow_images(tmp_path: Path, size: tuple[int, int], form: str) -> None:
    Image.new("RGB", size, (255, 0, 0)).save(tmp_path / "photo", form)
    photo = read(tmp_path / "photo")
    assert (photo.width, photo.height) == size


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_read(tmp_path: Path, form: str) -> None:
    first, *others = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green"))
    options = {"lossless": True} if form == "WEBP" else {}
    first.save(tmp_path / "photo", form, save_all=True, append_images=others, **options)
    photo = read(tmp_path / "photo")
    assert (photo.pixels == [1, 0, 0]).all()
    assert photo.notes == ("it has 3 frames or pages, of which the first is used",)


@pytest.mark.parametrize("kind", FILES)
def test_damaged_bytes_give_a_photo_or_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    random = np.random.default_rng(5)
    for trial in range(60):
        content = bytearray(FILES[kind])
        for _ in range(random.integers(1, 12)):
            place = random.integers(0, len(content) if trial % 2 else min(len(content), 200))
            content[place] ^= 1 << random.integers(0, 8)
        (tmp_path / "photo").write_bytes(content)
        try:
            photo = read(tmp_path / "photo")
        except ImageError as error:
            assert "\n" not in str(error)
        else:
            assert np.isfinite(photo.pixels).all()
    assert capfd.readouterr() == ("", "")


def tiff_directory(*tags: tuple[int, int, int, int]) -> bytes:
    """A file of 8x8 grey samples with more tags: number, type, count, place."""
    samples = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    strips = [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64)]
    entries = {entry[0]: entry for entry in (*samples, *strips, *tags)}
    table = b"".join(struct.pack("<HHII", *entries[tag]) for tag in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4)


def peak_bytes(work: Callable[[], object]) -> int:
    """What Python and numpy take meanwhile."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_tiff_of_millions_of_strips_takes_no_memory(tmp_path: Path) -> None:
    """The file is sparse and takes 4 kB of disk; lists of its strips would take gigabytes."""
    count = 2**24
    path = tmp_path / "sparse.tif"
    path.write_bytes(tiff_directory((273, 4, count, 4096), (279, 4, count, 4096)))
    with path.open("rb+") as file:
        file.truncate(4096 + 4 * count)
        assert peak_bytes(lambda: read_tags(file)) < 2**20


def test_tiff_tags_that_share_one_large_value_are_refused() -> None:
    """Pillow would read the megabytes again for each of them."""
    size = 2**22
    head = tiff_directory(*((40_000 + index, 7, size, 8) for index in range(200)))
    file = io.BytesIO(head + bytes(size))

    def refused() -> None:
        with pytest.raises(ImageError, match="made to fill the memory"):
            decode(file)

    assert peak_bytes(refused) < 2**24
