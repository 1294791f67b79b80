"""Directories of tags as TIFF and EXIF data have them, read within bounds, and rebuilt.

Values are bytes and stay so: text in whatever encoding its writer chose is never decoded. A reader
of images would read every value at once, of a small file with many tags that share one large value
more than there is memory for.

Sources: TIFF 6.0, section 2; Exif 3.0 (CIPA DC-008), section 4.6; the BigTIFF proposal.
"""

import io
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import BinaryIO, NamedTuple

PREFIX = b"Exif\0\0"

IMAGE_WIDTH, IMAGE_HEIGHT = 256, 257
DESCRIPTION, ORIENTATION = 270, 274
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
NO_UNIT, INCH, CENTIMETRE = 1, 2, 3
CM_PER_INCH = 2.54

#: Directories that a tag points to: EXIF, GPS, interoperability.
DETAILS, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
SUB_DIRECTORIES = (DETAILS, GPS, INTEROPERABILITY)

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE, LONG8 = 1, 2, 3, 4, 5, 7, 12, 16

#: Codes of `struct` by type; of fractions, of either number. 129 is UTF-8 of Exif 3.0.
_CODES = {
    1: "B",
    2: "B",
    129: "B",
    3: "H",
    4: "I",
    5: "I",
    6: "b",
    7: "B",
    8: "h",
    9: "i",
    10: "i",
} | {
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}
FRACTIONS = (5, 10)
_IFD, _IFD8, _SLONG8 = 13, 18, 17

#: Tags that say how a file stores its picture: never a part of what it says about the photo.
STRUCTURAL = frozenset(
    {254, 255, *range(256, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 292)}
    | {292, 293, 317, 320, *range(321, 326), 330, 332, 334, 338, 339, 340, 341, 342}
    | {346, 347, *range(512, 522), *range(529, 533), 559, 34377, 37724, 50215, 50216}
)

#: Values of all tags over the size of the data, beyond some that share a place.
_MOST_SHARED, _ALWAYS_SHARED_BYTES = 2, 2**24

#: No value is longer.
_LONGEST_BYTES = 2**26


#: A directory has some hundreds of tags at most.
_MOST_TAGS = 4096

#: Values of more numbers are none that are looked into here.
MOST_NUMBERS = 4096


class DamagedError(ValueError):
    """EXIF data that cannot be read."""


class HostileError(DamagedError):
    """EXIF data that are made to fill the memory of whoever reads every value."""


@dataclass(frozen=True)
class Entry:
    """A value as it is stored.

    Attributes:
        kind: TIFF's number of its type.
        count: of numbers, fractions or bytes.
        data: in the byte order of its directory.
    """

    kind: int
    count: int
    data: bytes


