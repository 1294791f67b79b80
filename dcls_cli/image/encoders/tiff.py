"""TIFF and BigTIFF, strip by strip.

Pillow cannot write 16-bit colour, nor EXIF into a compressed TIFF, nor by rows; its directories of
tags are used, with all that EXIF data need.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image, TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dcls_cli.image.encoders import Header, regrouped, shared_out

_CLASSIC, _BIG = b"II\x2a\x00" + bytes(4), b"II\x2b\x00\x08\x00\x00\x00" + bytes(8)

#: A classic TIFF has offsets of 32 bits; what the strips may be larger than their samples, and the
#: metadata, must fit too.
_LARGEST_CLASSIC_BYTES = 2**32 - 2**26

#: Bytes of samples in a strip: small enough for readers that look at a part.
_STRIP_BYTES = 2**18

_XMP_TAG, _IPTC_TAG, _ICC_TAG = 700, 33723, 34675
_STRIP_OFFSETS = 273

#: Tags of a TIFF directory that have attributes of their own here, and Photoshop's, which repeats
#: them.
_WRITTEN_APART = frozenset({_XMP_TAG, _IPTC_TAG, 34377})

_SUB_DIRECTORIES = frozenset(TiffTags.TAGS_V2_GROUPS)


def write_tiff(file: BinaryIO, header: Header, bands: Iterator[np.ndarray]) -> None:
    """Write grey or RGB, with or without alpha, of 8 or 16 bits, deflated, without loss.

    The directory comes last, when the strips' sizes are known.
    """
    big = header.bytes > _LARGEST_CLASSIC_BYTES
    prefix = _BIG if big else _CLASSIC
    place = struct.Struct("<Q" if big else "<I")
    file.write(prefix)
    rows = header.rows_of(_STRIP_BYTES)
    offsets, counts = [], []
    for strip in shared_out(_strip, regrouped(bands, rows)):
        offsets.append(file.tell())
        counts.append(len(strip))
        file.write(strip)
    file.write(bytes(file.tell() % 2))  # a directory starts at an even place
    start = file.tell()
    directory = _directory(header, rows, counts, prefix)
    file.write(_with_offsets(directory.tobytes(start), offsets, start, big=big))
    file.seek(8 if big else 4)
    file.write(place.pack(start))


def _strip(rows: np.ndarray) -> bytes:
    """Deflate the horizontal differences of some rows."""
    import imagecodecs

    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]  # wraps around, as the predictor demands
    little = differences.astype(rows.dtype.newbyteorder("<"), copy=False)
    return bytes(imagecodecs.deflate_encode(little.tobytes(), 6))


def _directory(
    header: Header, rows: int, counts: list[int], prefix: bytes
) -> ImageFileDirectory_v2:
    """All tags, with zeros for the strips' offsets."""
    carried = header.carried
    directory = ImageFileDirectory_v2(prefix)
    if carried.exif:
        exif = Image.Exif()
        exif.load(carried.exif)
        for tag in set(exif) - _WRITTEN_APART:
            directory[tag] = exif.get_ifd(tag) if tag in _SUB_DIRECTORIES else exif[tag]
    directory[256], directory[257] = header.width, header.height
    directory[258] = (8 * header.dtype.itemsize,) * header.channels
    directory[259] = 8  # deflate
    directory[262] = 2 if header.channels >= 3 else 1  # RGB; black is zero
    kind = TiffTags.LONG8 if prefix == _BIG else TiffTags.LONG
    directory.tagtype[_STRIP_OFFSETS] = kind
    directory[_STRIP_OFFSETS] = (0,) * len(counts)
    directory[277] = header.channels
    directory[278] = rows
    directory.tagtype[279] = TiffTags.LONG
    directory[279] = tuple(counts)
    directory[284] = 1  # samples of a pixel together
    directory[317] = 2  # horizontal differences
    if header.channels in (2, 4):
        directory[338] = 2  # alpha, not multiplied into the colours
    if carried.dpi:
        directory[282], directory[283] = carried.dpi
        directory[296] = 2  # inches
    for tag, data_kind, data in (
        (_ICC_TAG, TiffTags.UNDEFINED, carried.icc),
        (_XMP_TAG, TiffTags.BYTE, carried.xmp),
        (_IPTC_TAG, TiffTags.UNDEFINED, carried.iptc),
    ):
        if data:
            directory.tagtype[tag] = data_kind
            directory[tag] = data
    return directory


def _with_offsets(directory: bytes, offsets: list[int], start: int, *, big: bool) -> bytes:
    """Put the strips' offsets into a directory, which Pillow takes for relative to its end."""
    count_of, entry, letter = ("<Q", "<HHQQ", "Q") if big else ("<H", "<HHII", "I")
    data = bytearray(directory)
    (entries,) = struct.unpack_from(count_of, data)
    step, inline = struct.calcsize(entry), struct.calcsize(f"<{letter}")
    for index in range(entries):
        at = struct.calcsize(count_of) + index * step
        tag, _, count, value = struct.unpack_from(entry, data, at)
        if tag == _STRIP_OFFSETS:
            array_at = at + step - inline if count == 1 else value - start
            struct.pack_into(f"<{count}{letter}", data, array_at, *offsets)
    return bytes(data)
