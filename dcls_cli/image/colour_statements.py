"""What files say about their colours in places that no library passes on, format by format."""

import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from dcls_cli.image.colour import Curve, Point
from dcls_cli.image.colour_spaces import (
    SRGB,
    Stated,
    points_of,
    stated_chromaticities,
    stated_code_points,
)

_LIGHT_LEVELS_NOTE = "the light levels of its high dynamic range are left out"


def stated_by_file(file: BinaryIO, form: str) -> Stated:
    """Read what a file says.

    Args:
        file: seekable; its position is not kept.
        form: its format, as Pillow calls it; others than PNG, AVIF, HEIF, GIF and BMP say nothing
            here.
    """
    readers = {"PNG": _png, "AVIF": _boxes, "HEIF": _boxes, "GIF": _gif, "BMP": _bmp}
    return readers[form](file) if form in readers else Stated()


def stated_by_info(image: Image.Image) -> Stated:
    """What Pillow has found in a PNG; its images do not have the cICP chunk."""
    if image.format != "PNG":
        return Stated()
    if "srgb" in image.info:
        return Stated(space=SRGB)
    gamma, numbers = image.info.get("gamma"), image.info.get("chromaticity")
    return _png_colours(
        1 / gamma if isinstance(gamma, float) and gamma > 0 else None,
        numbers if isinstance(numbers, Sequence) and len(numbers) == 8 else None,
    )


_PNG_HEAD_BYTES = 8
_PNG_UNIT = 100_000
_LIGHT_LEVELS = frozenset((b"mDCV", b"cLLI", b"mDCv", b"cLLi"))

#: Colour chunks and their lengths.
_PNG_CHUNKS = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}


def _png(file: BinaryIO) -> Stated:
    """Take the chunks in the order of PNG's third edition: cICP, (iCCP), sRGB, cHRM with gAMA."""
    chunks, notes = {}, []
    has_light_levels = False
    for name, length in _png_chunks(file):
        has_light_levels |= name in _LIGHT_LEVELS
        if name not in _PNG_CHUNKS or name in chunks or length > _LONGEST_META_BYTES:
            continue
        data, checksum = file.read(length), file.read(4)
        if checksum != zlib.crc32(name + data).to_bytes(4):
            continue  # `reading` notes it
        if length == _PNG_CHUNKS[name]:
            chunks[name] = data
        else:
            notes.append(f"its {name.decode()} chunk is damaged and was left out")
    stated = Stated()
    if b"cICP" in chunks:
        primaries, transfer, matrix, full_range = chunks[b"cICP"]
        if matrix != 0 or full_range > 1:
            notes.append("its cICP chunk states colours that PNG cannot hold and was left out")
        else:
            stated = stated_code_points(primaries, transfer)
            narrow = not full_range and (stated.code_points or stated.space) is not None
            stated = replace(stated, over_profile=True, narrow_range=narrow)
    if stated.code_points and has_light_levels:
        notes.append(_LIGHT_LEVELS_NOTE)
    if stated.code_points or stated.space:
        return stated.noting(*notes)
    notes = [*stated.notes, *notes]
    if b"sRGB" in chunks:
        return Stated(space=SRGB).noting(*notes)
    (gamma,) = struct.unpack(">I", chunks.get(b"gAMA", bytes(4)))
    numbers = struct.unpack(">8I", chunks[b"cHRM"]) if b"cHRM" in chunks else None
    return _png_colours(
        _PNG_UNIT / gamma if gamma else None,
        None if numbers is None else [number / _PNG_UNIT for number in numbers],
    ).noting(*notes)


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Names and lengths of the chunks before the pixels; the file stands at their data."""
    place = _PNG_HEAD_BYTES
    file.seek(place)
    while len(header := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", header)
        if name == b"IDAT":
            return
        yield name, length
        place += 12 + length
        file.seek(place)


def _png_colours(exponent: float | None, numbers: Sequence[float] | None) -> Stated:
    """What gAMA and cHRM say: white, red, green and blue."""
    if exponent is None and numbers is None:
        return Stated()
    points = None
    if numbers is not None:
        white, *colours = zip(numbers[::2], numbers[1::2], strict=True)
        points = [*colours, white]
    return stated_chromaticities(points, exponent)


#: A file with more bytes before its pixels is none of a camera or a program for pictures.
_LONGEST_META_BYTES = 2**24

#: Boxes that begin with a version and flags.
_VERSIONED = frozenset((b"meta", b"iinf", b"infe", b"ipma", b"pitm"))


class Boxes(NamedTuple):
    """What the boxes of an AVIF or HEIC file say (ISO/IEC 14496-12 and 23008-12).

    Attributes:
        properties: of the primary picture, in order: type and content.
        everything: properties of all pictures.
        kinds: of all items, such as av01, hvc1, grid, tmap, Exif.
    """

    properties: tuple[tuple[bytes, bytes], ...] = ()
    everything: tuple[tuple[bytes, bytes], ...] = ()
    kinds: frozenset[bytes] = frozenset()


def read_boxes(file: BinaryIO) -> Boxes:
    """Read the descriptions of a file's pictures, nothing where they are damaged."""
    file.seek(0, os.SEEK_END)
    room = file.tell()
    place = 0
    while place + 8 <= room:
        file.seek(place)
        head = file.read(16)
        length, kind = struct.unpack_from(">I4s", head)
        start = 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
            start = 16
        if kind == b"meta" and start + 4 <= length <= _LONGEST_META_BYTES:
            file.seek(place + start)
            try:
                return _described(file.read(length - start))
            except (struct.error, IndexError, KeyError):
                return Boxes()
        if length < start:  # up to the end, or damaged
            break
        place += length
    return Boxes()


