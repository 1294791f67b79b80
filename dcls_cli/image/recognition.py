"""What a file is, by its content, and what is wrong with one that is not the image it should be."""

import struct
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from dcls_cli.errors import first_line

_HEAD_BYTES = 512

_IMAGES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)

#: Brands of ISO media files, by the format that they promise; the first that fits counts.
_BRANDS = (
    ("AVIF", frozenset({b"avif", b"avis"})),
    ("HEIF", frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})),
)

_OTHERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the image itself; run `git lfs pull`"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"8BPS", "a Photoshop file"),
    (b"gimp xcf", "a GIMP file"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"\0\0\1\0", "an icon"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
    (b"ID3", "a sound file"),
)


def recognise(path: Path) -> str | None:
    """Find out by its first bytes which format a file promises to have.

    Returns:
        Pillow's name of the format, or None for what is no regular file that can be opened, and
        for formats that are not read.
    """
    try:
        if not path.is_file():  # opening a FIFO would wait for its writer
            return None
        with path.open("rb") as file:
            return recognise_head(file.read(_HEAD_BYTES))
    except OSError:
        return None


def recognise_head(head: bytes) -> str | None:
    """Tell the format that the first bytes of a file promise, by Pillow's name."""
    for magic, name in _IMAGES:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        (length,) = struct.unpack(">I", head[:4])
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(length, 256), 4))]
        for name, known in _BRANDS:
            if known.intersection(brands):
                return name
    return None


def explain_failure(file: BinaryIO, error: Exception, readable: tuple[str, ...]) -> str:
    """Say in one line why a file could not be decoded."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if not head:
        return "the file is empty"
    name = recognise_head(head) or _begun(head)
    if name in readable:
        detail = "" if isinstance(error, UnidentifiedImageError) else f" ({first_line(error)})"
        return f"truncated, damaged or unsupported {name}{detail}"
    return f"{_other(head)}; expected {', '.join(readable[:-1])} or {readable[-1]}"


def _begun(head: bytes) -> str | None:
    """Tell the format of which a file has not even the whole signature."""
    if b"RIFF".startswith(head[:4]) and b"WEBP".startswith(head[8:12]):
        return "WEBP"
    return next((name for magic, name in _IMAGES if magic.startswith(head)), None)


def _other(head: bytes) -> str:
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "a video or an image of another kind"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, not an image; the download went wrong"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return "an SVG drawing"
    if _is_text(head):
        return "a text file"
    return "not an image that is known"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if len(head) < _HEAD_BYTES or error.start < _HEAD_BYTES - 3:
            return False
        text = head[: error.start].decode()  # the last letter is cut
    return all(letter.isprintable() or letter.isspace() for letter in text)


def stored_size(file: BinaryIO, formats: tuple[str, ...]) -> tuple[int, int] | None:
    """Read width and height of an image that Pillow refuses to open for its size.

    Returns:
        None if not the image but a frame of it is too large, or the file is damaged besides.
    """
    file.seek(0)
    head = file.read(16)
    for name in formats:
        factory, accept = Image.OPEN[name]
        if accept is None or accept(head) is True:
            file.seek(0)
            try:
                return factory(file, "").size
            except Exception:  # damaged besides, for which Pillow has no one class
                continue
    return None
