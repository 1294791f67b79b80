"""TIFF and BigTIFF files of all depths, without Pillow, which reads only some of them."""

import os
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from dcls_cli.errors import ImageError
from dcls_cli.image.colour import Samples, from_cmyk, straight
from dcls_cli.image.metadata import directories, iptc_from_tags, scientific

Value = bytes | tuple[int, ...] | tuple[float, ...]

#: What a TIFF file says about its first picture, by number of the tag; text and bytes are bytes.
Tags = Mapping[int, Value]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANAR = 274, 277, 284
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_SUB_DIRECTORIES, _INK_SET, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 330, 332, 338, 339
_SUBFILE, _XMP, _ICC, _DNG_VERSION = 254, 700, 34675, 50706
_IPTC, _PHOTOSHOP = 33723, 34377
_TRANSFER_FUNCTION, _WHITE_POINT, _CHROMATICITIES = 301, 318, 319

#: What is read of a directory. The others say where the samples are and how this file stores them;
#: there may be millions of them.
_READ = frozenset(
    {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _PLANAR, _X_RESOLUTION}
    | {_Y_RESOLUTION, _RESOLUTION_UNIT, _SUB_DIRECTORIES, _INK_SET, _EXTRA_SAMPLES}
    | {_TRANSFER_FUNCTION, _WHITE_POINT, _CHROMATICITIES}
    | {_SAMPLES, _SAMPLE_FORMAT, _SUBFILE, _XMP, _ICC, _DNG_VERSION, _IPTC, _PHOTOSHOP}
)

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _SEPARATED = 0, 1, 2, 5
_CMYK = 1
_UNSIGNED, _FLOAT = 1, 3
_SEPARATE_PLANES = 2
_MULTIPLIED_ALPHA, _ALPHA = 1, 2
_OLD_JPEG, _JPEG = 6, 7
_THUMBNAIL = 1

_CM_PER_INCH = 2.54

_IPTC_RESOURCE = 0x0404

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

#: No metadata are longer.
_LONGEST_BYTES = 2**26

