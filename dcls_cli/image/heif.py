"""HEIC photos, by a package that not everybody may install: its codec is under the GPL.

And the boxes of HEIC and AVIF files, as far as they hold metadata (ISO 14496-12, section 8.11).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from dcls_cli.errors import ImageError
from dcls_cli.image.colour import Samples
from dcls_cli.installation import install_command

if TYPE_CHECKING:
    from pillow_heif import HeifImage


def has_alpha(path: Path) -> bool:
    """Look for an alpha channel in a HEIC file without decoding it.

    Returns:
        False for a file that cannot be read; reading it will say why.
    """
    try:
        with path.open("rb") as file:
            return HeifPhoto(file).has_alpha
    except (ImageError, OSError, ValueError, RuntimeError, EOFError):
        return False


class HeifPhoto:
    """The main picture of a HEIC file, not decoded yet."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the file's structure.

        Raises:
            ImageError: the package is not installed.
            ValueError: the file is damaged.
        """
        try:
            import pillow_heif
        except ImportError as error:
            raise ImageError(
                f"HEIC photos need an optional package: {install_command('heif')}; "
                "or save the photo as JPEG, PNG or TIFF"
            ) from error
        file.seek(0)
        pictures = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
        self.pages = len(pictures)
        self._picture: HeifImage = pictures[pictures.primary_index]
        file.seek(0)
        self._turns = turns(file.read(_LONGEST_HEAD_BYTES))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        width, height = self._picture.size
        return width, height

    @property
    def has_alpha(self) -> bool:
        """Whether it has an alpha channel."""
        return bool(self._picture.has_alpha)

    def decode(self) -> Samples:
        """Decode it, turned upright.

        Raises:
            ValueError: the file is damaged.
        """
        values = np.asarray(self._picture)
        info: dict[str, Any] = self._picture.info
        bits = int(info.get("bit_depth", 8))
        white = 255 if values.dtype == np.uint8 else (2**bits - 1) << (16 - bits)
        return Samples(
            values=values[..., None] if values.ndim == 2 else values,
            white=white,
            bit_depth=8 if values.dtype == np.uint8 else 16,
        )

    def stand_in(self) -> Image.Image:
        """A Pillow image of one pixel with the photo's metadata.

        Their orientation is that of the stored picture, which cameras state twice, or 1.
        """
        image = Image.new("L", (1, 1))
        image.format = "HEIF"
        for name in ("icc_profile", "exif", "xmp"):
            if data := self._picture.info.get(name):
                image.info[name] = data
        if not self._turns:
            image.info["upright"] = True
        return image


#: The boxes with the items' places come before the items.
_LONGEST_HEAD_BYTES = 2**22

#: An AVIF or HEIC has some tens of items, tiles included.
_MOST_ITEMS = 2_000


class Item(NamedTuple):
    """Data in a HEIC or AVIF file beside its pictures.

    Attributes:
        declared: place of the name of its kind.
        data: of EXIF without the length before it.
    """

    declared: int
    data: bytes


def turns(content: bytes) -> bool:
    """Whether the file has properties that turn or mirror a picture (irot, imir)."""
    meta = next((box for box in _boxes(content, 0, len(content)) if box[0] == b"meta"), None)
    if meta is None:
        return False
    for name, start, end in _boxes(content, meta[1] + 4, meta[2]):
        if name == b"iprp":
            for inner, first, last in _boxes(content, start, end):
                if inner == b"ipco":
                    return any(box[0] in (b"irot", b"imir") for box in _boxes(content, first, last))
    return False


def items(content: bytes, kind: bytes) -> list[Item]:
    """Find items of a kind, such as `Exif`; damaged ones are passed over."""
    try:
        return list(_items(content, kind))
    except struct.error:
        return []


def _items(content: bytes, kind: bytes) -> Iterator[Item]:
    meta = next((box for box in _boxes(content, 0, len(content)) if box[0] == b"meta"), None)
    if meta is None:
        return
    boxes = {name: (start, end) for name, start, end in _boxes(content, meta[1] + 4, meta[2])}
    if b"iinf" not in boxes or b"iloc" not in boxes:
        return
    start, end = boxes[b"iinf"]
    declared = {}
    for name, at, _ in _boxes(content, start + (6 if content[start] == 0 else 8), end):
        if name == b"infe" and content[at] in (2, 3):
            form = ">HH4s" if content[at] == 2 else ">IH4s"
            number, _, found = struct.unpack_from(form, content, at + 4)
            if found == kind:
                declared[number] = at + 4 + struct.calcsize(form) - 4
    stored = boxes.get(b"idat", (0, 0))[0]
    left = len(content)
    for number, extents in _locations(content, *boxes[b"iloc"], stored):
        if number in declared:
            left -= sum(length for _, length in extents)
            if left < 0:  # parts that lie in one place, again and again
                return
            data = b"".join(content[place : place + length] for place, length in extents)
            skipped = 4 + int.from_bytes(data[:4]) if kind == b"Exif" else 0
            yield Item(declared[number], data[skipped:])


def _locations(
    content: bytes, at: int, end: int, stored: int
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Numbers of items and where their parts lie: place and length."""
    version = content[at]
    sizes = struct.unpack_from(">BB", content, at + 4)
    offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_size = sizes[1] & 15 if version in (1, 2) else 0
    at += 6

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > end:
            raise struct.error("beyond the box")
        return int.from_bytes(content[at - size : at])

    count = number(2 if version < 2 else 4)
    for _ in range(min(count, _MOST_ITEMS)):
        name = number(2 if version < 2 else 4)
        method = number(2) & 15 if version in (1, 2) else 0
        number(2)
        base = number(base_size) + (stored if method == 1 else 0)
        extents = []
        parts = number(2)
        if parts > _MOST_ITEMS:
            raise struct.error("too many parts")
        for _ in range(parts):
            number(index_size)
            place = number(offset_size)
            extents.append((base + place, number(length_size)))
        yield name, extents


def _boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Names of boxes, and where their contents start and end."""
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", content, at)
        head = 8
        if size == 1 and at + 16 <= end:
            size, head = int.from_bytes(content[at + 8 : at + 16]), 16
        size = size or end - at
        if size < head:
            return
        yield name, at + head, min(at + size, end)
        at += size
