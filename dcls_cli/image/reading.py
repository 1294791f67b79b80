"""Photos from files: the content decides what a file is, and every failure is one clear line."""

import contextlib
import io
import logging
import struct
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from dcls_cli.errors import ImageError
from dcls_cli.files.atomic import printable
from dcls_cli.image import compression, decoding, integrity, tiff
from dcls_cli.image.colour_statements import stated_by_file, stated_by_tags
from dcls_cli.image.decoding import assemble, silence_stderr
from dcls_cli.image.gain_maps import gain_map_note
from dcls_cli.image.heif import HeifPhoto
from dcls_cli.image.metadata import Kept, credentials_note, gif_xmp, png_texts
from dcls_cli.image.metadata.gathering import mend_avif_exif
from dcls_cli.image.photo import Photo
from dcls_cli.image.recognition import explain_failure, recognise_head, stored_size
from dcls_cli.image.tiff import count_pages, read_tags
from dcls_cli.machine import free_memory_bytes

#: Formats that Pillow reads here. It would also open others, among them PostScript, for which it
#: starts a program.
_BY_PILLOW = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP")

#: Formats that are read.
READABLE = (*_BY_PILLOW, "HEIF")

#: Larger images are refused before they are decoded (Pillow's limit), unless the user allows more.
MAX_PIXELS = 178_956_970

_HEAD_BYTES = 512

#: What decoding takes at its peak, bytes for a pixel, by Pillow's mode: the decoder's pixels and
#: ours (measured at 20 megapixels; PNG of 16 bits with alpha takes most of its mode).
_BYTES_PER_PIXEL = {"1": 5, "L": 5, "LA": 10, "P": 12, "I;16": 8, "RGB": 15, "CMYK": 18, "RGBA": 32}
_OTHER_MODE = 32

#: What these decoders take besides.
_DECODER_BYTES = {"WEBP": 9, "AVIF": 3}

#: What a pixel may be stored in at the limit of pixels, bytes: four samples of 32 bits.
_LARGEST_SAMPLES = 16

#: Times that the samples of a TIFF are held, most of them as floating point.
_TIFF_COPIES = 3

_ALWAYS_FREE_BYTES = 2**27

# What Pillow logs about a damaged file is in the error; without a handler it would reach stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_FOLDER = "a folder, not an image; `dcls batch` restores the photos of a folder"

#: Pillow's limit of pixels and Python's filters of warnings belong to the whole process.
_PROCESS_WIDE = threading.RLock()


