"""What XMP says about pixels and places in the picture: turned and scaled with it, or left out.

Sources of the namespaces: XMP part 2, sections 3.3 and 3.4 (tiff, exif) and 3.6 (crs); Google's
Photo Sphere XMP metadata (GPano); Metadata Working Group guidelines 2.0, section 5.9 (mwg-rs);
Microsoft's People Tagging (MP); IPTC Photo Metadata Standard 2023.1, image region.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from dcls_cli.image.metadata.placement import Placement
from dcls_cli.image.metadata.xmp import RDF, Element, Name, Packet, Span

_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_CAMERA_RAW = "http://ns.adobe.com/camera-raw-settings/1.0/"
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
_DEPTH = ("http://ns.google.com/photos/1.0/depthmap/", "http://ns.google.com/photos/1.0/image/")
_REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
_AREA = "http://ns.adobe.com/xmp/sType/Area#"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_PEOPLE = "http://ns.microsoft.com/photo/1.2/"
_PERSON = "http://ns.microsoft.com/photo/1.2/t/Region#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_ACDSEE = "http://ns.acdsee.com/regions/"

#: Proportions of regions and picture are equal up to such a part, as sizes are whole pixels.
_EQUAL = 0.02


@dataclass(frozen=True)
class Value:
    """Text of a property.

    Attributes:
        text: without spaces around it.
        span: where it stands.
    """

    text: str
    span: Span

    @property
    def number(self) -> float | None:
        """The number or fraction that it is; None if it is none, or not finite."""
        try:
            above, _, below = self.text.partition("/")
            number = float(above) / (float(below) if below else 1)
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        return number if math.isfinite(number) and abs(number) < 1e12 else None


def orientation_of(packet: Packet) -> int | None:
    """The orientation that a packet states; None without one."""
    for value in _values(packet, Name(_TIFF, "Orientation")):
        return int(value.text) if value.text.isdecimal() and len(value.text) < 3 else None
    return None


def clean(packet: Packet) -> None:
    """Reset the orientation and take out small pictures of the stored one."""
    for value in _values(packet, Name(_TIFF, "Orientation")):
        packet.replace(value.span, "1")
    packet.remove_properties([Name(_XMP, "Thumbnails")])


def place(packet: Packet, placement: Placement) -> list[str]:
    """Let all that a packet says about pixels and places speak of another picture.

    Returns:
        What had to be left out, a sentence each.
    """
    width, height = placement.after
    for space, across, down in (
        (_TIFF, "ImageWidth", "ImageLength"),
        (_EXIF, "PixelXDimension", "PixelYDimension"),
    ):
        _set(packet, Name(space, across), str(width))
        _set(packet, Name(space, down), str(height))
    notes = [rule(packet, placement) for rule in _RULES]
    return [f"left out of the XMP data: {note}" for note in notes if note]


def state_resolution(
    packet: Packet, dpi: tuple[float, float] | None, *, contradicted: bool
) -> None:
    """Let a packet that states a resolution, in pixels per inch, state that of the file.

    Without one it stays, unless it is `contradicted`.
    """
    if dpi is None:
        if contradicted:
            names = ("XResolution", "YResolution", "ResolutionUnit")
            packet.remove_properties([Name(_TIFF, name) for name in names])
        return
    unit = next((v.text for v in _values(packet, Name(_TIFF, "ResolutionUnit"))), "2")
    per_inch = {"2": 1.0, "3": 2.54}.get(unit, 0.0)
    stated = [list(_values(packet, Name(_TIFF, f"{axis}Resolution"))) for axis in "XY"]
    same = all(
        math.isclose((value.number or 0) * per_inch, right, rel_tol=2e-3)
        for values, right in zip(stated, dpi, strict=True)
        for value in values
    )
    if same:
        return
    for values, right in zip(stated, dpi, strict=True):
        for value in values:
            packet.replace(value.span, _fraction(right))
    _set(packet, Name(_TIFF, "ResolutionUnit"), "2")


def _values(packet: Packet, name: Name) -> Iterator[Value]:
    """The text of all properties of a name."""
    for attribute in packet.attributes.get(name, ()):
        yield Value(attribute.value.strip(), attribute.inner)
    for element in packet.elements.get(name, ()):
        if not element.children and element.inner.end > element.inner.start:
            yield Value(packet.text(element), element.inner)


def _set(packet: Packet, name: Name, text: str) -> None:
    for value in _values(packet, name):
        if value.text != text:
            packet.replace(value.span, text)


def _fields(packet: Packet, element: Element) -> dict[str, Value]:
    """Numbers and text of a structure, by their names without namespace.

    They are attributes or elements, of the element or of a description in it.
    """
    found: dict[str, Value] = {}
    inner = element.child(Name(RDF, "Description"))
    for part in filter(None, (element, inner)):
        for attribute in part.attributes:
            found.setdefault(attribute.name.local, Value(attribute.value.strip(), attribute.inner))
        for child in part.children:
            if not child.children:
                found.setdefault(child.name.local, Value(packet.text(child), child.inner))
    return found


def _items(element: Element) -> list[Element]:
    """The items of a list."""
    lists = [child for child in element.children if child.name.space == RDF]
    return [item for each in lists for item in each.children if item.name == Name(RDF, "li")]


def _numbers(values: list[Value | None]) -> list[float] | None:
    numbers = [value.number if value else None for value in values]
    return None if None in numbers else [number for number in numbers if number is not None]


def _decimal(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".") if value else "0"


def _fraction(value: float) -> str:
    near = Fraction(value).limit_denominator(1_000_000)
    return f"{near.numerator}/{near.denominator}"


def _subjects(packet: Packet, placement: Placement) -> str | None:
    """Place SubjectArea and SubjectLocation, lists of whole numbers."""
    lost = False
    for name in (Name(_EXIF, "SubjectArea"), Name(_EXIF, "SubjectLocation")):
        for element in packet.elements.get(name, ()):
            values = [Value(packet.text(item), item.inner) for item in _items(element)]
            numbers = _numbers([*values])
            placed = placement.subject(numbers) if numbers else None
            if placed is None:
                packet.remove(element.whole)
                lost = True
                continue
            for value, number in zip(values, placed, strict=True):
                packet.replace(value.span, str(number))
    return "the area of the subject, which does not lie in the picture" if lost else None


def _focal_plane(packet: Packet, placement: Placement) -> str | None:
    """Place the resolution of the sensor, fractions."""
    axes = [
        list(_values(packet, Name(_EXIF, f"FocalPlane{axis}Resolution")))[:1] for axis in ("X", "Y")
    ]
    values = [value for axis in axes for value in axis]
    numbers = _numbers([*values])
    if not values:
        return None
    if len(values) == 2 and numbers is not None:
        for value, number in zip(values, placement.density(*numbers), strict=True):
            packet.replace(value.span, _fraction(number))
        return None
    packet.remove_properties([Name(_EXIF, f"FocalPlane{axis}Resolution") for axis in "XY"])
    return "the resolution of the sensor, which is incomplete"


def _resolution(packet: Packet, placement: Placement) -> str | None:
    """Turn the resolution of prints."""
    if not placement.swapped:
        return None
    axes = [list(_values(packet, Name(_TIFF, f"{axis}Resolution"))) for axis in "XY"]
    if len(axes[0]) == len(axes[1]) == 1:
        packet.replace(axes[0][0].span, axes[1][0].text)
        packet.replace(axes[1][0].span, axes[0][0].text)
    return None


#: Of a panorama: sizes and places in pixels, along x and along y.
_PANORAMA_PIXELS = (
    ("FullPanoWidthPixels", 0),
    ("CroppedAreaImageWidthPixels", 0),
    ("CroppedAreaLeftPixels", 0),
    ("LargestValidInteriorRectLeft", 0),
    ("LargestValidInteriorRectWidth", 0),
    ("FullPanoHeightPixels", 1),
    ("CroppedAreaImageHeightPixels", 1),
    ("CroppedAreaTopPixels", 1),
    ("LargestValidInteriorRectTop", 1),
    ("LargestValidInteriorRectHeight", 1),
)


def _panorama(packet: Packet, placement: Placement) -> str | None:
    """Scale the sizes of a panorama.

    Where its area is not as large as the picture, which was resized before, the picture counts.
    """
    found = {
        local: values
        for local, _ in _PANORAMA_PIXELS
        if (values := list(_values(packet, Name(_PANORAMA, local))))
    }
    if placement.orientation != 1:
        removed = packet.remove_properties(_names_of(packet, _PANORAMA))
        return "the description of a panorama, as the picture was turned" if removed else None
    if not found:
        return None
    area = [found.get(f"CroppedAreaImage{side}Pixels", [None])[0] for side in ("Width", "Height")]
    sizes = _numbers([*area])
    if area != [None, None] and (
        sizes is None or min(sizes) < 1 or not _alike((sizes[0], sizes[1]), placement.before)
    ):
        packet.remove_properties(_names_of(packet, _PANORAMA))
        return "the description of a panorama, which is for another picture"
    scales = [
        after / (sizes[axis] if sizes else before)
        for axis, (before, after) in enumerate(zip(placement.before, placement.after, strict=True))
    ]
    for local, axis in _PANORAMA_PIXELS:
        for value in found.get(local, []):
            if (number := value.number) is not None:
                packet.replace(value.span, str(round(number * scales[axis])))
    return None


def _names_of(packet: Packet, *spaces: str) -> set[Name]:
    """Names of the elements and attributes of namespaces."""
    return {name for name in (*packet.elements, *packet.attributes) if name.space in spaces}


def _alike(size: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two sizes have equal proportions, up to one pixel of the smaller one."""
    if min(*size, *other) <= 0:
        return False
    slack = max(_EQUAL, 1 / min(*size, *other))
    return abs(math.log(size[0] * other[1] / (size[1] * other[0]))) <= slack


