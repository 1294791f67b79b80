"""XMP packets: looked into by a parser, edited by bytes.

What is not edited keeps its bytes: spaces, quotes, prefixes and the order of properties. A packet
that is not well-formed, or defines entities, is damaged.

Source: XMP specification part 1 (ISO 16684-1), sections 6 and 7.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

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


#: The namespace of what outputs say about how they were made.
RECORD = "urn:dcls"

_NEW_PACKET = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="%s"></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""" % RDF.encode()

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


def with_record(data: bytes | None, record: Mapping[str, str]) -> bytes | None:
    """A packet, or a new one, with a record of how its picture was made.

    Args:
        data: the packet.
        record: values by names that XML allows.

    Returns:
        The packet; None for one that has no place for it.
    """
    packet = Packet(data or _NEW_PACKET)
    root = packet.root
    if root is None or root.whole == root.opening:
        return None
    prefix = root.prefixed.rpartition(b":")[0].decode()
    tag, about = (f"{prefix}:Description", f"{prefix}:about") if prefix else ("Description", "")
    about = f' {about}=""' if about else ""
    values = " ".join(f"dcls:{name}={quoteattr(value)}" for name, value in record.items())
    description = f'<{tag}{about} xmlns:dcls="{RECORD}" {values}/>'
    packet.replace(Span(root.inner.end, root.inner.end), description)
    return packet.edited()


def remove_record(packet: Packet) -> None:
    """Take out how a picture was made; what is made of it is another one."""
    for element in packet.elements.get(Name(RDF, "Description"), ()):
        if any(attribute.name.space == RECORD for attribute in element.attributes):
            packet.remove(element.whole)


def record_of(data: bytes) -> dict[str, str]:
    """The record of how a picture was made; empty for a packet without one, or a damaged one."""
    if RECORD.encode() not in data:
        return {}
    try:
        found = Packet(data).attributes
    except DamagedError:
        return {}
    return {name.local: all_[-1].value for name, all_ in found.items() if name.space == RECORD}


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


def _encoding_of(data: bytes) -> str:
    """UTF-8, or what reads all bytes: some programs write Latin-1, which then stays as it is."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return "ISO-8859-1"
    return "UTF-8"


class _Parser:
    """Fills a packet with its elements."""

    def __init__(self, packet: Packet) -> None:
        self._packet, self._data = packet, packet.data
        self._names: dict[str, Name] = {}
        self._open: list[Element] = []
        self._declared: dict[str, str] = {}
        self._nodes = 0
        self._parser = parser = expat.ParserCreate(_encoding_of(self._data), " ")
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
