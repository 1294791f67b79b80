"""EXIF data: edited in place, turned and scaled with the picture.

Sources: Exif 3.0 (CIPA DC-008), sections 4.6.4 to 4.6.6; TIFF/EP (ISO 12234-2).
"""

import math
import struct
from collections.abc import Sequence

from dcls_cli.image.metadata.directories import (
    CENTIMETRE,
    CM_PER_INCH,
    DETAILS,
    FRACTIONS,
    GPS,
    INCH,
    INTEROPERABILITY,
    LONG,
    MOST_NUMBERS,
    NO_UNIT,
    ORIENTATION,
    PREFIX,
    RATIONAL,
    RESOLUTION_UNIT,
    SHORT,
    X_RESOLUTION,
    Y_RESOLUTION,
    DamagedError,
    Directory,
    Entry,
    bytes_of,
    entry_of,
    numbers_of,
    parse,
    structure,
)
from dcls_cli.image.metadata.placement import Placement

_ENTRY_BYTES = 12

#: JPEGInterchangeFormat and its length: the thumbnail of the second directory.
_THUMBNAIL, _THUMBNAIL_BYTES = 0x201, 0x202


class Block:
    """EXIF data that are edited in place.

    What is not edited stays where it is, as the notes of cameras' makers hold places of their own.
    Values that are longer than four bytes are appended.
    """

    def __init__(self, data: bytes) -> None:
        """Find the directories.

        Raises:
            DamagedError: the data cannot be read.
        """
        while data.startswith(PREFIX):  # some files have it twice
            data = data.removeprefix(PREFIX)
        if 43 in data[2:4]:
            raise DamagedError("BigTIFF is no EXIF data")
        tree = parse(data)
        found = {DETAILS, GPS} & set(tree.children)
        if DETAILS in found:
            found |= set(tree.children[DETAILS].children)
        self._data = bytearray(data)
        self.order = tree.order
        #: Places of the pointers to directories, by tag; of the first one by 0.
        self._pointers = {0: 4}
        for parent, tag in ((0, DETAILS), (0, GPS), (DETAILS, INTEROPERABILITY)):
            if tag in found:
                self._pointers[tag] = self._places(parent)[tag] + 8

    @classmethod
    def empty(cls) -> "Block":
        """Data of one directory without tags."""
        return cls(structure(Directory("<")))

    @property
    def directories(self) -> tuple[int, ...]:
        """The directories there are, by the tag that points to them; 0 for the first."""
        return tuple(self._pointers)

    @property
    def is_empty(self) -> bool:
        """Whether the first directory has no tags."""
        return not self._places(0)

    def to_bytes(self) -> bytes:
        """The data with their prefix."""
        return PREFIX + bytes(self._data)

    def entry(self, directory: int, tag: int) -> Entry | None:
        """A value; None if there is none, or it does not lie within the data."""
        place = self._places(directory).get(tag)
        if place is None:
            return None
        kind, count = struct.unpack_from(f"{self.order}HI", self._data, place + 2)
        length = bytes_of(kind, count)
        start = place + 8 if length <= 4 else self._number("I", place + 8)
        data = bytes(self._data[start : start + length])
        return Entry(kind, count, data) if length and len(data) == length else None

    def numbers(self, directory: int, tag: int) -> tuple[float, ...]:
        """Numbers of a tag; none if it is missing or damaged."""
        entry = self.entry(directory, tag)
        if entry is None or entry.count > MOST_NUMBERS:
            return ()
        return numbers_of(self.order, entry)

    def put(self, directory: int, tag: int, kind: int, values: Sequence[float]) -> None:
        """Set a tag, new or not, to numbers; see `entry_of`."""
        self.put_entry(directory, tag, entry_of(self.order, kind, values))

    def put_entry(self, directory: int, tag: int, entry: Entry) -> None:
        """Set a tag, new or not, to a value of the data's byte order."""
        data = entry.data
        if len(data) > 4:
            data = struct.pack(self.order + "I", self._append(data))
        stored = struct.pack(f"{self.order}HHI", tag, entry.kind, entry.count)
        stored += data.ljust(4, b"\0")
        place = self._places(directory).get(tag)
        if place is not None:
            self._erase(*self._range(place), place)
            self._data[place : place + _ENTRY_BYTES] = stored
            return
        # There is no room for one more: the directory moves to the end.
        start = self._number("I", self._pointers[directory])
        end = start + 2 + _ENTRY_BYTES * self._number("H", start)
        table = bytes(self._data[start + 2 : end])
        entries = [table[at : at + _ENTRY_BYTES] for at in range(0, len(table), _ENTRY_BYTES)]
        entries.append(stored)
        entries.sort(key=lambda each: struct.unpack_from(self.order + "H", each))
        moved = struct.pack(self.order + "H", len(entries)) + b"".join(entries)
        moved += bytes(self._data[end : end + 4]).ljust(4, b"\0")
        struct.pack_into(
            self.order + "I", self._data, self._pointers[directory], self._append(moved)
        )
        places = self._places(directory)
        for child in {0: (DETAILS, GPS), DETAILS: (INTEROPERABILITY,)}.get(directory, ()):
            if child in self._pointers:
                self._pointers[child] = places[child] + 8

    def remove(self, directory: int, tag: int) -> None:
        """Take an entry out of its directory; nothing happens if there is none."""
        place = self._places(directory).get(tag)
        if place is None:
            return
        self._erase(*self._range(place), place)
        start = self._number("I", self._pointers[directory])
        count = self._number("H", start)
        end = start + 2 + _ENTRY_BYTES * count
        rest = self._data[place + _ENTRY_BYTES : end + 4]
        self._data[place : place + len(rest)] = rest
        struct.pack_into(self.order + "H", self._data, start, count - 1)
        for child, pointer in self._pointers.items():
            if place < pointer < end:
                self._pointers[child] = pointer - _ENTRY_BYTES

    def cut_thumbnail(self) -> None:
        """Cut off the second directory, which shows the stored picture, and erase its picture."""
        start = self._number("I", self._pointers[0])
        after = start + 2 + _ENTRY_BYTES * self._number("H", start)
        if after + 4 > len(self._data):
            return
        second = self._number("I", after)
        struct.pack_into(self.order + "I", self._data, after, 0)
        if not second or second + 2 > len(self._data):
            return
        found = {}
        count = self._number("H", second)
        last = min(second + 2 + _ENTRY_BYTES * count, len(self._data) - _ENTRY_BYTES + 1)
        for place in range(second + 2, last, _ENTRY_BYTES):
            found[self._number("H", place)] = self._number("I", place + 8)
        if _THUMBNAIL in found and _THUMBNAIL_BYTES in found:
            picture = found[_THUMBNAIL]
            end = picture + found[_THUMBNAIL_BYTES]
            if self._erase(picture, end) and end >= len(self._data):
                del self._data[picture:]

    def _range(self, place: int) -> tuple[int, int]:
        """Where the value of an entry lies if that is not in the entry; else twice the same."""
        kind, count = struct.unpack_from(f"{self.order}HI", self._data, place + 2)
        length = bytes_of(kind, count)
        start = self._number("I", place + 8)
        return (start, start + length) if length > 4 else (0, 0)

    def _erase(self, start: int, end: int, of: int | None = None) -> bool:
        """Overwrite removed values with zeros, unless other tags need them.

        Args:
            start: first byte.
            end: after the last byte.
            of: the place of the entry that needs it no more.

        Returns:
            Whether no other tag needs it.
        """
        needed = [(0, 8)]
        for directory in self._pointers:
            places = self._places(directory).values()
            table = self._number("I", self._pointers[directory])
            needed.append((table, table + 6 + _ENTRY_BYTES * len(places)))
            needed += [self._range(place) for place in places if place != of]
        if any(first < end and start < last for first, last in needed):
            return False
        end = min(end, len(self._data))
        if start < end:
            self._data[start:end] = bytes(end - start)
        return True

    def _append(self, data: bytes) -> int:
        self._data += bytes(len(self._data) % 2)
        place = len(self._data)
        self._data += data
        return place

    def _number(self, code: str, place: int) -> int:
        return int(struct.unpack_from(self.order + code, self._data, place)[0])

    def _places(self, directory: int) -> dict[int, int]:
        """Places of the entries of a directory by tag; the first of several with one tag."""
        start = self._number("I", self._pointers[directory])
        count = self._number("H", start) if start + 2 <= len(self._data) else 0
        places: dict[int, int] = {}
        last = min(start + 2 + _ENTRY_BYTES * count, len(self._data) - _ENTRY_BYTES + 1)
        for place in range(start + 2, last, _ENTRY_BYTES):
            places.setdefault(self._number("H", place), place)
        return places