def _mwg_regions(packet: Packet, placement: Placement) -> str | None:
    """Place the regions of the Metadata Working Group, whose areas are named by their centres.

    They speak of the stored picture. Those that say that they belong to the size of the turned
    one are turned already.
    """
    note = None
    for regions in packet.elements.get(Name(_REGIONS, "Regions"), ()):
        parts = [regions, *regions.children]
        applied = next(
            filter(None, (p.child(Name(_REGIONS, "AppliedToDimensions")) for p in parts)), None
        )
        used = placement
        if applied is not None:
            fields = _fields(packet, applied)
            size = _numbers([fields.get("w"), fields.get("h")])
            if size and placement.swapped and not _alike((size[0], size[1]), placement.before):
                before = (placement.before[1], placement.before[0])
                used = Placement(1, before, placement.after)
            if not size or not _alike((size[0], size[1]), used.before):
                packet.remove(regions.whole)
                note = "regions of persons and things, which are for another picture"
                continue
            for name, side in zip("wh", placement.after, strict=True):
                packet.replace(fields[name].span, str(side))
            if "unit" in fields and fields["unit"].text:
                packet.replace(fields["unit"].span, "pixel")
        for element in _descendants(regions):
            if element.name == Name(_REGIONS, "Area"):
                _mwg_area(packet, element, used)
            elif used.mirrored:
                _mwg_rotation(packet, element)
    return note


