"""What is wrong with files that decoders would work on for minutes, or take for whole."""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image

from dcls_cli.errors import ImageError

#: A progressive JPEG of a few megabytes can have thousands of scans and take minutes.
MAX_JPEG_SCANS = 500

#: Each scan costs up to 5 ns for every pixel of the image (measured), so that this keeps a decoder
#: busy for ten seconds. Encoders make about ten scans of any image.
MAX_SCANNED_PIXELS = 2_000_000_000

_ORDINARY_SCANS = 24

_START_OF_SCAN = b"\xff\xda"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Samples of a pixel, by the kind of colour; others have one.
_PNG_CHANNELS = {2: 3, 4: 2, 6: 4}

#: First column, first row, and steps of the seven passes of an interlaced PNG.
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)

_PIECE_BYTES = 2**20

_GIF_EXTENSION, _GIF_FRAME = b"\x21", b"\x2c"

#: Chunks without which a PNG cannot be shown, and transparency.
_NEEDED_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def refuse_many_scans(file: BinaryIO, pixels: int) -> None:
    """Count the scans of a JPEG; inside a scan the marker cannot occur.

    Args:
        file: seekable.
        pixels: width times height.

    Raises:
        ImageError: it has more than any encoder makes.
    """
    file.seek(0)
    scans = file.read().count(_START_OF_SCAN)
    if scans > MAX_JPEG_SCANS or (scans > _ORDINARY_SCANS and scans * pixels > MAX_SCANNED_PIXELS):
        raise ImageError(
            f"a JPEG of {scans} scans, expected at most {_ORDINARY_SCANS}; "
            "it is made to keep decoders busy"
        )


def refuse_unfinished_png(file: BinaryIO) -> None:
    """Look for the last chunk of a PNG; decoders stop reading at the last row.

    Raises:
        ImageError: it is not there.
    """
    file.seek(len(_PNG_SIGNATURE))
    while header := file.read(8):
        length, name = struct.unpack(">I4s", header)
        file.seek(length, os.SEEK_CUR)
        if len(file.read(4)) == 4 and name == b"IEND":  # the checksum is the chunk's last part
            return
    raise ImageError("truncated PNG: it has no end")


def refuse_short_png(file: BinaryIO, image: Image.Image) -> None:
    """Count the bytes of a PNG that was decoded: of rows that are missing Pillow makes black ones.

    Args:
        file: seekable.
        image: decoded from it by Pillow.

    Raises:
        ImageError: there are fewer than its header promises.
    """
    last = image.crop((0, image.height - 1, image.width, image.height))
    if np.asarray(last).any():
        return
    file.seek(len(_PNG_SIGNATURE) + 8)
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", file.read(13))
    bits = depth * _PNG_CHANNELS.get(colour, 1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    missing = 0
    for left, top, across, down in passes:
        columns, rows = -((left - width) // across), -((top - height) // down)
        missing += rows * (1 + -(-columns * bits // 8)) if columns > 0 else 0
    inflate = zlib.decompressobj()
    for data in _pixel_data(file):
        rest = data
        while rest and missing > 0:
            missing -= len(inflate.decompress(rest, _PIECE_BYTES))
            rest = inflate.unconsumed_tail
    if missing > 0:
        raise ImageError("truncated PNG: its data end before the picture does")


def _pixel_data(file: BinaryIO) -> Iterator[bytes]:
    """The content of each IDAT chunk of a PNG."""
    file.seek(len(_PNG_SIGNATURE))
    while len(header := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", header)
        if name == b"IDAT":
            yield file.read(length)
            file.seek(4, os.SEEK_CUR)
        else:
            file.seek(length + 4, os.SEEK_CUR)


def gif_frames(file: BinaryIO) -> int:
    """Count the frames of a GIF without decoding any, up to where it is damaged."""
    file.seek(10)
    (flags,) = file.read(1) or b"\0"
    file.seek(13 + _palette_bytes(flags))
    frames = 0
    while (kind := file.read(1)) in (_GIF_EXTENSION, _GIF_FRAME):
        if kind == _GIF_FRAME:
            descriptor = file.read(9)
            if len(descriptor) < 9:
                break
            frames += 1
            file.seek(_palette_bytes(descriptor[8]), os.SEEK_CUR)
        file.seek(1, os.SEEK_CUR)  # kind of extension, or size of codes
        while length := file.read(1)[:1]:
            if length == b"\0":
                break
            file.seek(length[0], os.SEEK_CUR)
    return max(frames, 1)


def _palette_bytes(flags: int) -> int:
    """Size of a GIF's table of colours, which its flags tell."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def needed_chunks(file: BinaryIO) -> bytes:
    """Copy a PNG without the metadata that may keep decoders from reading it.

    Returns:
        The file, up to where its chunks can be told apart.
    """
    file.seek(len(_PNG_SIGNATURE))
    kept = [_PNG_SIGNATURE]
    while len(header := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", header)
        if name in _NEEDED_CHUNKS:
            kept.append(header + file.read(length + 4))
        else:
            file.seek(length + 4, os.SEEK_CUR)
    return b"".join(kept)
