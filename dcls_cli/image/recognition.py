"""What is wrong with a file that is not the image it should be."""

import struct
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

_HEAD_BYTES = 512

_IMAGES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"RIFF", "WEBP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)

_OTHERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the image itself; run `git lfs pull`"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"GIF8", "a GIF image"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
)


def explain(file: BinaryIO, error: Exception, readable: tuple[str, ...]) -> str:
    """Say in one line why a file could not be decoded.

    Args:
        file: seekable.
        error: what the decoder raised.
        readable: names of the formats that are read.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if not head:
        return "the file is empty"
    for magic, name in _IMAGES:
        if head.startswith(magic) or magic.startswith(head):
            if name == "WEBP" and not b"WEBP".startswith(head[8:12]):
                continue
            detail = "" if isinstance(error, UnidentifiedImageError) else f" ({_one_line(error)})"
            return f"truncated, damaged or unsupported {name}{detail}"
    return f"{_other(head)}; expected {', '.join(readable[:-1])} or {readable[-1]}"


def _other(head: bytes) -> str:
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, not an image; the download went wrong"
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


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def stored_size(file: BinaryIO, formats: tuple[str, ...]) -> tuple[int, int]:
    """Read width and height of an image that Pillow refuses to open for its size.

    Raises:
        ValueError: the file is none of the formats.
    """
    file.seek(0)
    head = file.read(16)
    for name in formats:
        factory, accept = Image.OPEN[name]
        if accept is None or accept(head) is True:
            file.seek(0)
            try:
                return factory(file, "").size
            except (SyntaxError, IndexError, TypeError, struct.error):  # as Image.open does
                continue
    raise ValueError("no image")
