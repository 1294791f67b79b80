"""What scientific TIFFs say about their pixels: places on the earth, sizes under a microscope.

Sources: OGC GeoTIFF 1.1, sections 7.1 and B.6; GDAL's GeoTIFF driver; the OME-TIFF specification
and the OME data model 2016-06; ImageJ's TiffDecoder; tifffile's "shaped" metadata.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from dcls_cli.image.metadata.directories import (
    ASCII,
    DESCRIPTION,
    DOUBLE,
    NO_UNIT,
    ORIENTATION,
    RATIONAL,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Directory,
    Entry,
    numbers_of,
)
from dcls_cli.image.metadata.exif import Block
from dcls_cli.image.metadata.placement import Placement
from dcls_cli.image.metadata.xmp import DamagedError, Element, Packet

_PIXEL_SCALE, _TIEPOINTS, _TRANSFORMATION = 33550, 33922, 34264
_KEYS, _KEY_NUMBERS, _KEY_TEXT = 34735, 34736, 34737
_GDAL_METADATA, _NO_DATA = 42112, 42113
_GEOREFERENCE = (_PIXEL_SCALE, _TIEPOINTS, _TRANSFORMATION, _KEYS, _KEY_NUMBERS, _KEY_TEXT)

#: The key that says what whole numbers name: corners of pixels, or their centres.
_RASTER_TYPE, _CENTRES = 1025, 2

#: What the first directory of a TIFF says about its photo: names, cameras, dates, rights, ratings,
#: resolution, TIFF/EP's settings of a camera.
_DESCRIPTIVE = frozenset(
    {269, DESCRIPTION, 271, 272, X_RESOLUTION, Y_RESOLUTION, 285, RESOLUTION_UNIT, 305, 306, 315}
    | {316, 18246, 18249, 33432, 33434, 33437, 34850, 34855, 36867, *range(37377, 37387), 37390}
    | {37391, 37392, 37396, *range(40091, 40096), *_GEOREFERENCE, _GDAL_METADATA, _NO_DATA}
)

#: XMP, IPTC, the colour profile and the orientation are read apart; places on paper, pages and
#: printers' inks are none of a picture that was enlarged.
_ELSEWHERE = frozenset(
    {
        700,
        ORIENTATION,
        33723,
        34675,
        286,
        287,
        297,
        300,
        333,
        336,
        337,
        347,
        34377,
        42016,
        301,
        318,
        319,
    }
)

_MOST_NAMED = 5


def descriptive(directory: Directory) -> tuple[Directory, str | None]:
    """Choose what a TIFF says about its photo, not about the file.

    Returns:
        The tags, and a note if there are others whose meaning is not known.
    """
    kept = {tag: entry for tag, entry in directory.entries.items() if tag in _DESCRIPTIVE}
    if _without_meaning(Directory(directory.order, kept)):
        for tag in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT):
            kept.pop(tag, None)
    others = sorted(set(directory.entries) - _DESCRIPTIVE - _ELSEWHERE)
    note = None
    if others:
        named = ", ".join(map(str, others[:_MOST_NAMED]))
        more = " and others" if len(others) > _MOST_NAMED else ""
        note = f"TIFF tags of unknown meaning were left out: {named}{more}"
    return Directory(directory.order, kept, directory.children), note


def _without_meaning(directory: Directory) -> bool:
    """Whether a resolution without a unit is one pixel to a pixel, as programs write it."""
    entries, order = directory.entries, directory.order
    unit = entries.get(RESOLUTION_UNIT)
    if unit is not None and numbers_of(order, unit)[:1] != (NO_UNIT,):
        return False
    sides = [entries.get(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    numbers = {numbers_of(order, side)[:1] for side in sides if side is not None}
    description = entries.get(DESCRIPTION)
    is_imagej = description is not None and description.data.startswith(_IMAGEJ)
    return unit is not None and len(numbers) < 2 and not is_imagej


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a description of pixels has to agree with.

    Attributes:
        placement: where the pixels lie in the output.
        channels: of the output.
        bit_depth: of its samples.
        same_levels: whether its levels are those of the photo.
        pages: of the file of which this is the first.
        form: the format that is written; None for none.
    """

    placement: Placement
    channels: int
    bit_depth: int
    same_levels: bool = True
    pages: int = 1
    form: str | None = None