def orientation_of(data: bytes) -> int | None:
    """How EXIF data say that the picture has to be turned; None if they say nothing.

    Raises:
        DamagedError: the data cannot be read.
    """
    directory = parse(data)
    entry = directory.entries.get(ORIENTATION)
    if entry is None or entry.kind in FRACTIONS or entry.count > MOST_NUMBERS:
        return None
    return int(numbers_of(directory.order, entry)[0])


def resolution_of(data: bytes) -> tuple[float, float] | None:
    """The resolution that EXIF data state, pixels per inch; None if they state none.

    Raises:
        DamagedError: the data cannot be read.
    """
    block = Block(data)
    unit = int((block.numbers(0, RESOLUTION_UNIT) or (INCH,))[0])
    factor = {INCH: 1.0, CENTIMETRE: CM_PER_INCH}.get(unit)
    sides = [block.numbers(0, tag)[:1] for tag in (X_RESOLUTION, Y_RESOLUTION)]
    if factor is None or not all(sides):
        return None
    return sides[0][0] * factor, sides[1][0] * factor


_PIXEL_SIZES = ((DETAILS, 0xA002, 0xA003), (INTEROPERABILITY, 0x1001, 0x1002), (0, 256, 257))

#: Of EXIF, and of TIFF/EP, which has them in the first directory.
_SUBJECTS = ((DETAILS, 0x9214), (DETAILS, 0xA214), (0, 0x9214))
_FOCAL_PLANES = ((DETAILS, 0xA20E, 0xA20F), (0, 0x920E, 0x920F))


