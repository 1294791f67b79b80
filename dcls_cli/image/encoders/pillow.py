"""JPEG, WebP and AVIF, which Pillow encodes: JPEG by rows, the others whole.

WebP and AVIF need all rows, which are gathered in memory or in a nameless file.
"""

import io
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from dcls_cli.errors import ImageError
from dcls_cli.image.colour_spaces import CodePoints
from dcls_cli.image.encoders import (
    Header,
    one_line_errors,
    regrouped,
    shared_out,
    whole_ratio,
)

#: Pictures with more bytes of samples wait on the disk.
LARGEST_IN_MEMORY = 2**28


def to_image(samples: np.ndarray) -> Image.Image:
    """Make a Pillow image of (H, W, C) samples; uint16 only as grey."""
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def write_webp(file: BinaryIO, header: Header, bands: Iterator[np.ndarray]) -> None:
    """Write 8 bits, grey or RGB, with or without alpha.

    Lossy WebP halves the resolution of colours; it has no other way.
    """
    with gathered(header, bands) as samples, one_line_errors("WEBP"):
        content = io.BytesIO()
        to_image(samples).save(
            content,
            "WEBP",
            quality=header.encoding.used_quality,
            lossless=header.encoding.lossless,
            exact=True,
            **header.carried.options(),
        )
    file.write(content.getbuffer())


def write_avif(file: BinaryIO, header: Header, bands: Iterator[np.ndarray]) -> None:
    """Write 8 bits, RGB with all colour resolution, grey as one channel, with or without alpha."""
    with gathered(header, bands) as samples, one_line_errors("AVIF"):
        content = io.BytesIO()
        image = to_image(samples)
        image.save(
            content,
            "AVIF",
            quality=header.encoding.used_quality,
            subsampling="4:0:0" if image.mode == "L" else "4:4:4",
            **header.carried.options(),
        )
    written = content.getvalue()
    if header.carried.code_points:
        written = _stating(written, header.carried.code_points)
    file.write(written)


#: Colours by code points: type of the box and kind of its content; primaries and transfer follow.
_CODE_POINTS_BOX = b"colrnclx"


def _stating(content: bytes, points: CodePoints) -> bytes:
    """Put code points into an AVIF, for which Pillow has no option.

    They count more than those in the coded picture (ISO/IEC 23008-12, 6.5.5).

    Raises:
        ImageError: libavif has written none to be replaced.
    """
    at = content.find(_CODE_POINTS_BOX)
    if at < 0:
        raise ImageError("libavif wrote no colours that high dynamic range could be stated in")
    stated = bytearray(content)
    struct.pack_into(">HH", stated, at + len(_CODE_POINTS_BOX), points.primaries, points.transfer)
    return bytes(stated)


