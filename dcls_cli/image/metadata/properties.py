"""Values of XMP properties, as attributes or elements, and where they stand."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from dcls_cli.image.metadata.xmp import RDF, Element, Name, Packet, Span


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


def values_of(packet: Packet, name: Name) -> Iterator[Value]:
    """The text of all properties of a name."""
    for attribute in packet.attributes.get(name, ()):
        yield Value(attribute.value.strip(), attribute.inner)
    for element in packet.elements.get(name, ()):
        if not element.children and element.inner.end > element.inner.start:
            yield Value(packet.text(element), element.inner)


def set_all(packet: Packet, name: Name, text: str) -> None:
    """Give all properties of a name a text, where they have one."""
    for value in values_of(packet, name):
        if value.text != text:
            packet.replace(value.span, text)


def fields_of(packet: Packet, element: Element) -> dict[str, Value]:
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


def items_of(element: Element) -> list[Element]:
    """The items of a list."""
    lists = [child for child in element.children if child.name.space == RDF]
    return [item for each in lists for item in each.children if item.name == Name(RDF, "li")]


def numbers_of(values: list[Value | None]) -> list[float] | None:
    """The numbers of values; None if one is missing or none."""
    numbers = [value.number if value else None for value in values]
    return None if None in numbers else [number for number in numbers if number is not None]


def decimal(value: float) -> str:
    """A number as XMP has it: no exponent, no zeros at its end."""
    return f"{value:.10f}".rstrip("0").rstrip(".") if value else "0"


def fraction(value: float) -> str:
    """A number as one of EXIF in XMP."""
    near = Fraction(value).limit_denominator(1_000_000)
    return f"{near.numerator}/{near.denominator}"


def names_in(packet: Packet, *spaces: str) -> set[Name]:
    """Names of the elements and attributes of namespaces."""
    return {name for name in (*packet.elements, *packet.attributes) if name.space in spaces}
