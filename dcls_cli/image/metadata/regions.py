"""Regions of persons and things in XMP: turned and scaled with the picture, or left out.

Sources of the namespaces: XMP part 2, section 3.4 (exif); Metadata Working Group guidelines 2.0,
section 5.9 (mwg-rs); Microsoft's People Tagging (MP); IPTC Photo Metadata Standard 2023.1, image
region.
"""

import math
from collections.abc import Iterator

from dcls_cli.image.metadata.placement import Placement, are_alike
from dcls_cli.image.metadata.properties import (
    Value,
    decimal,
    fields_of,
    items_of,
    numbers_of,
    values_of,
)
from dcls_cli.image.metadata.xmp import Element, Name, Packet

_EXIF = "http://ns.adobe.com/exif/1.0/"
_REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
_PEOPLE = "http://ns.microsoft.com/photo/1.2/"
_PERSON = "http://ns.microsoft.com/photo/1.2/t/Region#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"


def place_subjects(packet: Packet, placement: Placement) -> str | None:
    """Place SubjectArea and SubjectLocation, lists of whole numbers."""
    lost = False
    for name in (Name(_EXIF, "SubjectArea"), Name(_EXIF, "SubjectLocation")):
        for element in packet.elements.get(name, ()):
            values = [Value(packet.text(item), item.inner) for item in items_of(element)]
            numbers = numbers_of([*values])
            placed = placement.subject(numbers) if numbers else None
            if placed is None:
                packet.remove(element.whole)
                lost = True
                continue
            for value, number in zip(values, placed, strict=True):
                packet.replace(value.span, str(number))
    return "the area of the subject, which does not lie in the picture" if lost else None


def place_mwg(packet: Packet, placement: Placement) -> str | None:
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
            fields = fields_of(packet, applied)
            size = numbers_of([fields.get("w"), fields.get("h")])
            if size and placement.swapped and not are_alike((size[0], size[1]), placement.before):
                before = (placement.before[1], placement.before[0])
                used = Placement(1, before, placement.after)
            if not size or not are_alike((size[0], size[1]), used.before):
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
    fields = fields_of(packet, area)
    in_pixels = "unit" in fields and fields["unit"].text == "pixel"
    sides = placement.before if in_pixels else (1, 1)
    centre = numbers_of([fields.get("x"), fields.get("y")])
    if centre is None:
        return
    x, y = placement.share(centre[0] / sides[0], centre[1] / sides[1])
    after = placement.after if in_pixels else (1, 1)
    packet.replace(fields["x"].span, decimal(x * after[0]))
    packet.replace(fields["y"].span, decimal(y * after[1]))
    size = numbers_of([fields.get("w"), fields.get("h")])
    if size is not None:
        shares = placement.turned(size[0] / sides[0], size[1] / sides[1])
        for name, part, side in zip("wh", shares, after, strict=True):
            packet.replace(fields[name].span, decimal(part * side))
    diameter = numbers_of([fields.get("d")])
    if diameter is not None and in_pixels:
        scale = math.sqrt(math.prod(placement.scales))
        packet.replace(fields["d"].span, decimal(diameter[0] * scale))


def _mwg_rotation(packet: Packet, element: Element) -> None:
    """Turn the angle of an area the other way round in a mirrored picture."""
    name = Name(_REGIONS, "Rotation")
    found = [Value(e.value.strip(), e.inner) for e in element.attributes if e.name == name]
    if element.name == name and not element.children:
        found.append(Value(packet.text(element), element.inner))
    for value in found:
        if value.number is not None:
            packet.replace(value.span, decimal(-value.number))


def place_people(packet: Packet, placement: Placement) -> str | None:
    """Turn Microsoft's rectangles: left, top, width, height, as shares."""
    if placement.orientation == 1:
        return None
    lost = False
    for value in list(values_of(packet, Name(_PERSON, "Rectangle"))):
        numbers = numbers_of(
            [Value(part.strip(), value.span) for part in value.text.split(",")[:5]]
        )
        if numbers is None or len(numbers) != 4:
            lost = True
            continue
        left, top, width, height = numbers
        placed = placement.share_of_box(left, top, width, height)
        packet.replace(value.span, ", ".join(map(decimal, placed)))
    if lost:
        packet.remove_properties([Name(_PEOPLE, "RegionInfo")])
    return "regions of persons, which are damaged" if lost else None


def place_iptc(packet: Packet, placement: Placement) -> str | None:
    """Place the boundaries of IPTC's image regions, shares or pixels."""
    for boundary in packet.elements.get(Name(_IPTC, "RegionBoundary"), ()):
        fields = fields_of(packet, boundary)
        in_pixels = "rbUnit" in fields and fields["rbUnit"].text == "pixel"
        _iptc_shape(packet, fields, placement, in_pixels=in_pixels)
        for element in _descendants(boundary):
            if element.name == Name(_IPTC, "rbVertices"):
                for item in items_of(element):
                    _iptc_shape(packet, fields_of(packet, item), placement, in_pixels=in_pixels)
    return None


def _iptc_shape(
    packet: Packet, fields: dict[str, Value], placement: Placement, *, in_pixels: bool
) -> None:
    """Place a rectangle (corner and size), a circle (centre and radius) or a point."""
    sides, after = (placement.before, placement.after) if in_pixels else ((1, 1), (1, 1))
    names = ("rbX", "rbY", "rbW", "rbH")
    corner = numbers_of([fields.get(name) for name in names[:2]])
    if corner is None:
        return
    size = numbers_of([fields.get(name) for name in names[2:]]) or [0.0, 0.0]
    placed = placement.share_of_box(
        corner[0] / sides[0], corner[1] / sides[1], size[0] / sides[0], size[1] / sides[1]
    )
    for name, share, side in zip(names, placed, (*after, *after), strict=True):
        if name in fields:
            packet.replace(fields[name].span, decimal(share * side))
    radius = numbers_of([fields.get("rbRx")])
    if radius is not None:  # along x; of a circle that is turned it is a share of the other side
        wide, high = placement.before
        share = radius[0] / sides[0] * (wide / high if placement.swapped else 1)
        packet.replace(fields["rbRx"].span, decimal(share * after[0]))