def _descendants(element: Element) -> Iterator[Element]:
    """The elements in one, without those in another of its name, which is looked at by itself."""
    waiting = [*element.children]
    while waiting:
        found = waiting.pop()
        if found.name != element.name:
            yield found
            waiting += found.children


def _mwg_area(packet: Packet, area: Element, placement: Placement) -> None:
    """Place one area; a unit other than pixels is that of shares."""
    fields = _fields(packet, area)
    in_pixels = "unit" in fields and fields["unit"].text == "pixel"
    sides = placement.before if in_pixels else (1, 1)
    centre = _numbers([fields.get("x"), fields.get("y")])
    if centre is None:
        return
    x, y = placement.share(centre[0] / sides[0], centre[1] / sides[1])
    after = placement.after if in_pixels else (1, 1)
    packet.replace(fields["x"].span, _decimal(x * after[0]))
    packet.replace(fields["y"].span, _decimal(y * after[1]))
    size = _numbers([fields.get("w"), fields.get("h")])
    if size is not None:
        shares = placement.turned(size[0] / sides[0], size[1] / sides[1])
        for name, part, side in zip("wh", shares, after, strict=True):
            packet.replace(fields[name].span, _decimal(part * side))
    diameter = _numbers([fields.get("d")])
    if diameter is not None and in_pixels:
        scale = math.sqrt(math.prod(placement.scales))
        packet.replace(fields["d"].span, _decimal(diameter[0] * scale))


