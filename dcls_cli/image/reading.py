"""Photos from files: the content decides what a file is, and every failure is one clear line."""

import contextlib
import logging
import os
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from dcls_cli.atomic import printable
from dcls_cli.errors import ImageError
from dcls_cli.image import deep
from dcls_cli.image.decoding import assemble
from dcls_cli.image.photo import Photo
from dcls_cli.image.recognition import explain, stored_size

#: Formats that are read. Pillow would also open others, among them PostScript, for which it starts
#: a program.
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP")

#: Larger images are refused before they are decoded (Pillow's limit).
MAX_PIXELS = 178_956_970

#: A progressive JPEG of a few megabytes can have thousands of scans and take minutes.
MAX_JPEG_SCANS = 500

# What Pillow logs about a damaged file is in the error; without a handler it would reach stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_FOLDER = "a folder, not an image; `dcls batch` restores the photos of a folder"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_START_OF_SCAN = b"\xff\xda"


def read(path: Path) -> Photo:
    """Read a photo from a JPEG, PNG, WebP, TIFF, AVIF, GIF or BMP file, whatever its name.

    Of several frames or pages the first is read. 16-bit samples keep all their bits.

    Raises:
        ImageError: the file is missing, cannot be read, is no such image, is damaged, or is too
            large. The message is one line and starts with the path.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise ImageError("no such file")
        if not path.is_file():
            raise ImageError(_FOLDER if path.is_dir() else "not a regular file")
        with path.open("rb") as file:
            return _decode(file)
    except ImageError as error:
        raise ImageError(f"{printable(path)}: {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImageError(f"{printable(path)}: cannot be read: {reason}") from error


def _decode(file: BinaryIO) -> Photo:
    with warnings.catch_warnings(), _one_line_errors(file):
        # Pillow warns of sizes below the limit and of damaged metadata, which becomes a note.
        warnings.simplefilter("ignore")
        image = Image.open(file, formats=READABLE)
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(_too_large(image.size))
        if image.format in ("JPEG", "MPO"):
            _refuse_many_scans(file)
        if image.format == "PNG":
            _refuse_unfinished(file)
        # The further pictures of an MPO are previews or a depth map, not pages.
        pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        with _quiet_libtiff() if image.format == "TIFF" else contextlib.nullcontext():
            samples = deep.decode(file, image)
            image.load()
        return assemble(image, samples, pages=pages)


def _refuse_many_scans(file: BinaryIO) -> None:
    """Count the scans; inside a scan the marker cannot occur."""
    file.seek(0)
    scans = file.read().count(_START_OF_SCAN)
    if scans > MAX_JPEG_SCANS:
        raise ImageError(
            f"a JPEG of {scans} scans, expected at most {MAX_JPEG_SCANS}; "
            "it is made to keep decoders busy"
        )


def _refuse_unfinished(file: BinaryIO) -> None:
    """Look for the last chunk of a PNG; decoders stop reading at the last row."""
    file.seek(len(_PNG_SIGNATURE))
    while header := file.read(8):
        length, name = struct.unpack(">I4s", header)
        file.seek(length, os.SEEK_CUR)
        if len(file.read(4)) == 4 and name == b"IEND":  # the checksum is the chunk's last part
            return
    raise ImageError("truncated PNG: it has no end")


def _too_large(size: tuple[int, int]) -> str:
    width, height = size
    return (
        f"{width}x{height} pixels ({width * height / 1e6:.0f} megapixels) are more than the limit "
        f"of {MAX_PIXELS / 1e6:.0f} megapixels; cut it into parts or make it smaller first"
    )


@contextlib.contextmanager
def _quiet_libtiff() -> Iterator[None]:
    """Keep libtiff, which prints its errors itself, from writing beside our one line."""
    try:
        terminal = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


@contextlib.contextmanager
def _one_line_errors(file: BinaryIO) -> Iterator[None]:
    """Turn whatever a decoder raises into an ImageError, without the path."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(stored_size(file, READABLE))) from error
    except MemoryError as error:
        raise ImageError("does not fit into memory") from error
    except Exception as error:  # OSError, ValueError, SyntaxError, struct.error, RuntimeError, ...
        raise ImageError(explain(file, error, READABLE)) from error
