"""Decoded pixels, of any of Pillow's modes and of more bits than it keeps, to photos."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from dcls_cli.errors import ImageError
from dcls_cli.image import colour, metadata
from dcls_cli.image.colour import Samples, without_hidden_colours
from dcls_cli.image.colour_spaces import Settled, Stated, exif_as_srgb, settle
from dcls_cli.image.colour_statements import stated_by_info
from dcls_cli.image.metadata import Kept
from dcls_cli.image.metadata.gathering import (
    Said,
    colours_by_exif,
    orientation,
    resolution,
    said_about,
    texts_of,
)
from dcls_cli.image.metadata.placement import Placement
from dcls_cli.image.photo import Photo

_STDERR = 2

_lock = threading.Lock()
_inside = 0
_terminal: int | None = None


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Send what is written to descriptor 2 nowhere, for as long as any thread is in here.

    The command line writes its own messages to another descriptor.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _terminal  # noqa: PLW0603 - the descriptor belongs to the process
    with _lock:
        _inside += 1
        if _inside > 1:
            return
        with suppress(OSError):  # stderr is closed
            _terminal = os.dup(_STDERR)
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), _STDERR)


def _leave() -> None:
    global _inside, _terminal  # noqa: PLW0603
    with _lock:
        _inside -= 1
        if _inside == 0 and _terminal is not None:
            os.dup2(_terminal, _STDERR)
            os.close(_terminal)
            _terminal = None


#: Modes that hold one colour channel.
_GREY_MODES = ("1", "L", "LA", "La")

_NUMBERS = {"I": "32-bit or signed samples", "F": "floating-point samples"}


def from_pil(image: Image.Image) -> Photo:
    """Take a Pillow image for a photo.

    Every mode that Pillow reads from photos is understood: bilevel, grey, 16-bit grey, palette,
    transparency by key or by alpha, CMYK and Lab (converted to sRGB, through the embedded profile
    if there is one) and YCbCr. An EXIF orientation that is still set is applied. Pillow has no
    16-bit colour: give `read` the path to keep all bits.

    Raises:
        ImageError: an image with floating-point, 32-bit or signed samples, or without pixels.
    """
    photo = assemble(image)
    return replace(photo, texts=texts_of(image))


def assemble(
    image: Image.Image,
    samples: Samples | None = None,
    *,
    stated: Stated | None = None,
    form: str | None = None,
    pages: int = 1,
    is_upright: bool = False,
    kept: Kept = "keep",
) -> Photo:
    """Join pixels and metadata to an upright photo without hidden colours.

    Args:
        image: the metadata, and the pixels if there are no `samples`.
        samples: as the file stores them.
        stated: what the file says about its colours; None for what `image` says.
        form: the file's format, by Pillow's name; None for that of `image`.
        pages: of the file, of which this is one.
        is_upright: whether the samples are turned as the orientation demands already.
        kept: what is kept of the metadata.

    Raises:
        ImageError: as `from_pil`.
    """
    stated = stated_by_info(image) if stated is None else stated
    if samples is None:
        samples = samples_of(image, image.info.get("icc_profile"))
    if stated.narrow_range:
        samples = colour.full_range(samples)
    was_converted = samples.is_srgb
    colours = Settled() if was_converted else _settled(image, stated, samples)
    if kept == "strip":
        samples, colours = _stripped(samples, colours)
    values = samples.values
    if values.shape[2] in (2, 4):
        values = without_hidden_colours(values)
    turn = 1 if is_upright else orientation(image)
    described_turn = orientation(image) if is_upright else turn
    pixels = metadata.upright(values, turn)
    size = (pixels.shape[1], pixels.shape[0])
    has_levels = values.dtype.kind == "u" and samples.white == 2**samples.bit_depth - 1
    said = Said()
    if kept == "keep":
        before = (size[1], size[0]) if described_turn >= 5 else size
        placement = Placement(described_turn, before, size)
        said = said_about(image, placement, pages=pages)
    if said.exif and was_converted:
        said = replace(said, exif=exif_as_srgb(said.exif))
    notes = (
        f"it has {pages} frames or pages, of which the first is used" if pages > 1 else None,
        *samples.notes,
        *colours.notes,
        *said.notes,
    )
    return Photo.from_samples(
        pixels,
        samples.white,
        samples.bit_depth,
        icc=colours.icc,
        code_points=colours.code_points,
        exif=said.exif,
        xmp=said.xmp,
        iptc=said.iptc,
        dpi=None if kept == "strip" else resolution(image, turned=described_turn >= 5),
        aspect=None if kept == "strip" else metadata.aspect(image, turned=described_turn >= 5),
        comment=said.comment,
        described=size,
        level_bits=samples.bit_depth if has_levels else None,
        format=form or ("JPEG" if image.format == "MPO" else image.format or "PNG"),
        notes=tuple(note for note in notes if note),
    )


def _settled(image: Image.Image, stated: Stated, samples: Samples) -> Settled:
    """Find out what the colours are, from a profile and all else that a file says."""
    grey = samples.values.shape[2] < 3
    icc, note = metadata.profile(image.info.get("icc_profile") or stated.profile, grey=grey)
    if icc is None and note is None and metadata.has_lost_profile(image):
        note = "the colour profile is damaged and was left out"
    settled = settle(stated, icc, colours_by_exif(image), grey=grey)
    return replace(settled, notes=(*filter(None, [note]), *settled.notes))


def _stripped(samples: Samples, colours: Settled) -> tuple[Samples, Settled]:
    """Convert colours to sRGB, so that they look the same without a profile.

    High dynamic range is not, as that takes tone mapping, a matter of taste: without its code
    points the levels would mean something else, and so they stay where a format has them.
    """
    if colours.code_points:
        note = "the colours are not converted to sRGB, which would take tone mapping"
        return samples, replace(colours, icc=None, notes=(*colours.notes, note))
    if colours.icc is None:
        return samples, colours
    notes = colours.notes
    try:
        samples = colour.described_as_srgb(samples, colours.icc, colours.name)
    except ImageError as error:
        notes = (*notes, f"{error} and was left out")
    return samples, Settled(notes=notes)


def samples_of(image: Image.Image, icc: bytes | None) -> Samples:
    """Take the pixels of a Pillow image.

    Raises:
        ImageError: samples that are floating-point, 32-bit or signed.
    """
    if image.mode.startswith("I;16"):
        return _grey16(image)
    if image.mode == "CMYK":
        return colour.from_cmyk(np.asarray(image), icc)
    if image.mode == "LAB":
        return colour.from_lab(image)
    values = np.asarray(_uncovered(image) or _plain(image))
    return Samples(values=values[..., None] if values.ndim == 2 else values, white=255, bit_depth=8)


def _plain(image: Image.Image) -> Image.Image:
    """Bring 8-bit modes to L, LA, RGB or RGBA."""
    if image.mode in _NUMBERS:
        raise ImageError(
            f"{_NUMBERS[image.mode]} are not supported; save the image with 8 or 16 bits"
        )
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in _GREY_MODES else "RGBA")
    return image.convert("L" if image.mode in _GREY_MODES else "RGB")


def _uncovered(image: Image.Image) -> Image.Image | None:
    """A GIF whose first frame covers only a part of it, transparent elsewhere; else None."""
    covered = getattr(image, "dispose_extent", None)
    if image.format != "GIF" or covered is None or tuple(covered) == (0, 0, *image.size):
        return None
    frame = image.convert("RGBA")
    made = Image.new("RGBA", image.size)
    made.paste(frame.crop(covered), covered)
    return made


def _grey16(image: Image.Image) -> Samples:
    """Read 16-bit grey, which Pillow's own conversions clip to white."""
    values = np.asarray(image).astype(np.uint16)[..., None]
    key = image.info.get("transparency")
    if isinstance(key, int):
        alpha = np.where(values == key, 0, 65535).astype(np.uint16)
        values = np.concatenate([values, alpha], axis=2)
    return Samples(values=values, white=65535, bit_depth=16)