@contextmanager
def gathered(header: Header, bands: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Gather all rows: (H, W, C), on the disk where they are many.

    Raises:
        OSError: the disk is full.
    """
    shape = (header.height, header.width, header.channels)
    if header.bytes <= LARGEST_IN_MEMORY:
        samples, top = np.empty(shape, header.dtype), 0
        for band in bands:
            samples[top : top + len(band)] = band
            top += len(band)
        yield samples
        return
    # Without a name, the file cannot stay behind.
    with tempfile.TemporaryFile(dir=header.folder) as disk:
        for band in bands:
            disk.write(np.ascontiguousarray(band).data)
        disk.flush()
        yield np.memmap(disk, header.dtype, "r", shape=shape)


#: Side of a block of samples at 4:4:4.
_BLOCK_PX = 8

#: Blocks in an interval: a number of 16 bits.
_LARGEST_INTERVAL = 2**16 - 1

#: Bytes of samples that one thread encodes.
_BAND_BYTES = 2**20

_FRAME, _SCAN, _RESTART_INTERVAL = 0xFFC0, 0xFFDA, 0xFFDD
_END = b"\xff\xd9"
_RESTARTS = 8
_IPTC_RESOURCE = 0x0404


def write_jpeg(file: BinaryIO, header: Header, bands: Iterator[np.ndarray]) -> None:
    """Write grey or RGB of 8 bits with all colour resolution (4:4:4), by rows.

    Bands are encoded one by one and become the intervals between restart markers. There a decoder
    forgets what came before, as an encoder does that starts again. So the scans of bands that are
    as wide as the picture, and a whole number of blocks high, join to the scan of the picture.
    """
    across = -(-header.width // _BLOCK_PX)
    most = max(_LARGEST_INTERVAL // across, 1)
    high = min(max(header.rows_of(_BAND_BYTES) // _BLOCK_PX, 1), most)

    def encoded(item: tuple[int, np.ndarray]) -> tuple[int, bytes, bytes]:
        index, band = item
        return index, *_parted(_encoded(band, header, metadata=index == 0))

    grouped = enumerate(regrouped(bands, high * _BLOCK_PX))
    for index, tables, scan in shared_out(encoded, grouped):
        if index == 0:
            file.write(_for_all_rows(tables, header.height, across * high))
            file.write(scan)
        else:
            file.write(bytes((0xFF, 0xD0 + (index - 1) % _RESTARTS)))
            file.write(scan[_length(scan, 0) :])
    file.write(_END)


def _encoded(band: np.ndarray, header: Header, *, metadata: bool) -> bytes:
    """A whole JPEG of some rows."""
    carried = header.carried
    options: dict[str, Any] = carried.options() if metadata else {}
    if metadata and carried.iptc:
        options["extra"] = _photoshop_segment(carried.iptc)
    if metadata and carried.extended_xmp:
        options["extra"] = options.get("extra", b"") + b"".join(map(_segment, carried.extended_xmp))
    if metadata and carried.comment:
        options["comment"] = carried.comment[:_LONGEST_SEGMENT_BYTES]
    content = io.BytesIO()
    with one_line_errors("JPEG"):
        image = to_image(band)
        image.save(
            content,
            "JPEG",
            quality=header.encoding.used_quality,
            subsampling=0,
            **options,
        )
    if metadata and carried.aspect and carried.dpi is None:
        return _with_aspect(content.getvalue(), whole_ratio(carried.aspect, 2**16 - 1))
    return content.getvalue()


#: Length of a segment's content.
_LONGEST_SEGMENT_BYTES = 2**16 - 3


def _segment(content: bytes) -> bytes:
    """Wrap what programs keep in an APP1 segment."""
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


#: Of a JFIF header that starts a file: mark, length, name, version; then unit and ratio.
_JFIF = b"\xff\xd8\xff\xe0\x00\x10JFIF\0"
_JFIF_UNIT_AT = 13


def _with_aspect(content: bytes, ratio: tuple[int, int]) -> bytes:
    """Put a ratio without a unit into the JFIF header, for which Pillow has no option."""
    if not content.startswith(_JFIF):
        return content
    data = bytearray(content)
    struct.pack_into(">BHH", data, _JFIF_UNIT_AT, 0, *ratio)
    return bytes(data)


def _parted(content: bytes) -> tuple[bytes, bytes]:
    """Part a JPEG into what comes before its only scan, and the scan without the end."""
    at = 2
    while struct.unpack_from(">H", content, at)[0] != _SCAN:
        at += _length(content, at)
    return content[:at], content[at : -len(_END)]


def _length(content: bytes | bytearray, at: int) -> int:
    """Length of a segment with its marker."""
    (length,) = struct.unpack_from(">H", content, at + 2)
    return 2 + int(length)


def _for_all_rows(tables: bytes, height: int, interval: int) -> bytes:
    """Put the whole height, and the restart interval in blocks, into the first band's head."""
    data = bytearray(tables)
    at = 2
    while struct.unpack_from(">H", data, at)[0] != _FRAME:
        at += _length(data, at)
    struct.pack_into(">H", data, at + 5, height)
    return bytes(data) + struct.pack(">HHH", _RESTART_INTERVAL, 4, interval)


def _photoshop_segment(iptc: bytes) -> bytes:
    """Wrap IPTC data as JPEG holds it: an image resource in an APP13 segment."""
    resource = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc
    content = b"Photoshop 3.0\0" + resource + bytes(len(iptc) % 2)
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content
