"""XMP packets: looked into by a parser, edited by bytes, joined with and parted into extended ones.

What is not edited keeps its bytes: spaces, quotes, prefixes and the order of properties. A packet
that is not well-formed, or defines entities, is damaged.

Sources: XMP specification part 1 (ISO 16684-1), sections 6 and 7, for RDF; part 3, section 1.1.3,
for extended XMP.
"""

import hashlib
import re
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NOTE = "http://ns.adobe.com/xmp/note/"

#: Elements and attributes of a packet that are looked at; programs write some thousands at most.
_MOST_NODES = 100_000

#: Packets, and what extended XMP adds to them, are not longer.
_LONGEST_BYTES = 2**26


class DamagedError(ValueError):
    """A packet that is not well-formed, defines entities or is far too large."""


class Name(NamedTuple):
    """A name of XML.

    Attributes:
        space: the address of its namespace; empty without one.
        local: the rest.
    """

    space: str
    local: str


class Span(NamedTuple):
    """Places of the first byte and after the last one."""

    start: int
    end: int


class Attribute(NamedTuple):
    """An attribute that declares no namespace.

    Attributes:
        value: after references are resolved.
        inner: between the quotes.
        whole: with the spaces before it.
    """

    name: Name
    value: str
    inner: Span
    whole: Span


@dataclass(slots=True, eq=False)
class Element:
    """An element.

    Attributes:
        name: of it.
        parent: that it lies in.
        opening: its first tag.
        prefixed: its name as it is written.
        attributes: without those that declare namespaces.
        declared: addresses of the namespaces that it declares, by prefix.
        children: the elements in it.
        whole: with all that lies in it.
        inner: what lies in it; nothing for an element of one tag.
    """

    name: Name
    parent: "Element | None"
    opening: Span
    prefixed: bytes
    attributes: list[Attribute]
    declared: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    whole: Span = Span(0, 0)
    inner: Span = Span(0, 0)

    def child(self, name: Name) -> "Element | None":
        """The first element of a name in it."""
        return next((child for child in self.children if child.name == name), None)


_ATTRIBUTE = re.compile(rb"""(\s+)([^\s=/>]+)\s*=\s*("[^"]*"|'[^']*')""")
_TAG_NAME = re.compile(rb"<([^\s/>]+)")


class Packet:
    """A packet that was parsed, and the edits that are to be made."""

    def __init__(self, data: bytes) -> None:
        """Parse a packet, of UTF-8 or UTF-16.

        Raises:
            DamagedError: see there.
        """
        if len(data) > _LONGEST_BYTES:
            raise DamagedError("the packet is too long")
        self.data = _in_utf8(data)
        #: All elements by their names, and all attributes; both in order.
        self.elements: dict[Name, list[Element]] = {}
        self.attributes: dict[Name, list[Attribute]] = {}
        self._edits: list[tuple[Span, bytes]] = []
        _Parser(self)

    def text(self, element: Element) -> str:
        """The text of an element without elements in it, without references resolved."""
        return self.data[slice(*element.inner)].decode(errors="replace").strip()

    def replace(self, span: Span, text: str) -> None:
        """Put other text in a place; numbers and names, which need no references."""
        self._edits.append((span, text.encode()))

    def remove(self, span: Span) -> None:
        """Take something out; edits within it count no more."""
        self._edits.append((span, b""))

    def edited(self) -> bytes:
        """The packet with all edits made."""
        parts, at = [], 0
        for span, text in sorted(self._edits, key=lambda edit: (edit[0].start, -edit[0].end)):
            if span.start >= at:
                parts += [self.data[at : span.start], text]
                at = span.end
        return b"".join([*parts, self.data[at:]])

    @property
    def root(self) -> Element | None:
        """The `rdf:RDF` element."""
        return next(iter(self.elements.get(Name(RDF, "RDF"), ())), None)

    def remove_properties(self, names: Collection[Name]) -> bool:
        """Take properties out, as attributes and as elements; whether there were any."""
        spans = [each.whole for name in names for each in self.elements.get(name, ())]
        spans += [each.whole for name in names for each in self.attributes.get(name, ())]
        for span in spans:
            self.remove(span)
        return bool(spans)


