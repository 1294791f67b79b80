"""JPEGs whose scans end early: libjpeg fills what is missing, and says nothing.

A scan that is whole ends with its last block, and its decoder never looks at what follows. So more
data at the end of each scan changes the picture if, and only if, blocks are missing.
"""

import io
import re
import warnings
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin

from dcls_cli.errors import ImageError

_START, _END, _START_OF_SCAN = 0xD8, 0xD9, 0xDA

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


def check(file: BinaryIO, image: Image.Image) -> str | None:
    """Decode a JPEG with more data, and compare.

    Args:
        file: seekable.
        image: decoded from it by Pillow.

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
        if marker == _START_OF_SCAN and len(parameters) > 5 + 2 * parameters[2]:
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
        if marker == _END:
            return
        yield marker, at
        if marker not in (_START, 0x01):
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