def place(block: Block, output: Output) -> list[str]:
    """Let what TIFF tags say about pixels speak of another picture, or leave it out.

    Returns:
        What was left out, a sentence each.
    """
    notes = []
    if any(block.entry(0, tag) for tag in _GEOREFERENCE):
        reason = _georeference(block, output)
        if reason is not None:
            notes.append(f"the georeference was left out: {reason}")
    if block.entry(0, _NO_DATA) and not output.same_levels:
        block.remove(0, _NO_DATA)
        notes.append("GDAL's level of missing data was left out, as the levels changed")
    if output.form not in (None, "TIFF"):
        removed = [tag for tag in (_GDAL_METADATA, _NO_DATA) if block.entry(0, tag)]
        for tag in removed:
            block.remove(0, tag)
        if removed:
            notes.append(f"GDAL's tags were left out: {output.form} has no place for them")
    entry = block.entry(0, DESCRIPTION)
    for name, begins, rule in _DESCRIPTIONS:
        if entry is not None and begins(entry.data):
            placed, reason = _described(entry.data, output, rule)
            if placed is None:
                block.remove(0, DESCRIPTION)
                notes.append(f"its {name} description was left out: {reason}")
            elif placed != entry.data:
                block.put_entry(0, DESCRIPTION, Entry(ASCII, len(placed), placed))
            break
    return notes


def is_imagej(block: Block) -> bool:
    """Whether ImageJ wrote a TIFF, whose resolution is pixels to a unit of what it shows."""
    entry = block.entry(0, DESCRIPTION)
    return entry is not None and entry.data.startswith(_IMAGEJ)


def place_scale(block: Block, placement: Placement) -> None:
    """Turn and scale the resolution of ImageJ's."""
    sides = [block.numbers(0, tag)[:1] for tag in (X_RESOLUTION, Y_RESOLUTION)]
    if all(sides):
        placed = placement.density(sides[0][0], sides[1][0])
        for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), placed, strict=True):
            if value < 2**32:
                block.put(0, tag, RATIONAL, [value])


def _georeference(block: Block, output: Output) -> str | None:
    """Place what ties pixels to the earth; without it, if that cannot be done, the reason."""
    reason = None
    if output.form not in (None, "TIFF"):
        reason = f"{output.form} has no place for it"
    elif output.placement.orientation != 1:
        reason = "the picture was turned"
    elif not _place_georeference(block, output.placement):
        reason = "it is damaged"
    if reason is not None:
        for tag in _GEOREFERENCE:
            block.remove(0, tag)
    return reason


def _place_georeference(block: Block, placement: Placement) -> bool:
    """Divide sizes of pixels by the scale and multiply places in the picture; whether they fit."""
    across, down = placement.scales
    shift = 0.5 if _names_centres(block) else 0.0
    for tag, step in ((_PIXEL_SCALE, 3), (_TIEPOINTS, 6), (_TRANSFORMATION, 16)):
        entry = block.entry(0, tag)
        if entry is None:
            continue
        numbers = list(block.numbers(0, tag))
        if entry.kind != DOUBLE or not numbers or len(numbers) % step:
            return False
        if tag == _PIXEL_SCALE:
            numbers[0] /= across
            numbers[1] /= down
        elif tag == _TIEPOINTS:
            for at in range(0, len(numbers), 6):
                numbers[at] = (numbers[at] + shift) * across - shift
                numbers[at + 1] = (numbers[at + 1] + shift) * down - shift
        else:
            for row in range(0, 16, 4):
                by_column, by_row = numbers[row], numbers[row + 1]
                numbers[row], numbers[row + 1] = by_column / across, by_row / down
                numbers[row + 3] += by_column * shift * (1 / across - 1)
                numbers[row + 3] += by_row * shift * (1 / down - 1)
        block.put(0, tag, DOUBLE, numbers)
    return True


def _names_centres(block: Block) -> bool:
    keys = block.numbers(0, _KEYS)
    for at in range(4, len(keys) - 3, 4):
        if keys[at] == _RASTER_TYPE:
            return keys[at + 3] == _CENTRES
    return False


_IMAGEJ = b"ImageJ="

#: A description -> that of the output, or a reason why there is none.
_Rule = Callable[[bytes, Output], bytes | str]

_OTHER_FILE = "it is for other pictures or files than this one"


def _described(data: bytes, output: Output, rule: _Rule) -> tuple[bytes | None, str]:
    if output.form not in (None, "TIFF"):
        return None, f"it is for TIFF, not for {output.form}"
    placed = rule(data.rstrip(b"\0"), output)
    return (None, placed) if isinstance(placed, str) else (placed + b"\0", "")