def _described(meta: bytes) -> Boxes:
    boxes = dict(_children(meta[4:]))
    kinds = []
    primary = None
    if b"pitm" in boxes:
        version, content = boxes[b"pitm"][0], boxes[b"pitm"][4:]
        (primary,) = struct.unpack_from(">I" if version else ">H", content)
    if b"iinf" in boxes:
        skipped = 6 if boxes[b"iinf"][0] == 0 else 8
        for kind, content in _children(boxes[b"iinf"][skipped:]):
            if kind == b"infe" and content[0] >= 2:
                at = 8 if content[0] == 2 else 10
                kinds.append(content[at : at + 4])
    within = dict(_children(boxes.get(b"iprp", b"")))
    everything = tuple(_children(within.get(b"ipco", b"")))
    indices = _associated(within.get(b"ipma", bytes(8)), primary)
    used = tuple(everything[index - 1] for index in indices if 0 < index <= len(everything))
    return Boxes(used, everything, frozenset(kinds))


def _children(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Types and contents of the boxes in a box, up to where it is damaged."""
    at = 0
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if not 8 <= length <= len(content) - at:
            return
        yield kind, content[at + 8 : at + length]
        at += length


def _associated(table: bytes, item: int | None) -> list[int]:
    """Numbers of the properties of an item, from 1 on."""
    version, wide = table[0], table[3] & 1
    (entries,) = struct.unpack_from(">I", table, 4)
    at = 8
    for _ in range(entries):
        (number,) = struct.unpack_from(">I" if version else ">H", table, at)
        at += 4 if version else 2
        count = table[at]
        at += 1
        size = 2 if wide else 1
        if number == item:
            mask = 0x7FFF if wide else 0x7F
            words = struct.unpack_from(f">{count}{'H' if wide else 'B'}", table, at)
            return [word & mask for word in words]
        at += count * size
    return []


def _boxes(file: BinaryIO) -> Stated:
    """Take the nclx colours of the primary picture; a profile beside them counts more."""
    properties = read_boxes(file).properties
    for kind, content in properties:
        if kind == b"colr" and content[:4] == b"nclx" and len(content) >= 8:
            stated = stated_code_points(*struct.unpack_from(">HH", content, 4))
            names = {name for name, _ in properties}
            if stated.code_points and names & {b"mdcv", b"clli", b"cclv", b"amve"}:
                return stated.noting(_LIGHT_LEVELS_NOTE)
            return stated
    return Stated()


_GIF_PROFILE = b"\x0bICCRGBG1012"


def _gif(file: BinaryIO) -> Stated:
    """Take the profile of the application extension that the ICC has registered for GIF."""
    file.seek(10)
    (flags,) = file.read(1) or b"\0"
    file.seek(13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0))
    while file.read(1) == b"!":
        file.seek(1, os.SEEK_CUR)  # kind of extension
        blocks = list(_gif_blocks(file))
        if blocks and len(blocks[0]) == 11 and b"\x0b" + blocks[0] == _GIF_PROFILE:
            return Stated(profile=b"".join(blocks[1:]))
    return Stated()


def _gif_blocks(file: BinaryIO) -> Iterator[bytes]:
    while (length := file.read(1)) not in (b"", b"\0"):
        yield file.read(length[0])


_BMP_HEADER_AT = 14
_BMP_V4_BYTES, _BMP_V5_BYTES = 108, 124
_CALIBRATED, _EMBEDDED, _LINKED = 0, 0x4D424544, 0x4C494E4B
_BMP_UNIT, _BMP_GAMMA_UNIT = 2**30, 2**16


def _bmp(file: BinaryIO) -> Stated:
    """Take the profile of version 5, or the calibrated colours of version 4."""
    file.seek(_BMP_HEADER_AT)
    header = file.read(_BMP_V5_BYTES)
    size = int.from_bytes(header[:4], "little")
    if size < _BMP_V4_BYTES or len(header) < min(size, _BMP_V5_BYTES):
        return Stated()
    kind, *numbers = struct.unpack_from("<I9i3I", header, 56)
    if kind == _CALIBRATED:
        return _bmp_calibrated(numbers[:9], numbers[9:])
    if size < _BMP_V5_BYTES or kind not in (_EMBEDDED, _LINKED):
        return Stated()
    if kind == _LINKED:
        return Stated(notes=("its colour profile is another file and was left out",))
    start, length = struct.unpack_from("<II", header, 112)
    file.seek(_BMP_HEADER_AT + start)
    return Stated(profile=file.read(min(length, _LONGEST_META_BYTES)) or b"cut off")


def _bmp_calibrated(endpoints: Sequence[int], gammas: Sequence[int]) -> Stated:
    """What XYZ of red, green and blue, and three exponents say.

    Programs that have nothing to say leave zeros there.
    """
    if not any(endpoints):
        return Stated()
    colours = np.array(endpoints, np.float64).reshape(3, 3) / _BMP_UNIT
    sums = colours.sum(axis=1)
    white = colours.sum(axis=0)
    if not (sums > 0).all():
        return stated_chromaticities([(np.nan, np.nan)] * 4, None)
    points: list[Point] = [(float(x), float(y)) for x, y, _ in colours / sums[:, None]]
    # ImageMagick writes chromaticities, whose sum is no white, and the exponent of encoding.
    unscaled = bool((np.abs(sums - 1) < 1e-3).all())
    points.append(SRGB.points[3] if unscaled else (white[0] / white.sum(), white[1] / white.sum()))
    exponents = [number / _BMP_GAMMA_UNIT for number in gammas]
    if unscaled:
        exponents = [1 / number if 0 < number < 1 else number for number in exponents]
    if not all(exponents):
        return stated_chromaticities(points, None)
    if max(exponents) - min(exponents) < 1e-3:
        return stated_chromaticities(points, exponents[0])
    return stated_chromaticities(points, None, [(number,) for number in exponents])


_WHITE_POINT, _CHROMATICITIES, _TRANSFER_FUNCTION = 318, 319, 301

#: Entries of a curve in a profile that LittleCMS takes for smooth.
_MOST_ENTRIES = 4096


def stated_by_tags(tags: Mapping[int, object]) -> Stated:
    """What the tags of a TIFF say: WhitePoint, PrimaryChromaticities and TransferFunction."""
    points = points_of(tags.get(_WHITE_POINT), tags.get(_CHROMATICITIES))
    curves = _tables(tags.get(_TRANSFER_FUNCTION))
    if points is None and not curves:
        return Stated()
    return stated_chromaticities(points, None, curves)


def _tables(values: object) -> list[Curve]:
    """One table or three, of a power of two entries; none if they are something else."""
    if not isinstance(values, tuple) or len(values) < 2:
        return []
    count = len(values) // 3 if len(values) % 3 == 0 else len(values)
    if count & (count - 1):
        return []
    tables = np.array(values, np.float64).clip(0, 65535).reshape(-1, count)
    if count > _MOST_ENTRIES:
        places = np.linspace(0, count - 1, _MOST_ENTRIES)
        tables = np.array([np.interp(places, np.arange(count), table) for table in tables])
    return [tuple(int(level) for level in np.rint(table)) for table in tables]
