"""The directories of TIFF and BigTIFF files, of either byte order."""

import os
import struct
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

Value = bytes | tuple[int, ...] | tuple[float, ...]

#: What a TIFF file says about its first picture, by number of the tag; text and bytes are bytes.
Tags = Mapping[int, Value]

_BYTES = (1, 2, 7)  # BYTE, ASCII, UNDEFINED

#: Codes of `struct` by type: SHORT, LONG, SBYTE, SSHORT, SLONG, FLOAT, DOUBLE, IFD, LONG8, SLONG8,
#: IFD8; and of the two numbers of RATIONAL and SRATIONAL.
_NUMBERS = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"} | {
    16: "Q",
    17: "q",
    18: "Q",
}
_FRACTIONS = {5: "I", 10: "i"}

_UNDEFINED, _LONG = 7, 4

#: IPTC data: bytes that old programs declare as 32-bit numbers.
_BYTES_WHATEVER_THEY_SAY = frozenset({33723})

#: Longer values are those of tags that say where the samples are.
_LONGEST_BYTES = 2**26


class _Layout(NamedTuple):
    """How a file writes its numbers.

    Attributes:
        order: `<` or `>`, as `struct` calls it.
        length: of the entries of a directory.
        entry: tag, type, number of values.
        pointer: place in the file.
        first: place of the first directory.
    """

    order: str
    length: struct.Struct
    entry: struct.Struct
    pointer: struct.Struct
    first: int


def read_tags(file: BinaryIO) -> Tags:
    """Read the first directory; values that do not lie within the file are left out.

    Raises:
        struct.error: there is no whole directory.
    """
    layout = _layout(file)
    file.seek(layout.first)
    (entries,) = layout.length.unpack(file.read(layout.length.size))
    size = layout.entry.size + layout.pointer.size
    table = file.read(entries * size)
    tags: dict[int, Value] = {}
    for start in range(0, len(table) - size + 1, size):
        tag, kind, count = layout.entry.unpack_from(table, start)
        if tag in _BYTES_WHATEVER_THEY_SAY and kind == _LONG:
            kind, count = _UNDEFINED, 4 * count
        value = _value(file, layout, kind, count, table[start + layout.entry.size : start + size])
        if value is not None:
            tags[tag] = value
    return tags


def replaced(file: BinaryIO, tag: int, value: int) -> bytes:
    """Copy a file with another number in its first directory.

    Args:
        file: seekable.
        tag: of a single SHORT, which lies within its entry.
        value: in place of it.
    """
    layout = _layout(file)
    file.seek(0)
    content = bytearray(file.read())
    (entries,) = layout.length.unpack_from(content, layout.first)
    size = layout.entry.size + layout.pointer.size
    for index in range(entries):
        at = layout.first + layout.length.size + index * size
        if layout.entry.unpack_from(content, at)[0] == tag:
            struct.pack_into(layout.order + "H", content, at + layout.entry.size, value)
    return bytes(content)


def count_pages(file: BinaryIO) -> int:
    """Count the directories, up to where the file is damaged or a loop."""
    layout = _layout(file)
    size = layout.entry.size + layout.pointer.size
    place = layout.first
    seen: set[int] = set()
    while place and place not in seen:
        file.seek(place)
        entries = file.read(layout.length.size)
        if len(entries) < layout.length.size:
            break
        seen.add(place)
        file.seek(layout.length.unpack(entries)[0] * size, os.SEEK_CUR)
        following = file.read(layout.pointer.size)
        if len(following) < layout.pointer.size:
            break
        (place,) = layout.pointer.unpack(following)
    return max(len(seen), 1)


def _layout(file: BinaryIO) -> _Layout:
    file.seek(0)
    header = file.read(16)
    order = "<" if header[:2] == b"II" else ">"
    big = 43 in header[2:4]
    pointer = struct.Struct(order + ("Q" if big else "I"))
    (first,) = pointer.unpack_from(header, pointer.size)
    return _Layout(
        order,
        struct.Struct(order + ("Q" if big else "H")),
        struct.Struct(order + ("HHQ" if big else "HHI")),
        pointer,
        first,
    )


def _value(file: BinaryIO, layout: _Layout, kind: int, count: int, inline: bytes) -> Value | None:
    """One value, from the entry itself or from where it points to."""
    code = "s" if kind in _BYTES else _NUMBERS.get(kind) or _FRACTIONS.get(kind)
    if code is None:
        return None
    parts = count * (2 if kind in _FRACTIONS else 1)
    length = parts * struct.calcsize(layout.order + code)
    if length > _LONGEST_BYTES:
        return None
    data = inline[:length]
    if length > len(inline):
        place = file.tell()
        file.seek(layout.pointer.unpack(inline)[0])
        data = file.read(length)
        file.seek(place)
    if len(data) < length:
        return None
    if code == "s":
        return data
    numbers = struct.unpack(f"{layout.order}{parts}{code}", data)
    if kind not in _FRACTIONS:
        return numbers
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(above / below if below else 0.0 for above, below in pairs)
