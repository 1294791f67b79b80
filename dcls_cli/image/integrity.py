"""What is wrong with files that decoders would work on for minutes, or take for whole."""

import io
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin

from dcls_cli.errors import ImageError
from dcls_cli.image.heif import items
from dcls_cli.image.metadata import directories

#: A progressive JPEG of a few megabytes can have thousands of scans and take minutes.
MAX_JPEG_SCANS = 500

#: Each scan costs up to 5 ns for every pixel of the image (measured), so that this keeps a decoder
#: busy for ten seconds. Encoders make about ten scans of any image.
MAX_SCANNED_PIXELS = 2_000_000_000

_ORDINARY_SCANS = 24

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
    """Count the scans of a JPEG's first picture, whatever follows it, such as a phone's video.

    Raises:
        ImageError: it has more than any encoder makes.
    """
    file.seek(0)
    scans = sum(marker == _SCAN_MARKER for marker, _ in _markers(file.read()))
    if scans > MAX_JPEG_SCANS or (scans > _ORDINARY_SCANS and scans * pixels > MAX_SCANNED_PIXELS):
        raise ImageError(
            f"a JPEG of {scans} scans, expected at most {_ORDINARY_SCANS}; "
            "it is made to keep decoders busy"
        )


#: Segments of a JPEG whose tags Pillow reads, all values at once, when it opens a file; the second
#: is that of pictures in a picture (MPF).
_TAGGED = (b"Exif\0\0", b"MPF\0")
_APPLICATION = range(0xE1, 0xE3)


def without_hostile_tags(file: BinaryIO) -> tuple[BinaryIO, str | None]:
    """Hide metadata of a JPEG or AVIF of which many tags share one large value.

    Returns:
        The file, or a copy without them, and a note about it.
    """
    file.seek(0)
    head = file.read(12)
    if head[:2] == b"\xff\xd8":
        places = _tagged_segments(file)
    elif head[4:8] == b"ftyp":
        places = _tagged_items(file)
    else:
        places = []  # of others Pillow reads no values before it is asked
    hostile = [starts for starts, data in places if directories.is_hostile(data)]
    file.seek(0)
    if not hostile:
        return file, None
    content = bytearray(file.read())
    for starts in hostile:
        for at in starts:
            content[at : at + 4] = b"none"
    return io.BytesIO(content), "metadata that are made to fill the memory were left out"


def _tagged_segments(file: BinaryIO) -> list[tuple[list[int], bytes]]:
    """Places and content of segments with tags; Pillow joins those of a kind."""
    file.seek(0)
    content = file.read()
    found: dict[bytes, tuple[list[int], list[bytes]]] = {kind: ([], []) for kind in _TAGGED}
    for marker, at in _markers(content):
        if marker == _SCAN_MARKER:
            break
        if marker in _APPLICATION:
            end = at + int.from_bytes(content[at : at + 2])
            for kind, (starts, parts) in found.items():
                if content.startswith(kind, at + 2):
                    starts.append(at + 2)
                    parts.append(content[at + 2 + len(kind) : end])
    return [(starts, b"".join(parts)) for starts, parts in found.values() if starts]


def _tagged_items(file: BinaryIO) -> list[tuple[list[int], bytes]]:
    """Where the item of an AVIF with EXIF data is declared, and its content."""
    file.seek(0)
    content = file.read()
    return [([item.declared], item.data) for item in items(content, b"Exif")]


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
        The file, as far as its chunks can be separated.
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


_START_OF_IMAGE, _END_OF_IMAGE, _SCAN_MARKER = 0xD8, 0xD9, 0xDA

#: Start of frame of Huffman-coded JPEGs: baseline, extended, progressive. In an arithmetic-coded
#: one zeros at the end may be left out.
_HUFFMAN = (0xC0, 0xC1, 0xC2)
_PROGRESSIVE = 0xC2

#: Start of frame of any kind.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

#: Of the start of a scan with 255 components.
_LONGEST_PARAMETERS = 6 + 2 * 255

#: Ends the data of a scan: a marker that is neither a stuffed byte, nor a fill byte, nor a restart.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

#: Bytes that decode to blocks of some content by any table.
_DATA = bytes(range(7, 247, 5)) * 2

#: A restart marker may be what is missing: each of the eight, followed by data.
_MORE = _DATA + b"".join(b"\xff" + bytes([0xD0 + number]) + _DATA for number in range(8))