def _in_utf8(data: bytes) -> bytes:
    """A packet without zeros and marks around it, in UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be" if data[:1] == b"\0" else ""
    if encoding:
        try:
            data = data.decode(encoding).encode()
        except UnicodeError as error:
            raise DamagedError(str(error)) from error
        data = re.sub(rb"^\s*<\?xml [^>]*>", b"", data, count=1)
    return data.strip(b"\0").removeprefix(b"\xef\xbb\xbf").lstrip()


class _Parser:
    """Fills a packet with its elements."""

    def __init__(self, packet: Packet) -> None:
        self._packet, self._data = packet, packet.data
        self._names: dict[str, Name] = {}
        self._open: list[Element] = []
        self._declared: dict[str, str] = {}
        self._nodes = 0
        self._parser = parser = expat.ParserCreate("UTF-8", " ")
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartDoctypeDeclHandler = self._refuse  # entities could be of any size
        try:
            parser.Parse(self._data, True)
        except expat.ExpatError as error:
            raise DamagedError(str(error)) from error

    def _refuse(self, *_: object) -> None:
        raise DamagedError("a document type")

    def _declare(self, prefix: str | None, address: str) -> None:
        self._count(1)
        self._declared[prefix or ""] = address

    def _count(self, more: int) -> None:
        self._nodes += more
        if self._nodes > _MOST_NODES:
            raise DamagedError("too many elements")

    def _start(self, name: str, values: list[str]) -> None:
        self._count(1 + len(values) // 2)
        start = self._parser.CurrentByteIndex
        found = _TAG_NAME.match(self._data, start)
        assert found is not None  # the parser found a tag here
        attributes, at = [], found.end()
        names = iter(zip(values[::2], values[1::2], strict=True))
        while pair := _ATTRIBUTE.match(self._data, at):
            at = pair.end()
            if pair[2] != b"xmlns" and not pair[2].startswith(b"xmlns:"):
                named, value = next(names)
                inner = Span(pair.start(3) + 1, pair.end(3) - 1)
                attribute = Attribute(self._name(named), value, inner, Span(*pair.span()))
                attributes.append(attribute)
                self._packet.attributes.setdefault(attribute.name, []).append(attribute)
        end = self._data.index(b">", at) + 1
        parent = self._open[-1] if self._open else None
        element = Element(
            self._name(name), parent, Span(start, end), found[1], attributes, self._declared
        )
        self._declared = {}
        if parent is not None:
            parent.children.append(element)
        self._packet.elements.setdefault(element.name, []).append(element)
        self._open.append(element)

    def _name(self, name: str) -> Name:
        """The name of what the parser calls by address and local part; one for all of a name."""
        if name not in self._names:
            space, _, local = name.rpartition(" ")
            self._names[name] = Name(space, local)
        return self._names[name]

    def _end(self, _name: str) -> None:
        element = self._open.pop()
        start, end = element.opening
        if self._data[end - 2 : end] == b"/>":
            element.whole, element.inner = element.opening, Span(end, end)
            return
        close = self._parser.CurrentByteIndex
        element.inner = Span(end, close)
        element.whole = Span(start, self._data.index(b">", close) + 1)


def _scope(element: Element | None) -> dict[str, str]:
    """Namespaces that hold within an element, by prefix; for elements near the root."""
    scope: dict[str, str] = {}
    while element is not None:
        scope = {**element.declared, **scope}
        element = element.parent
    return scope


def _declarations(scope: Mapping[str, str]) -> bytes:
    """Attributes that declare namespaces."""
    parts = []
    for prefix, address in scope.items():
        escaped = address.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        parts.append(f' xmlns{":" if prefix else ""}{prefix}="{escaped}"')
    return "".join(parts).encode()


def _before_end(packet: Packet, root: Element, added: bytes) -> bytes:
    """The packet with more before the end of its RDF."""
    data = packet.edited()
    if root.inner == Span(root.opening.end, root.opening.end) and root.whole == root.opening:
        raise DamagedError("no properties")  # an element of one tag
    at = data.rindex(b"</" + root.prefixed)
    return data[:at] + added + data[at:]


#: What a segment of extended XMP starts with: its name, the digest of all, the length of all and
#: the place of this part.
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_PART = struct.Struct(">32sII")

#: Of the segments that are written; the largest that readers take is a little larger.
_PART_BYTES = 65_400


def has_extended(packet: bytes) -> bool:
    """Whether a packet may point to an extended one."""
    return b"HasExtendedXMP" in packet


def with_extended(data: bytes, parts: Sequence[bytes]) -> tuple[bytes, str | None]:
    """Join a packet with the extended one that it points to, if that is whole.

    Args:
        data: the packet.
        parts: segments of the JPEG that start with `EXTENSION`.

    Returns:
        The packet without the pointer, and a note if what it points to is damaged or missing.

    Raises:
        DamagedError: the packet is.
    """
    packet = Packet(data)
    guid = _pointer(packet)
    packet.remove_properties([Name(_NOTE, "HasExtendedXMP")])
    root = packet.root
    if guid is None or root is None:
        return packet.edited(), None
    lost = "the extended part of the XMP data is damaged or missing and was left out"
    joined = _joined(guid, parts)
    if joined is None:
        return packet.edited(), lost
    try:
        return _before_end(packet, root, _descriptions(joined)), None
    except DamagedError:
        return packet.edited(), lost


def _pointer(packet: Packet) -> bytes | None:
    name = Name(_NOTE, "HasExtendedXMP")
    for element in packet.elements.get(name, ()):
        return packet.text(element).encode()
    for attribute in packet.attributes.get(name, ()):
        return attribute.value.encode()
    return None


def _joined(guid: bytes, parts: Sequence[bytes]) -> bytes | None:
    """The extended packet of a digest; None if a part is missing or another than it should be."""
    found: dict[int, bytes] = {}
    whole = -1
    for part in parts:
        head = part[len(EXTENSION) : len(EXTENSION) + _PART.size]
        if len(head) == _PART.size:
            digest, length, place = _PART.unpack(head)
            if digest == guid:
                whole = length
                found[place] = part[len(EXTENSION) + _PART.size :]
    data = b"".join(piece for _, piece in sorted(found.items()))
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest().encode()
    if len(data) != whole or digest.upper() != guid.upper():
        return None
    return data


def _descriptions(data: bytes) -> bytes:
    """The properties of a packet as elements that can stand in another one.

    Raises:
        DamagedError: the packet is, or has none.
    """
    packet = Packet(data)
    root = packet.root
    if root is None:
        raise DamagedError("no RDF")
    parts = []
    for child in root.children:
        missing = {p: a for p, a in _scope(root).items() if p not in child.declared}
        after = child.opening.start + 1 + len(child.prefixed)
        start, end = child.whole
        parts += [packet.data[start:after], _declarations(missing), packet.data[after:end]]
    return b"".join(parts)


def parted(data: bytes, longest: int) -> tuple[bytes, list[bytes]]:
    """Part a packet into one that is short enough and an extended one.

    Largest properties first, as many as needed go into the extended packet.

    Args:
        data: the packet.
        longest: bytes that the packet may have.

    Returns:
        The packet, and the segments of the extended one, which start with `EXTENSION`.

    Raises:
        DamagedError: the packet cannot be made short enough.
    """
    data = _unpadded(data)
    if len(data) <= longest:
        return data, []
    packet = Packet(data)
    root = packet.root
    if root is None:
        raise DamagedError("no RDF")
    moved, size = _largest(root, len(data) - longest + _POINTER_BYTES)
    if size < len(data) - longest + _POINTER_BYTES:
        raise DamagedError("no properties that could be moved")
    rdf = root.prefixed.removesuffix(b"RDF").removesuffix(b":")
    name = (rdf + b":" if rdf else b"") + b"Description"
    about = next(filter(None, (_about(packet, each) for each in root.children)), b"")
    extended = [
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><' + root.prefixed + _declarations(_scope(root)),
        b">",
    ]
    for description, spans in moved.items():
        inside = description.opening.end
        attributes = b"".join(packet.data[slice(*span)] for span in spans if span.end <= inside)
        elements = b"".join(packet.data[slice(*span)] for span in spans if span.end > inside)
        declared = _declarations(description.declared)
        extended += [b"<", name, about, declared, attributes, b">", elements]
        extended += [b"</", name, b">"]
        for span in spans:
            packet.remove(span)
    extended += [b"</", root.prefixed, b"></x:xmpmeta>"]
    whole = b"".join(extended)
    guid = hashlib.md5(whole, usedforsecurity=False).hexdigest().upper().encode()
    pointer = b"<%s%s xmlns:xmpNote=%s xmpNote:HasExtendedXMP=%s/>" % (
        name,
        about,
        b'"' + _NOTE.encode() + b'"',
        b'"' + guid + b'"',
    )
    segments = [
        EXTENSION + _PART.pack(guid, len(whole), at) + whole[at : at + _PART_BYTES]
        for at in range(0, len(whole), _PART_BYTES)
    ]
    return _before_end(packet, root, pointer), segments


#: What the pointer to an extended packet takes.
_POINTER_BYTES = 200


def _about(packet: Packet, description: Element) -> bytes:
    """What the properties of an element are about, as an attribute: the same in both packets."""
    name = Name(RDF, "about")
    found = (
        packet.data[slice(*each.whole)] for each in description.attributes if each.name == name
    )
    return next(found, b"")


def _largest(root: Element, wanted: int) -> tuple[dict[Element, list[Span]], int]:
    """The largest properties, until they have so many bytes; and how many they have."""
    found = []
    for description in root.children:
        if description.name == Name(RDF, "Description"):
            spans = [child.whole for child in description.children]
            spans += [each.whole for each in description.attributes if each.name.space != RDF]
            found += [(span.end - span.start, description, span) for span in spans]
    found.sort(key=lambda each: -each[0])
    moved: dict[Element, list[Span]] = {}
    size = 0
    for length, description, span in found:
        if size >= wanted:
            break
        moved.setdefault(description, []).append(span)
        size += length
    return moved, size


def _unpadded(data: bytes) -> bytes:
    """A packet without the spaces that leave room for changes at its end."""
    at = data.rfind(b"<?xpacket end")
    return data if at < 0 else data[:at].rstrip() + data[at:]