def _ome(data: bytes, output: Output) -> bytes | str:
    """Scale the sizes of OME-XML of one plane."""
    placement = output.placement
    try:
        packet = Packet(data)
    except DamagedError:
        return "it is damaged"
    if placement.orientation != 1:
        return "the picture was turned"
    pixels = _called(packet, "Pixels")
    parts = {name.local for name in packet.elements}
    if len(pixels) != 1 or output.pages > 1 or parts & {"ROI", "BinData"}:
        return _OTHER_FILE
    stated = {each.name.local: each for each in pixels[0].attributes}
    sizes = [stated[name].value for name in ("SizeX", "SizeY") if name in stated]
    planes = [stated[name].value for name in ("SizeZ", "SizeT") if name in stated]
    whole = [attribute for root in _called(packet, "OME") for attribute in root.attributes]
    own = {each.value for each in whole if each.name.local == "UUID"}
    named = {packet.text(each) for each in _called(packet, "UUID")}
    channels = stated["SizeC"].value if "SizeC" in stated else ""
    if (
        sizes != [str(side) for side in placement.before]
        or planes != ["1", "1"]
        or channels != str(output.channels)
        or not named <= own
    ):
        return _OTHER_FILE
    for axis, side, scale in zip("XY", placement.after, placement.scales, strict=True):
        packet.replace(stated[f"Size{axis}"].inner, str(side))
        length = stated.get(f"PhysicalSize{axis}")
        if length is not None:
            try:
                packet.replace(length.inner, f"{float(length.value) / scale:.12g}")
            except ValueError:
                return "it is damaged"
    if "Type" in stated:
        packet.replace(stated["Type"].inner, f"uint{output.bit_depth}")
    if "SignificantBits" in stated:
        packet.replace(stated["SignificantBits"].inner, str(output.bit_depth))
    return packet.edited()


def _called(packet: Packet, local: str) -> list[Element]:
    """The elements of a name, whatever the year of its namespace."""
    return [e for name, found in packet.elements.items() if name.local == local for e in found]


#: Lines of ImageJ about stacks; about the range of levels that is shown.
_STACK = (b"images", b"slices", b"channels", b"frames", b"hyperstack", b"spacing") + (
    b"loop",
    b"fps",
    b"finterval",
)
_RANGE = (b"min", b"max")

#: Where the origin of coordinates lies, pixels.
_ORIGINS = (b"xorigin", b"yorigin")


def _multiplied(line: bytes, scale: float) -> bytes:
    """A line with another number; without it, if it has none."""
    name, _, number = line.partition(b"=")
    try:
        return name + b"=" + f"{float(number) * scale:.12g}".encode()
    except ValueError:
        return name + b"=0"


def _imagej(data: bytes, output: Output) -> bytes | str:
    """Describe one picture where there was a stack."""
    lines = data.split(b"\n")
    stack = any(
        line.partition(b"=")[::2] not in ((b"images", b"1"), (line.partition(b"=")[0], b"1"))
        for line in lines
        if line.partition(b"=")[0] in (b"images", b"slices", b"channels", b"frames")
    )
    dropped = (_STACK if stack or output.pages > 1 else ()) + (() if output.same_levels else _RANGE)
    if output.placement.orientation != 1:
        dropped += _ORIGINS
    kept = [line for line in lines if line.partition(b"=")[0] not in dropped]
    for name, scale in zip(_ORIGINS, output.placement.scales, strict=True):
        kept = [_multiplied(line, scale) if line.startswith(name) else line for line in kept]
    if b"images" in dropped:
        kept.insert(1, b"images=1")
    return b"\n".join(kept)


def _shaped(data: bytes, output: Output) -> bytes | str:
    """Scale the shape that tifffile notes down."""
    try:
        described = json.loads(data)
        shape = list(described["shape"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it is damaged"
    width, height = output.placement.before
    if output.placement.orientation != 1 or output.pages > 1:
        return _OTHER_FILE
    colours = [output.channels] if output.channels > 1 else []
    for channels in (colours, [1], []):
        expected = [height, width, *channels]
        leading = shape[: len(shape) - len(expected)]
        if shape[len(leading) :] == expected and all(side == 1 for side in leading):
            if output.channels > 1 and channels != colours:
                break
            after = output.placement.after
            described["shape"] = [*leading, after[1], after[0], *channels]
            return json.dumps(described).encode()
    return _OTHER_FILE


def _unknown(_data: bytes, _output: Output) -> bytes | str:
    return "it may state sizes of the stored picture"


def _is_xml(data: bytes) -> bool:
    text = data.strip(b"\0 \r\n\t")
    return text.startswith(b"<") and text.endswith(b">")


_DESCRIPTIONS: tuple[tuple[str, Callable[[bytes], bool], _Rule], ...] = (
    ("OME", lambda data: data.rstrip(b"\0 \r\n").endswith(b"OME>"), _ome),
    ("ImageJ", lambda data: data.startswith(_IMAGEJ), _imagej),
    ("tifffile", lambda data: data.startswith(b'{"shape":'), _shaped),
    ("Aperio", lambda data: data.startswith(b"Aperio "), _unknown),
    ("XML", _is_xml, _unknown),  # MetaMorph's, Leica's, Philips's, libvips's and others
)