#: Encoders are known to lose the last bits: pixels of a block and of what its colours reach.
_BLOCK_PX, _REACH_PX = 8, 2

#: Bits of its coefficients that a scan of a progressive JPEG leaves to later ones, at most.
_ALL_BITS = 15


class _Scans(NamedTuple):
    """What the scans of a JPEG are.

    Attributes:
        frame: the marker of its kind.
        ends: where the data of each scan end.
        missing: whether bits of coefficients of a progressive one come in no scan.
    """

    frame: int
    ends: tuple[int, ...]
    missing: bool


def check_scans(file: BinaryIO, image: Image.Image) -> str | None:
    """Decode a JPEG with more data, and compare: libjpeg fills what is missing, and says nothing.

    A scan that is whole ends with its last block, and its decoder never looks at what follows. So
    more data at the end of each scan changes the picture if, and only if, blocks are missing.

    Returns:
        What to tell of a progressive one whose last scans were left out: every block has something.

    Raises:
        ImageError: more than its last block is missing.
    """
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    file.seek(0)
    content = file.read()
    scans = _scans(content)
    if scans.frame not in _HUFFMAN or not scans.ends:
        return None
    if scans.frame != _PROGRESSIVE and not _ends_flat(image):
        return None  # what libjpeg fills is flat
    pieces, start = [], 0
    for end in scans.ends:
        pieces += [content[start:end], _MORE]
        start = end
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        longer = JpegImagePlugin.JpegImageFile(io.BytesIO(b"".join([*pieces, content[start:]])))
        longer.draft(image.mode, None)
        longer.load()
    if _differ(image, longer):
        raise ImageError("truncated JPEG: its data end before the picture does")
    return "its last scans are missing, and with them some detail" if scans.missing else None


def _scans(content: bytes) -> _Scans:
    """Walk over the markers of the first picture."""
    ends: list[int] = []
    frame = components = 0
    left: dict[int, list[int]] = {}
    for marker, at in _markers(content):
        parameters = content[at : at + _LONGEST_PARAMETERS]
        if not ends and marker in _FRAMES and len(parameters) > 7:
            frame, components = marker, parameters[7]
        if marker == _SCAN_MARKER and len(parameters) > 5 + 2 * parameters[2]:
            after = 3 + 2 * parameters[2]
            found = _NEXT_MARKER.search(content, at + after + 3)
            ends.append(found.start() if found else len(content))
            first, last, bits = parameters[after : after + 3]
            for component in parameters[3:after:2]:
                coefficients = left.setdefault(component, [_ALL_BITS] * 64)
                coefficients[first : last + 1] = [bits & 15] * (last + 1 - first)
    incomplete = len(left) < components or any(any(of_one) for of_one in left.values())
    return _Scans(frame, tuple(ends), frame == _PROGRESSIVE and incomplete)


def _markers(content: bytes) -> Iterator[tuple[int, int]]:
    """Each marker and the place of its parameters, up to the end or to damage."""
    at = 2
    while found := _NEXT_MARKER.search(content, at):
        marker, at = content[found.end() - 1], found.end()
        if marker == _END_OF_IMAGE:
            return
        yield marker, at
        if marker not in (_START_OF_IMAGE, 0x01):
            at += int.from_bytes(content[at : at + 2])


def _ends_flat(image: Image.Image) -> bool:
    """Whether the inner part of the last block has one colour."""
    (left, right), (top, bottom) = (
        (side - max((side - 1) % _BLOCK_PX + 1 - _REACH_PX, 1), side) for side in image.size
    )
    corner = np.asarray(image.crop((left, top, right, bottom)))
    return bool((corner == corner[0, 0]).all())


def _differ(image: JpegImagePlugin.JpegImageFile, other: Image.Image) -> bool:
    """Whether two pictures differ anywhere but in the last block of all components."""
    wide, tall = (_BLOCK_PX * max(layer[axis] for layer in image.layer) for axis in (1, 2))
    width, height = image.size
    left = max((width - 1) // wide * wide - _REACH_PX, 0)
    top = max((height - 1) // tall * tall - _REACH_PX, 0)
    for above in range(0, height, 256):
        below = min(above + 256, height)
        box = (0, above, width, below)
        differs = (np.asarray(image.crop(box)) != np.asarray(other.crop(box))).reshape(
            below - above, width, -1
        )
        if below > top:
            differs[max(top - above, 0) :, left:] = False
        if differs.any():
            return True
    return False