def place(block: Block, placement: Placement) -> list[str]:
    """Let numbers that count pixels, or name places, speak of another picture.

    Sizes are stated as they are, SubjectArea and SubjectLocation are turned and scaled, as are the
    pixels to the unit of the sensor.

    Returns:
        What had to be left out, a sentence each.
    """
    here = block.directories
    for directory, across, down in _PIXEL_SIZES:
        for tag, size in zip((across, down), placement.after, strict=True):
            if directory in here and block.numbers(directory, tag) not in ((), (size,)):
                block.put(directory, tag, LONG, [size])
    notes = []
    for directory, tag in _SUBJECTS:
        if directory in here and (area := block.numbers(directory, tag)):
            placed = placement.subject(area)
            if placed is None or max(placed) > 0xFFFF:
                block.remove(directory, tag)
                notes.append("the area of the subject, which does not lie in the picture")
            elif tuple(area) != tuple(placed):
                block.put(directory, tag, SHORT, placed)
    for directory, across, down in _FOCAL_PLANES:
        if directory in here:
            density = [block.numbers(directory, tag)[:1] for tag in (across, down)]
            if all(density):
                placed_density = placement.density(density[0][0], density[1][0])
                for tag, value in zip((across, down), placed_density, strict=True):
                    if math.isfinite(value) and 0 < value < 2**32:
                        block.put(directory, tag, RATIONAL, [value])
    return [f"left out of the EXIF data: {note}" for note in notes]


def state_resolution(block: Block, dpi: tuple[float, float], *, always: bool) -> None:
    """Let EXIF data state the resolution of the file around them.

    Args:
        block: the data.
        dpi: horizontal and vertical resolution, pixels per inch.
        always: whether it is added where the data state none.
    """
    stated = [block.numbers(0, tag)[:1] for tag in (X_RESOLUTION, Y_RESOLUTION)]
    if not always and not any(stated):
        return
    unit = (block.numbers(0, RESOLUTION_UNIT) or (INCH,))[0]
    factor = {INCH: 1.0, CENTIMETRE: CM_PER_INCH}.get(int(unit), 0.0)
    if all(stated) and all(
        math.isclose(value[0] * factor, right, rel_tol=2e-3)
        for value, right in zip(stated, dpi, strict=True)
    ):
        return
    for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
        block.put(0, tag, RATIONAL, [value])
    block.put(0, RESOLUTION_UNIT, SHORT, [INCH])


def drop_resolution(block: Block, *, only_unitless: bool) -> None:
    """Take out a resolution that the file around the data does not have.

    One without a unit is TIFF's, not that of EXIF; one with a unit contradicts a file that states
    a ratio of sides without one.
    """
    if not only_unitless or block.numbers(0, RESOLUTION_UNIT)[:1] == (NO_UNIT,):
        for tag in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT):
            block.remove(0, tag)
