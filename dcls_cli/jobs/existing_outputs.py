"""Which outputs exist already, and whole."""

import os
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import BinaryIO

from PIL import Image, ImageFile, TiffImagePlugin

from dcls_cli.errors import ImageError
from dcls_cli.files.addresses import Address, Location
from dcls_cli.files.remote import NoObjectError, opened
from dcls_cli.image import READABLE
from dcls_cli.image.heif import HeifPhoto
from dcls_cli.image.integrity import without_hostile_tags
from dcls_cli.image.metadata.gathering import orientation, raw_xmp
from dcls_cli.image.recognition import recognise_head

Size = tuple[int, int]

_HEAD_BYTES = 512

#: What Pillow raises about files that are damaged.
_NO_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    ImageError,
    OverflowError,
    struct.error,
)

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
_OFFSETS_AND_LENGTHS = ((273, 279), (324, 325))  # TIFF tags of strips and of tiles


class State(Enum):
    """What lies where an output should go."""

    ABSENT = auto()
    WHOLE = auto()
    #: An empty file, or an image that is cut off: it may be replaced.
    DAMAGED = auto()
    #: An image of another size, or no image: a file of another program.
    OTHER = auto()


@dataclass(frozen=True)
class Seen:
    """A state, and the size of an image that is whole or another one."""

    state: State
    size: Size | None = None


def measure(path: Location) -> Size | None:
    """Read the width and height that an image states, before its orientation is applied.

    Returns:
        None for what cannot be opened as an image; reading it will say why.

    Raises:
        DclsError: an object's store cannot be asked.
    """
    try:
        with opened(path) as file:
            if recognise_head(file.read(_HEAD_BYTES)) == "HEIF":
                return HeifPhoto(file).size
            return _opened(file).size
    except _NO_IMAGE:
        return None


def is_turned(path: Location) -> bool:
    """Whether an image states an orientation that exchanges its width and height.

    Raises:
        DclsError: an object's store cannot be asked.
    """
    try:
        with opened(path) as file:
            if recognise_head(file.read(_HEAD_BYTES)) == "HEIF":
                return False  # its size is that of the upright picture
            return orientation(_opened(file)) >= 5
    except _NO_IMAGE:
        return False


def xmp_in(path: Location) -> bytes | None:
    """The XMP packet of an image; None for one without, and for what is no image.

    Raises:
        DclsError: an object's store cannot be asked.
    """
    try:
        with opened(path) as file:
            return raw_xmp(_opened(file))
    except _NO_IMAGE:
        return None


def look(output: Location, expected: set[Size]) -> Seen:
    """Look at an output without decoding it: its size, and whether it ends where it should.

    Outputs get their names when they are whole, so that nothing more is needed but for files that
    others have damaged.

    Args:
        output: the file, or the object, of which only its header and its end are fetched.
        expected: the sizes that it may have.

    Raises:
        DclsError: an object's store cannot be asked.
    """
    if isinstance(output, Address):
        try:
            with opened(output) as file:
                return _seen(file, expected)
        except NoObjectError:
            return Seen(State.ABSENT)
    if not os.path.lexists(output):
        return Seen(State.ABSENT)
    if not output.is_file():  # opening a FIFO would wait for its writer
        return Seen(State.OTHER)
    try:
        with opened(output) as file:
            return _seen(file, expected)
    except OSError:  # not ours to read
        return Seen(State.DAMAGED if output.stat().st_size == 0 else State.OTHER)


def _seen(file: BinaryIO, expected: set[Size]) -> Seen:
    """Look at an output that is open."""
    head = file.read(_HEAD_BYTES)
    if recognise_head(head) is None:
        return Seen(State.OTHER if head else State.DAMAGED)
    try:
        length = file.seek(0, os.SEEK_END)
        image = _opened(file)
        whole = image.format in _ENDS and _ENDS[image.format](image, file, length)
    except _NO_IMAGE:
        whole = False
    if not whole:
        return Seen(State.DAMAGED)
    return Seen(State.WHOLE if image.size in expected else State.OTHER, image.size)


def is_whole(output: Location, expected: frozenset[Size]) -> bool:
    """Whether an output exists, is whole and has one of the expected sizes."""
    return bool(expected) and look(output, set(expected)).state is State.WHOLE


def _opened(file: BinaryIO) -> ImageFile.ImageFile:
    """Open an image of any size; `Image.open` has a limit, which large outputs are above."""
    file.seek(0)
    name = recognise_head(file.read(_HEAD_BYTES))
    if name not in READABLE:
        raise ValueError("no image that is read")
    file.seek(0)
    Image.preinit()
    if name not in Image.OPEN:
        Image.init()
    factory, _ = Image.OPEN[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata, which is not read here
        return factory(without_hostile_tags(file)[0], "")


def _ends_with(mark: bytes) -> Callable[[Image.Image, BinaryIO, int], bool]:
    def ends(_image: Image.Image, file: BinaryIO, length: int) -> bool:
        file.seek(max(0, length - len(mark)))
        return file.read() == mark

    return ends


def _webp_ends(_image: Image.Image, file: BinaryIO, length: int) -> bool:
    file.seek(4)
    stated: int = struct.unpack("<I", file.read(4))[0]
    return stated + 8 == length


def _tiff_ends(image: Image.Image, _file: BinaryIO, length: int) -> bool:
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    for offsets, lengths in _OFFSETS_AND_LENGTHS:
        if offsets in image.tag_v2:
            pairs = zip(image.tag_v2[offsets], image.tag_v2[lengths], strict=True)
            return all(offset + size <= length for offset, size in pairs)
    return False


def _boxes_end(_image: Image.Image, file: BinaryIO, length: int) -> bool:
    """Walk over the boxes of an ISO media file; the last one must end with the file."""
    at = 0
    while at < length:
        file.seek(at)
        size, _, large = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        size = large if size == 1 else size or length - at
        if size < 8:
            return False
        at += size
    return at == length


_ENDS: dict[str, Callable[[Image.Image, BinaryIO, int], bool]] = {
    "PNG": _ends_with(_PNG_END),
    "JPEG": _ends_with(_JPEG_END),
    "MPO": _ends_with(_JPEG_END),
    "WEBP": _webp_ends,
    "TIFF": _tiff_ends,
    "AVIF": _boxes_end,
}
