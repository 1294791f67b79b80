"""XMP packets of JPEG that do not fit into one segment: joined with the rest, and parted again.

Source: XMP specification part 3, section 1.1.3.1, extended XMP in JPEG.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence

from dcls_cli.image.metadata.xmp import RDF, DamagedError, Element, Name, Packet, Span

_NOTE = "http://ns.adobe.com/xmp/note/"


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