_PNG_DEPTH_AT, _PNG_COLOUR_AT = 24, 25
_PNG_GREY = 0

#: The box that describes the coded picture of an AVIF; the bits of its third byte.
_AV1_CONFIGURATION = b"av1C"
_HIGH_DEPTH, _TWELVE_BITS = 0x40, 0x20


def read_deep_samples(file: BinaryIO, image: Image.Image) -> Samples | None:
    """Read 16-bit colour, or 16-bit grey with alpha, from PNG, and more than 8 bits from AVIF.

    Returns:
        The samples as they are stored; None for a file that Pillow reads as well.

    Raises:
        RuntimeError: the file is damaged.
    """
    file.seek(0)
    if image.format == "PNG":
        return _deep_png(file)
    if image.format == "AVIF":
        return _deep_avif(file.read())
    return None


def mend_transparent_grey(file: BinaryIO, image: Image.Image) -> None:
    """Scale the transparent level of a PNG with 2 or 4 bits as Pillow scales its samples."""
    file.seek(0)
    header = file.read(_PNG_COLOUR_AT + 1)
    level, depth = image.info.get("transparency"), header[_PNG_DEPTH_AT]
    if isinstance(level, int) and header[_PNG_COLOUR_AT] == _PNG_GREY and depth in (2, 4):
        image.info["transparency"] = level * 255 // (2**depth - 1)


def _deep_png(file: BinaryIO) -> Samples | None:
    import imagecodecs

    header = file.read(_PNG_COLOUR_AT + 1)
    if header[_PNG_DEPTH_AT] != 16 or header[_PNG_COLOUR_AT] == _PNG_GREY:
        return None
    with silence_stderr():  # libpng warns of interlacing, which imagecodecs handles
        values = imagecodecs.png_decode(header + file.read())
    return Samples(values=values, white=65535, bit_depth=16)


def _deep_avif(content: bytes) -> Samples | None:
    import imagecodecs

    at = content.find(_AV1_CONFIGURATION)
    if at < 0 or not content[at + 6] & _HIGH_DEPTH:
        return None
    values = np.asarray(imagecodecs.avif_decode(content, 0))
    if values.dtype != np.uint16:
        return None
    bits = 12 if content[at + 6] & _TWELVE_BITS else 10
    values = values[..., None] if values.ndim == 2 else values
    return Samples(values=values, white=2**bits - 1, bit_depth=16)