def _mwg_rotation(packet: Packet, element: Element) -> None:
    """Turn the angle of an area the other way round in a mirrored picture."""
    name = Name(_REGIONS, "Rotation")
    found = [Value(e.value.strip(), e.inner) for e in element.attributes if e.name == name]
    if element.name == name and not element.children:
        found.append(Value(packet.text(element), element.inner))
    for value in found:
        if value.number is not None:
            packet.replace(value.span, _decimal(-value.number))


def _people(packet: Packet, placement: Placement) -> str | None:
    """Turn Microsoft's rectangles: left, top, width, height, as shares."""
    if placement.orientation == 1:
        return None
    lost = False
    for value in list(_values(packet, Name(_PERSON, "Rectangle"))):
        numbers = _numbers([Value(part.strip(), value.span) for part in value.text.split(",")[:5]])
        if numbers is None or len(numbers) != 4:
            lost = True
            continue
        left, top, width, height = numbers
        placed = placement.share_of_box(left, top, width, height)
        packet.replace(value.span, ", ".join(map(_decimal, placed)))
    if lost:
        packet.remove_properties([Name(_PEOPLE, "RegionInfo")])
    return "regions of persons, which are damaged" if lost else None


def _iptc_regions(packet: Packet, placement: Placement) -> str | None:
    """Place the boundaries of IPTC's image regions, shares or pixels."""
    for boundary in packet.elements.get(Name(_IPTC, "RegionBoundary"), ()):
        fields = _fields(packet, boundary)
        in_pixels = "rbUnit" in fields and fields["rbUnit"].text == "pixel"
        _iptc_shape(packet, fields, placement, in_pixels=in_pixels)
        for element in _descendants(boundary):
            if element.name == Name(_IPTC, "rbVertices"):
                for item in _items(element):
                    _iptc_shape(packet, _fields(packet, item), placement, in_pixels=in_pixels)
    return None


def _iptc_shape(
    packet: Packet, fields: dict[str, Value], placement: Placement, *, in_pixels: bool
) -> None:
    """Place a rectangle (corner and size), a circle (centre and radius) or a point."""
    sides, after = (placement.before, placement.after) if in_pixels else ((1, 1), (1, 1))
    names = ("rbX", "rbY", "rbW", "rbH")
    corner = _numbers([fields.get(name) for name in names[:2]])
    if corner is None:
        return
    size = _numbers([fields.get(name) for name in names[2:]]) or [0.0, 0.0]
    placed = placement.share_of_box(
        corner[0] / sides[0], corner[1] / sides[1], size[0] / sides[0], size[1] / sides[1]
    )
    for name, share, side in zip(names, placed, (*after, *after), strict=True):
        if name in fields:
            packet.replace(fields[name].span, _decimal(share * side))
    radius = _numbers([fields.get("rbRx")])
    if radius is not None:  # along x; of a circle that is turned it is a share of the other side
        wide, high = placement.before
        share = radius[0] / sides[0] * (wide / high if placement.swapped else 1)
        packet.replace(fields["rbRx"].span, _decimal(share * after[0]))


def _crop(packet: Packet, placement: Placement) -> str | None:
    """Scale Camera Raw's size of a crop in pixels; a crop, in shares, of a turned picture goes."""
    if placement.orientation == 1:
        units = next((v.text for v in _values(packet, Name(_CAMERA_RAW, "CropUnits"))), "0")
        if units == "0":
            for name, scale in zip(("CropWidth", "CropHeight"), placement.scales, strict=True):
                for value in _values(packet, Name(_CAMERA_RAW, name)):
                    if value.number is not None:
                        packet.replace(value.span, _decimal(value.number * scale))
        return None
    names = {name for name in _names_of(packet, _CAMERA_RAW) if "Crop" in name.local}
    packet.remove_properties(names)
    return "Camera Raw's crop, as the picture was turned" if names else None


def _unturned(packet: Packet, placement: Placement) -> str | None:
    """Take out what a turned picture has no use for: depth maps, ACDSee's regions."""
    if placement.orientation == 1:
        return None
    names = _names_of(packet, *_DEPTH, _ACDSEE)
    packet.remove_properties(names)
    return "depth maps and ACDSee's regions, as the picture was turned" if names else None


_RULES: tuple[Callable[[Packet, Placement], str | None], ...] = (
    _subjects,
    _focal_plane,
    _resolution,
    _panorama,
    _mwg_regions,
    _people,
    _iptc_regions,
    _crop,
    _unturned,
)