@dataclass
class Directory:
    """Tags of a directory and of those that it points to.

    Attributes:
        order: `<` or `>`, of all numbers.
        entries: by tag.
        children: directories by the tag that points to them.
    """

    order: str
    entries: dict[int, Entry] = field(default_factory=dict)
    children: dict[int, "Directory"] = field(default_factory=dict)

    def value(self, tag: int) -> bytes | float | tuple[float, ...] | None:
        """A value: text and bytes as bytes, one number as such, several as a tuple."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind in (ASCII, UNDEFINED):
            return None if entry is None else entry.data
        if entry.count > MOST_NUMBERS:
            return None
        numbers = numbers_of(self.order, entry)
        return numbers[0] if len(numbers) == 1 else numbers

    def put(self, tag: int, kind: int, values: Sequence[float]) -> None:
        """Set a tag to numbers; see `entry_of`."""
        self.entries[tag] = entry_of(self.order, kind, values)


def entry_of(order: str, kind: int, values: Sequence[float]) -> Entry:
    """Store numbers as a type demands; those of RATIONAL as the nearest fractions of 32 bits."""
    if kind in FRACTIONS:
        pairs = [_fraction(value) for value in values]
        numbers = [number for pair in pairs for number in pair]
    elif kind == DOUBLE:
        numbers = [float(value) for value in values]  # type: ignore[misc]
    else:
        numbers = [int(value) for value in values]
    data = struct.pack(f"{order}{len(numbers)}{_CODES[kind]}", *numbers)
    return Entry(kind, len(values), data)


def _fraction(value: float) -> tuple[int, int]:
    for largest in (1_000_000, 10_000, 100, 1):
        near = Fraction(value).limit_denominator(largest)
        if near.numerator < 2**32:
            return near.numerator, near.denominator
    raise ValueError(f"{value} is no fraction of 32 bits")


def numbers_of(order: str, entry: Entry) -> tuple[float, ...]:
    """The numbers of a value; 0 for fractions without a denominator."""
    parts = entry.count * (2 if entry.kind in FRACTIONS else 1)
    numbers = struct.unpack(f"{order}{parts}{_CODES[entry.kind]}", entry.data)
    if entry.kind not in FRACTIONS:
        return numbers
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(above / below if below else 0.0 for above, below in pairs)


def bytes_of(kind: int, count: int) -> int:
    """Length of a value; 0 for unknown types."""
    if kind not in _CODES:
        return 0
    return count * struct.calcsize("<" + _CODES[kind]) * (2 if kind in FRACTIONS else 1)


class _Layout(NamedTuple):
    """How a file writes directories; see `tiff`."""

    order: str
    length: struct.Struct
    entry: struct.Struct
    pointer: struct.Struct


def _layout(order: str, *, big: bool) -> _Layout:
    return _Layout(
        order,
        struct.Struct(order + ("Q" if big else "H")),
        struct.Struct(order + ("HHQ" if big else "HHI")),
        struct.Struct(order + ("Q" if big else "I")),
    )


def read(file: BinaryIO) -> Directory:
    """Read the first directory of a TIFF structure and those of EXIF, GPS and interoperability.

    Values that do not lie within the file, and tags of `STRUCTURAL`, are left out.

    Raises:
        DamagedError: there is no whole directory.
        HostileError: the values are several times as long as the file, or there are thousands.
    """
    room = file.seek(0, os.SEEK_END)
    file.seek(0)
    header = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(header[:2])
    if order is None or len(header) < 8 or header[2:4] not in (b"*\0", b"\0*", b"+\0", b"\0+"):
        raise DamagedError("no TIFF structure")
    layout = _layout(order, big=43 in header[2:4])
    if len(header) < 2 * layout.pointer.size:
        raise DamagedError("no TIFF structure")
    (first,) = layout.pointer.unpack_from(header, layout.pointer.size)
    reader = _Reader(file, layout, room)
    directory = reader.directory(first)
    for tag in (DETAILS, GPS):
        reader.attach(directory, tag)
    if DETAILS in directory.children:
        reader.attach(directory.children[DETAILS], INTEROPERABILITY)
    return directory


class _Reader:
    """Reads directories of one file and counts how much they hold."""

    def __init__(self, file: BinaryIO, layout: _Layout, room: int) -> None:
        self._file, self._layout, self._room = file, layout, room
        self._left = _MOST_SHARED * room + _ALWAYS_SHARED_BYTES

    def attach(self, parent: Directory, tag: int) -> None:
        """Read the directory that a tag points to; one that is damaged is left out."""
        pointer = parent.entries.pop(tag, None)
        if pointer is None or pointer.kind not in (LONG, _IFD, LONG8, _IFD8):
            return
        try:
            child = self.directory(int(numbers_of(parent.order, pointer)[0]))
        except HostileError:
            raise
        except DamagedError:  # common: programs that cut data leave the pointer
            return
        if child.entries:
            parent.children[tag] = child

    def directory(self, place: int) -> Directory:
        """Read one directory."""
        layout = self._layout
        self._file.seek(place)
        head = self._file.read(layout.length.size)
        if len(head) < layout.length.size:
            raise DamagedError("a directory lies outside of the data")
        (count,) = layout.length.unpack(head)
        if count > _MOST_TAGS:
            raise HostileError(f"a directory of {count} tags")
        size = layout.entry.size + layout.pointer.size
        table = self._file.read(count * size)
        directory = Directory(layout.order)
        for at in range(0, len(table) - size + 1, size):
            tag, kind, values = layout.entry.unpack_from(table, at)
            length = bytes_of(kind, values)
            self._left -= min(length, self._room)
            if self._left < 0:
                raise HostileError("its tags hold several times what the data do")
            if tag in STRUCTURAL or tag in directory.entries or not 0 < length <= _LONGEST_BYTES:
                continue
            inline = table[at + layout.entry.size : at + size]
            data = inline[:length]
            if length > len(inline):
                self._file.seek(layout.pointer.unpack(inline)[0])
                data = self._file.read(length)
            if len(data) == length:
                directory.entries[tag] = Entry(kind, values, data)
        return directory


def parse(data: bytes) -> Directory:
    """Read EXIF data, with or without their prefix; see `read`.

    Raises:
        DamagedError: see there.
    """
    return read(io.BytesIO(data.removeprefix(PREFIX)))


def is_hostile(data: bytes) -> bool:
    """Whether a reader that reads every value would need many times the memory of the data."""
    try:
        parse(data)
    except HostileError:
        return True
    except DamagedError:
        return False
    return False


def in_order(directory: Directory, order: str) -> Directory:
    """The same directories with their numbers in a byte order."""
    if directory.order == order:
        return directory
    swapped = Directory(order)
    for tag, entry in directory.entries.items():
        code = _CODES[entry.kind]
        step = struct.calcsize("<" + code)
        reversed_bytes = bytearray(entry.data)
        for at in range(step):
            reversed_bytes[at::step] = entry.data[step - 1 - at :: step]
        swapped.entries[tag] = replace(entry, data=bytes(reversed_bytes))
    swapped.children = {t: in_order(child, order) for t, child in directory.children.items()}
    return swapped


def build(directory: Directory, start: int, *, big: bool = False) -> bytes:
    """Write a directory for the place `start`, its values and those that it points to after it."""
    layout = _layout(directory.order, big=big)
    entries = dict(directory.entries)
    for tag in directory.children:
        entries[tag] = Entry(LONG8 if big else LONG, 1, bytes(layout.pointer.size))
    after = start + layout.length.size + layout.pointer.size
    after += len(entries) * (layout.entry.size + layout.pointer.size)
    table, values = [], []
    for tag, stored in sorted(entries.items()):
        entry = stored if big else _narrow(directory.order, stored)
        data = entry.data
        if tag in directory.children:
            data = layout.pointer.pack(after)
            values.append(build(directory.children[tag], after, big=big))
            after += len(values[-1])
        elif len(data) > layout.pointer.size:
            values.append(data + bytes(len(data) % 2))
            data = layout.pointer.pack(after)
            after += len(values[-1])
        padded = data.ljust(layout.pointer.size, b"\0")
        table.append(layout.entry.pack(tag, entry.kind, entry.count) + padded)
    return b"".join([layout.length.pack(len(entries)), *table, bytes(layout.pointer.size), *values])


def _narrow(order: str, entry: Entry) -> Entry:
    """A value of BigTIFF's types as TIFF has it; numbers of more than 32 bits become the largest.

    Only private tags have such, of sizes and places of a file that is not there any more.
    """
    if entry.kind not in (LONG8, _SLONG8, _IFD8):
        return entry
    kind, low, high = (9, -(2**31), 2**31 - 1) if entry.kind == _SLONG8 else (LONG, 0, 2**32 - 1)
    return entry_of(order, kind, [min(max(v, low), high) for v in numbers_of(order, entry)])


def structure(directory: Directory) -> bytes:
    """Write directories as EXIF data with their prefix."""
    mark = b"II*\0" if directory.order == "<" else b"MM\0*"
    return PREFIX + mark + struct.pack(directory.order + "I", 8) + build(directory, 8)