#: Values of all tags over the size of the file, beyond some that share a place: Pillow reads each.
_MOST_SHARED, _ALWAYS_SHARED_BYTES = 2, 2**24


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

    No library is used, as it would read all values: of a small file with many tags that share one
    large value, or of a sparse one with millions of strips, more than there is memory for.

    Raises:
        ImageError: its tags hold several times what the file does.
        struct.error: there is no whole directory.
    """
    layout = _layout(file)
    room = file.seek(0, os.SEEK_END)
    held = 0
    file.seek(layout.first)
    (entries,) = layout.length.unpack(file.read(layout.length.size))
    size = layout.entry.size + layout.pointer.size
    table = file.read(entries * size)
    tags: dict[int, Value] = {}
    for start in range(0, len(table) - size + 1, size):
        tag, kind, count = layout.entry.unpack_from(table, start)
        held += min(count * _size_of(kind), room)
        if tag not in _READ or tag in tags:
            continue
        if tag == _IPTC and kind == _LONG:  # bytes, which old programs declare as numbers
            kind, count = _UNDEFINED, 4 * count
        value = _value(file, layout, kind, count, table[start + layout.entry.size : start + size])
        if value is not None:
            tags[tag] = value
    if held > _MOST_SHARED * room + _ALWAYS_SHARED_BYTES:
        raise ImageError(
            f"its TIFF tags hold {held} bytes and the file has {room}: it is damaged, or made to "
            "fill the memory"
        )
    return tags


def with_tag(file: BinaryIO, tag: int, value: int) -> bytes:
    """Copy a file with another number in a tag of its first directory, which is a single SHORT."""
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


def _size_of(kind: int) -> int:
    """Bytes of one value of a type; 0 for unknown ones."""
    if kind in _FRACTIONS:
        return 8
    return 1 if kind in _BYTES else struct.calcsize("<" + _NUMBERS.get(kind, "0s"))


def _value(file: BinaryIO, layout: _Layout, kind: int, count: int, inline: bytes) -> Value | None:
    """One value, from the entry itself or from where it points to."""
    code = "s" if kind in _BYTES else _NUMBERS.get(kind) or _FRACTIONS.get(kind)
    if code is None:
        return None
    length = count * _size_of(kind)
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
    parts = length // struct.calcsize(layout.order + code)
    numbers = struct.unpack(f"{layout.order}{parts}{code}", data)
    if kind not in _FRACTIONS:
        return numbers
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(above / below if below else 0.0 for above, below in pairs)


#: Floats may be this far outside [0, 1], as sharpening and resampling leave them, and are clipped.
_FLOAT_TOLERANCE = 0.1


def size_of(tags: Tags) -> tuple[int, int]:
    """Width and height, pixels."""
    return _number(tags, _WIDTH, 0), _number(tags, _HEIGHT, 0)


def bytes_per_px(tags: Tags) -> float:
    """What all samples of a pixel take in memory, where none is smaller than a byte."""
    return _number(tags, _SAMPLES, 1) * max(max(_numbers(tags, _BITS) or (1,)) / 8, 1)


def refuse_raw(tags: Tags) -> None:
    """Refuse the files of cameras that hold a small preview before the raw picture.

    Raises:
        ImageError: it is one.
    """
    preview = _number(tags, _SUBFILE, 0) & _THUMBNAIL and _SUB_DIRECTORIES in tags
    if _DNG_VERSION in tags or preview:
        raise ImageError("a camera's raw file; develop it into a TIFF, PNG or JPEG first")


def read_samples(file: BinaryIO, tags: Tags) -> Samples | None:
    """Read grey and RGB of 1 to 16 bits and floats, with or without alpha.

    Returns:
        The samples, as they are stored, but CMYK of 16 bits or with alpha in sRGB; None for kinds
        of colour that Pillow reads: palettes, other CMYK, YCbCr, Lab.

    Raises:
        ImageError: samples of a kind that is not supported.
        RuntimeError: the file is damaged.
        ValueError: the file is damaged.
    """
    if _PHOTOMETRIC not in tags and _number(tags, _SAMPLES, 1) > 2:
        raise ImageError("a TIFF that does not say which colours its samples are")
    photometric = _number(tags, _PHOTOMETRIC, _BLACK_IS_ZERO)
    if _number(tags, _COMPRESSION, 1) in (_OLD_JPEG, _JPEG):
        return None
    bits = _numbers(tags, _BITS) or (1,)
    if photometric == _SEPARATED and (max(bits) == 16 or _alphas(tags, 4)):
        return _inks(file, tags)
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        return None
    file.seek(0)
    values = _stored(file.read(), tags, colours=3 if photometric == _RGB else 1)
    if (_numbers(tags, _SAMPLE_FORMAT) or (_UNSIGNED,))[0] == _FLOAT:
        return _floats(values, inverted=photometric == _WHITE_IS_ZERO)
    return _integers(values, bits, tags, inverted=photometric == _WHITE_IS_ZERO)


def _stored(content: bytes, tags: Tags, *, colours: int) -> np.ndarray:
    """The colours, and alpha where there is one, as they are stored: (H, W, C)."""
    import imagecodecs

    values = np.asarray(imagecodecs.tiff_decode(content))
    if values.ndim == 2:
        values = values[..., None]
    elif _number(tags, _PLANAR, 1) == _SEPARATE_PLANES:
        values = np.moveaxis(values, 0, 2)
    if values.ndim != 3 or values.shape[2] < colours:
        raise ImageError(f"a TIFF of {values.shape} samples, expected {colours} colours a pixel")
    return values[..., : colours + _alphas(tags, colours)]


def _inks(file: BinaryIO, tags: Tags) -> Samples:
    """Read CMYK and convert it to sRGB, with all bits."""
    if _number(tags, _INK_SET, _CMYK) != _CMYK:
        raise ImageError("a TIFF of inks that are not CMYK; convert it to RGB first")
    # imagecodecs refuses inks of 16 bits; as colours of RGB and a fourth sample it reads them.
    values = _stored(with_tag(file, _PHOTOMETRIC, _RGB), tags, colours=4)
    if values.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"CMYK samples of the type {values.dtype} are not supported")
    white = int(np.iinfo(values.dtype).max)
    if values.shape[2] == 5 and _is_multiplied(tags):
        values = straight(values[..., :4], values[..., 4:], white)
    icc = tags.get(_ICC)
    samples = from_cmyk(
        np.ascontiguousarray(values[..., :4]), icc if isinstance(icc, bytes) else None
    )
    return replace(samples, values=np.concatenate([samples.values, values[..., 4:]], axis=2))


def _alphas(tags: Tags, colours: int) -> int:
    """1 if the first sample after the colours is alpha, 0 if there is none or it is another.

    One more sample than there are colours, of which a file says nothing, is alpha to all programs.
    """
    extra = _numbers(tags, _EXTRA_SAMPLES)
    if not extra:
        return int(_number(tags, _SAMPLES, 1) == colours + 1)
    return int(extra[0] in (_ALPHA, _MULTIPLIED_ALPHA))


def _is_multiplied(tags: Tags) -> bool:
    return (_numbers(tags, _EXTRA_SAMPLES) or (_ALPHA,))[0] == _MULTIPLIED_ALPHA


def left_out(tags: Tags) -> str | None:
    """That samples beyond colours and alpha were left out, if there are some."""
    colours = {_RGB: 3, _SEPARATED: 4}.get(_number(tags, _PHOTOMETRIC, _BLACK_IS_ZERO), 1)
    more = _number(tags, _SAMPLES, 1) - colours - _alphas(tags, colours)
    if more <= 0:
        return None
    return f"{more} of its channels {'is' if more == 1 else 'are'} no colour and left out"


def _integers(values: np.ndarray, bits: tuple[int, ...], tags: Tags, *, inverted: bool) -> Samples:
    if values.dtype not in (np.bool_, np.uint8, np.uint16):
        raise ImageError(
            f"TIFF samples of the type {values.dtype} are not supported; save 8 or 16 bits, or "
            "floating point"
        )
    stored = 16 if values.dtype == np.uint16 else 8
    depth = min(bits[0], stored)
    white = 2**depth - 1
    values = values.astype(np.uint16 if stored == 16 else np.uint8, copy=False)
    if depth in (1, 2, 4):
        values, white = values * np.uint8(255 // white), 255
    has_alpha = values.shape[2] in (2, 4)
    if inverted:
        colours = values.shape[2] - has_alpha
        values = values.copy()
        values[..., :colours] = white - values[..., :colours]
    if has_alpha and _is_multiplied(tags):
        values = straight(values[..., :-1], values[..., -1:], white)
    return Samples(values=values, white=white, bit_depth=16 if depth > 8 else 8)


def _floats(values: np.ndarray, *, inverted: bool) -> Samples:
    """Take 0 for black and 1 for white."""
    broken = int(values.size - np.isfinite(values).sum())
    if broken:
        raise ImageError(f"{broken} of its samples are NaN or infinite")
    low, high = float(values.min()), float(values.max())
    if low < -_FLOAT_TOLERANCE or high > 1 + _FLOAT_TOLERANCE:
        raise ImageError(
            f"floating-point samples from {low:g} to {high:g}; expected 0 (black) to 1 (white)"
        )
    notes = ["its floating-point samples are written with 16 bits"]
    outside = int(((values < 0) | (values > 1)).sum())
    if outside:
        notes.append(f"{outside} samples outside of 0 to 1 were clipped")
    values = values.clip(0, 1).astype(np.float32)
    return Samples(
        values=1 - values if inverted else values, white=1, bit_depth=16, notes=tuple(notes)
    )


def stand_in(tags: Tags) -> Image.Image:
    """Make a Pillow image that has the metadata of a TIFF which Pillow does not open.

    Returns:
        An image of one pixel, whose `info` is as Pillow would fill it.
    """
    image = Image.new("L", (1, 1))
    given = {"icc_profile": tags.get(_ICC), "dpi": _dpi(tags)}
    image.info.update({name: value for name, value in given.items() if value})
    return image


def add_metadata(file: BinaryIO, image: Image.Image, tags: Tags) -> str | None:
    """Put metadata where Pillow puts those of a JPEG; of a TIFF it loses some and alters text.

    Returns:
        A note if some are left out.
    """
    image.info["photoshop"] = {_IPTC_RESOURCE: iptc_from_tags(tags)}
    image.info["xmp"] = tags.get(_XMP)
    image.info.pop("exif", None)
    try:
        directory, note = scientific.descriptive(directories.read(file))
    except directories.DamagedError:
        directory, note = directories.Directory("<"), "the EXIF data is damaged and was left out"
    turn = _number(tags, _ORIENTATION, 1)
    if turn in range(2, 9):
        directory.put(_ORIENTATION, directories.SHORT, [turn])
    if directory.entries or directory.children:
        image.info["exif"] = directories.structure(directory)
    return note


def _dpi(tags: Tags) -> tuple[float, float] | None:
    across, down = tags.get(_X_RESOLUTION), tags.get(_Y_RESOLUTION)
    unit = {2: 1.0, 3: _CM_PER_INCH}.get(_number(tags, _RESOLUTION_UNIT, 2))
    if not unit or not across or not down:
        return None
    return across[0] * unit, down[0] * unit


def _numbers(tags: Tags, tag: int) -> tuple[int, ...]:
    value = tags.get(tag, ())
    return tuple(int(number) for number in value)


def _number(tags: Tags, tag: int, default: int) -> int:
    return (_numbers(tags, tag) or (default,))[0]
