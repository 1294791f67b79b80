"""TIFF and BigTIFF, strip by strip.

Pillow cannot write 16-bit colour, nor EXIF into a compressed TIFF, nor by rows, and it alters text.
"""

import struct
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import numpy as np

from dcls_cli.image.encoders import Header, regrouped, shared_out
from dcls_cli.image.metadata import directories

#: A classic TIFF has offsets of 32 bits; what the strips may be larger than their samples, and the
#: metadata, must fit too.
_LARGEST_CLASSIC_BYTES = 2**32 - 2**26

#: Bytes of samples in a strip: small enough for readers that look at a part.
_STRIP_BYTES = 2**18

_XMP_TAG, _IPTC_TAG, _ICC_TAG = 700, 33723, 34675
_STRIP_OFFSETS, _STRIP_COUNTS = 273, 279

_TRANSFER_FUNCTION, _WHITE_POINT, _CHROMATICITIES = 301, 318, 319

#: Tags of EXIF data that have attributes of their own here, or that a profile says; the picture is
#: upright.
_WRITTEN_APART = frozenset(
    {_XMP_TAG, _IPTC_TAG, _ICC_TAG, _TRANSFER_FUNCTION, _WHITE_POINT, _CHROMATICITIES}
    | {directories.ORIENTATION}
)


def write_tiff(file: BinaryIO, header: Header, bands: Iterator[np.ndarray]) -> None:
    """Write grey or RGB, with or without alpha, of 8 or 16 bits, deflated, without loss.

    The directory comes last, when the strips' sizes are known. The byte order is that of the EXIF
    data, so that none of their values, which may be in any order within, has to be changed; of a
    BigTIFF it is little-endian, as Pillow reads no others.
    """
    big = header.bytes > _LARGEST_CLASSIC_BYTES
    described = (
        directories.parse(header.carried.exif)
        if header.carried.exif
        else directories.Directory("<")
    )
    if big:
        described = directories.in_order(described, "<")
    order = described.order
    file.write((b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42))
    file.write(struct.pack(order + ("HHQ" if big else "I"), *((8, 0, 0) if big else (0,))))
    rows = header.rows_of(_STRIP_BYTES)
    offsets, counts = [], []
    encoded = partial(_strip, order=order)
    for strip in shared_out(encoded, regrouped(bands, rows)):
        offsets.append(file.tell())
        counts.append(len(strip))
        file.write(strip)
    file.write(bytes(file.tell() % 2))  # a directory starts at an even place
    start = file.tell()
    directory = _directory(described, header, rows)
    directory.put(_STRIP_OFFSETS, directories.LONG8 if big else directories.LONG, offsets)
    directory.put(_STRIP_COUNTS, directories.LONG, counts)
    file.write(directories.build(directory, start, big=big))
    file.seek(8 if big else 4)
    file.write(struct.pack(order + ("Q" if big else "I"), start))


def _strip(rows: np.ndarray, order: str) -> bytes:
    """Deflate the horizontal differences of some rows."""
    import imagecodecs

    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]  # wraps around, as the predictor demands
    ordered = differences.astype(rows.dtype.newbyteorder(order), copy=False)  # type: ignore[arg-type]
    return bytes(imagecodecs.deflate_encode(ordered.tobytes(), 6))


def _directory(
    described: directories.Directory, header: Header, rows: int
) -> directories.Directory:
    """All tags but those of the strips."""
    carried = header.carried
    kept = {tag: value for tag, value in described.entries.items() if tag not in _WRITTEN_APART}
    directory = directories.Directory(described.order, kept, described.children)
    for tag, values in {
        directories.IMAGE_WIDTH: [header.width],
        directories.IMAGE_HEIGHT: [header.height],
        278: [rows],
    }.items():
        directory.put(tag, directories.LONG, values)
    for tag, values in {
        258: [8 * header.dtype.itemsize] * header.channels,
        259: [8],  # deflate
        262: [2 if header.channels >= 3 else 1],  # RGB; black is zero
        277: [header.channels],
        284: [1],  # samples of a pixel together
        317: [2],  # horizontal differences
    }.items():
        directory.put(tag, directories.SHORT, values)
    if header.channels in (2, 4):
        directory.put(338, directories.SHORT, [2])  # alpha, not multiplied into the colours
    density = carried.dpi or carried.aspect
    if density and not (carried.dpi is None and directories.X_RESOLUTION in kept):
        directory.put(directories.X_RESOLUTION, directories.RATIONAL, density[:1])
        directory.put(directories.Y_RESOLUTION, directories.RATIONAL, density[1:])
        unit = directories.INCH if carried.dpi else directories.NO_UNIT
        directory.put(directories.RESOLUTION_UNIT, directories.SHORT, [unit])
    for tag, kind, data in (
        (_ICC_TAG, directories.UNDEFINED, carried.icc),
        (_XMP_TAG, directories.BYTE, carried.xmp),
        (_IPTC_TAG, directories.UNDEFINED, carried.iptc),
    ):
        if data:
            directory.entries[tag] = directories.Entry(kind, len(data), data)
    return directory