def read(path: Path, *, max_pixels: int = MAX_PIXELS, kept: Kept = "keep") -> Photo:
    """Read a photo from a file of one of the formats of `READABLE`, whatever its name.

    Of several frames or pages the first is read. Samples of more than 8 bits keep all their bits.

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
            return decode(file, max_pixels=max_pixels, kept=kept)
    except ImageError as error:
        raise ImageError(f"{printable(path)}: {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImageError(f"{printable(path)}: cannot be read: {reason}") from error


def decode(file: BinaryIO, *, max_pixels: int = MAX_PIXELS, kept: Kept = "keep") -> Photo:
    """Read a photo from an open file; see `read`.

    Raises:
        ImageError: as `read`, without the path.
    """
    with _one_line_errors(file, max_pixels):
        file.seek(0)
        form = recognise_head(file.read(_HEAD_BYTES))
        if form == "HEIF":
            return _heif(file, max_pixels, kept)
        if form == "TIFF":
            return _tiff(file, max_pixels, kept)
        try:
            return _by_pillow(file, max_pixels, kept)
        except (SyntaxError, ValueError, OSError, struct.error):
            if form != "PNG":
                raise
        # A PNG with a damaged or very long comment is a picture all the same.
        mended = io.BytesIO(integrity.needed_chunks(file))
        return _by_pillow(mended, max_pixels, kept, mended_from=file)


def _by_pillow(
    file: BinaryIO, max_pixels: int, kept: Kept, *, mended_from: BinaryIO | None = None
) -> Photo:
    """Read what Pillow opens; `mended_from` is the file of which this one is the needed part."""
    file, hostile = integrity.without_hostile_tags(file)
    image = _open(file, max_pixels)
    if image.format in ("JPEG", "MPO"):
        integrity.refuse_many_scans(file, image.width * image.height)
    if image.format == "PNG":
        integrity.refuse_unfinished_png(file)
        decoding.mend_transparent_grey(file, image)
    if image.format == "GIF":
        image.info["xmp"] = gif_xmp(file)
    if image.format == "AVIF":
        mend_avif_exif(file, image)
    samples = decoding.read_deep_samples(file, image)
    pages = _pages(file, image)
    if samples is None:
        image.load()
        if image.format == "PNG":
            integrity.refuse_short_png(file, image)
    note = integrity.check_scans(file, image) if image.format in ("JPEG", "MPO") else None
    left_out = gain_map_note(file, image.format or "")
    stated = stated_by_file(mended_from or file, image.format or "")
    photo = assemble(image, samples, stated=stated, pages=pages, kept=kept)
    tables = getattr(image, "quantization", None)
    photo = replace(
        photo,
        lossless=compression.is_lossless(photo.format, file),
        quality=compression.jpeg_quality(tables) if tables else None,
    )
    if mended_from:
        note = "its metadata is damaged and was left out"
    if image.format == "PNG" and kept == "keep":
        texts, notes = png_texts(file)
        photo = _noted(replace(photo, texts=texts), *notes)
    credentials = credentials_note(file) if kept == "keep" else None
    return _noted(photo, hostile, note, left_out, credentials)


def _noted(photo: Photo, *notes: str | None) -> Photo:
    """A photo with more notes."""
    return replace(photo, notes=(*photo.notes, *filter(None, notes)))


def _tiff(file: BinaryIO, max_pixels: int, kept: Kept) -> Photo:
    tags = read_tags(file)
    tiff.refuse_raw(tags)
    width, height = tiff.size_of(tags)
    stored = tiff.bytes_per_px(tags)
    check_size((width, height), max_pixels, _TIFF_COPIES * stored)
    if width * height * stored > max_pixels * _LARGEST_SAMPLES:
        raise ImageError(
            f"{width}x{height} pixels of {stored:.0f} bytes each are more than the limit of "
            f"{_millions(max_pixels)} megapixels allows; more with --max-pixels"
        )
    stated = stated_by_tags(tags)
    samples = tiff.read_samples(file, tags)
    pages = count_pages(file)
    if samples is None:  # a kind of colour that Pillow knows
        image = _open(file, max_pixels)
        with silence_stderr():
            image.load()
        note = tiff.add_metadata(file, image, tags)
        photo = assemble(image, stated=stated, form="TIFF", pages=pages, kept=kept)
        return _noted(photo, note if kept == "keep" else None)
    try:
        image = _open(file, max_pixels)
    except OSError:
        image = tiff.stand_in(tags)
    note = tiff.add_metadata(file, image, tags)
    photo = assemble(image, samples, stated=stated, form="TIFF", pages=pages, kept=kept)
    return _noted(photo, tiff.left_out(tags), note if kept == "keep" else None)


def _heif(file: BinaryIO, max_pixels: int, kept: Kept) -> Photo:
    photo = HeifPhoto(file)
    check_size(photo.size, max_pixels)
    samples = photo.decode()
    image = photo.stand_in()
    assembled = assemble(
        image,
        samples,
        stated=stated_by_file(file, "HEIF"),
        form="HEIF",
        pages=photo.pages,
        is_upright=True,
        kept=kept,
    )
    left_out = gain_map_note(file, "HEIF")
    notes = (*assembled.notes, left_out) if left_out else assembled.notes
    return replace(assembled, lossless=False, notes=notes)


def _open(file: BinaryIO, max_pixels: int) -> Image.Image:
    """Open without decoding; our limit takes the place of Pillow's, which is the process's."""
    with _PROCESS_WIDE, warnings.catch_warnings():
        # Pillow warns of sizes below the limit and of damaged metadata, which becomes a note.
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            file.seek(0)
            image = Image.open(file, formats=_BY_PILLOW)
        finally:
            Image.MAX_IMAGE_PIXELS = before
    taken = _BYTES_PER_PIXEL.get(image.mode, _OTHER_MODE)
    check_size(image.size, max_pixels, taken + _DECODER_BYTES.get(image.format or "", 0))
    return image


def check_size(
    size: tuple[int, int], max_pixels: int, bytes_per_px: float = _BYTES_PER_PIXEL["RGB"]
) -> None:
    """Refuse what is too large to be decoded.

    Args:
        size: width and height, pixels.
        max_pixels: the limit.
        bytes_per_px: what decoding takes at its peak.

    Raises:
        ImageError: more pixels than that, or than there is memory for.
    """
    if size[0] * size[1] > max_pixels:
        raise ImageError(_too_large(size, max_pixels))
    needed = size[0] * size[1] * bytes_per_px
    if needed > _ALWAYS_FREE_BYTES and needed > (free := free_memory_bytes()):
        raise ImageError(
            f"{size[0]}x{size[1]} pixels need about {needed / 1e9:.1f} GB of memory to be read, "
            f"and {free / 1e9:.1f} GB are free"
        )


def _too_large(size: tuple[int, int] | None, max_pixels: int) -> str:
    what = "more pixels"
    if size is not None:
        width, height = size
        what = f"{width}x{height} pixels ({_millions(width * height)} megapixels) are more"
    return (
        f"{what} than the limit of {_millions(max_pixels)} megapixels; if the file can be trusted, "
        "allow more with --max-pixels"
    )


def _millions(number: int) -> str:
    return f"{number / 1e6:.0f}" if number >= 1e6 else f"{number / 1e6:.2g}"


def _pages(file: BinaryIO, image: Image.Image) -> int:
    """Count frames; the further pictures of an MPO are previews or a depth map."""
    if image.format == "GIF":
        return integrity.gif_frames(file)
    if image.format in ("PNG", "WEBP", "AVIF"):
        return int(getattr(image, "n_frames", 1))  # stands in the header
    return 1


@contextlib.contextmanager
def _one_line_errors(file: BinaryIO, max_pixels: int) -> Iterator[None]:
    """Turn whatever a decoder raises into an ImageError, without the path."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(stored_size(file, _BY_PILLOW), max_pixels)) from error
    except MemoryError as error:
        raise ImageError("does not fit into memory") from error
    except Exception as error:  # OSError, ValueError, SyntaxError, struct.error, RuntimeError, ...
        raise ImageError(explain_failure(file, error, READABLE)) from error
