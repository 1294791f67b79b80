"""Samples of more than 8 bits in PNG and AVIF, which Pillow cuts to 8 without a word."""

from typing import BinaryIO

import numpy as np
from PIL import Image

from dcls_cli.image.quiet import quiet
from dcls_cli.image.samples import Samples

_PNG_DEPTH_AT, _PNG_COLOUR_AT = 24, 25
_PNG_GREY = 0

#: The box that describes the coded picture of an AVIF; the bits of its third byte.
_AV1_CONFIGURATION = b"av1C"
_HIGH_DEPTH, _TWELVE_BITS = 0x40, 0x20


def decode(file: BinaryIO, image: Image.Image) -> Samples | None:
    """Read 16-bit colour, or 16-bit grey with alpha, from PNG, and more than 8 bits from AVIF.

    Args:
        file: the whole file, seekable.
        image: as Pillow opened it, not yet loaded.

    Returns:
        The samples as they are stored; None for a file that Pillow reads as well.

    Raises:
        RuntimeError: the file is damaged.
    """
    file.seek(0)
    if image.format == "PNG":
        return _png(file)
    if image.format == "AVIF":
        return _avif(file.read())
    return None


def mend_transparent_grey(file: BinaryIO, image: Image.Image) -> None:
    """Scale the transparent level of a PNG with 2 or 4 bits as Pillow scales its samples.

    Args:
        file: the whole file, seekable.
        image: as Pillow opened it, not yet loaded; its `info` is changed.
    """
    file.seek(0)
    header = file.read(_PNG_COLOUR_AT + 1)
    level, depth = image.info.get("transparency"), header[_PNG_DEPTH_AT]
    if isinstance(level, int) and header[_PNG_COLOUR_AT] == _PNG_GREY and depth in (2, 4):
        image.info["transparency"] = level * 255 // (2**depth - 1)


def _png(file: BinaryIO) -> Samples | None:
    import imagecodecs

    header = file.read(_PNG_COLOUR_AT + 1)
    if header[_PNG_DEPTH_AT] != 16 or header[_PNG_COLOUR_AT] == _PNG_GREY:
        return None
    with quiet():  # libpng warns of interlacing, which imagecodecs handles
        values = imagecodecs.png_decode(header + file.read())
    return Samples(values=values, white=65535, bit_depth=16)


def _avif(content: bytes) -> Samples | None:
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
