"""Pictures and videos that belong to a photo, which a restored one does not have.

A gain map says how much brighter an HDR screen shows each part (Ultra HDR, Apple's, ISO 21496-1).
It is left out, and with it what XMP says of it: a program that follows a stale directory takes the
end of the restored picture for a gain map.
"""

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat

from dcls_cli.image.colour_statements import read_boxes

_NOTE = "its HDR gain map is left out: HDR screens will show the output as other screens do"
_VIDEO_NOTE = "its video (motion photo) is left out"

#: What the head of a gain map has: Adobe's and Google's, Apple's, that of ISO 21496-1.
_MARKS = (
    b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
    b"urn:iso:std:iso:ts:21496:-1",
)

_START_OF_SCAN = 0xDA
_TONE_MAPPED, _AUXILIARY = b"tmap", b"auxC"


def gain_map_note(file: BinaryIO, form: str) -> str | None:
    """That a file's gain map is left out; None if it has none.

    Args:
        file: seekable; its position is not kept.
        form: its format, as Pillow calls it; only JPEG, MPO, HEIF and AVIF can have one.
    """
    if form in ("JPEG", "MPO"):
        file.seek(0)
        content = file.read()
        found = any(content.find(mark, _first_scan(content)) >= 0 for mark in _MARKS)
    elif form in ("HEIF", "AVIF"):
        boxes = read_boxes(file)
        found = _TONE_MAPPED in boxes.kinds or any(
            kind == _AUXILIARY and mark in data
            for kind, data in boxes.everything
            for mark in _MARKS
        )
    else:
        found = False
    return _NOTE if found else None


def _first_scan(content: bytes) -> int:
    """Where the pixels of a JPEG's first picture start; further pictures come after them."""
    at = 2
    while at + 4 <= len(content):
        marker, length = struct.unpack_from(">xBH", content, at)
        if marker == _START_OF_SCAN:
            break
        at += 2 + length
    return at


#: Namespaces all of whose properties speak of pictures behind the first one.
_SPACES = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/dd/1.0/",
)
_IN_BYTES = tuple(space.encode() for space in _SPACES)

#: That of Google's cameras has others, too; those that begin so speak of a video.
_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_OF_VIDEOS = re.compile(re.escape(_CAMERA) + " (MotionPhoto|MicroVideo)")

#: A packet without any of these needs no parser.
_TRACES = (b"hdr-gain-map", b"HDRGainMap", b"ns.google.com/photos/")


def without_other_pictures(packet: bytes) -> tuple[bytes | None, tuple[str, ...]]:
    """Remove what an XMP packet says of a gain map, a video and other pictures of its file.

    All other bytes stay.

    Returns:
        The packet, None if it is damaged, and notes.
    """
    if not any(trace in packet for trace in _TRACES):
        return packet, ()
    try:
        stale = list(_Stale(packet).ranges)
    except expat.ExpatError:
        return None, ("the XMP data is damaged and was left out",)
    kept, at, has_video = [], 0, False
    for start, end, of_video in stale:
        has_video |= of_video
        if start >= at:  # else it lies in one that went
            kept.append(packet[at:start])
            at = end
    return b"".join([*kept, packet[at:]]), (_VIDEO_NOTE,) if has_video else ()


_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")
_VIDEO_ITEM = re.compile(rb"""Semantic\s*(=\s*["']|>\s*)MotionPhoto\b""")


class _Stale:
    """Finds the stale parts of a packet, in order.

    Attributes:
        ranges: first byte, the one after the last, and whether it is of a video.
    """

    def __init__(self, packet: bytes) -> None:
        self._packet = packet
        self._open: list[int | None] = []
        self._is_within = False
        self._found: list[tuple[int, int, bool]] = []
        self._parser = expat.ParserCreate("UTF-8", " ")
        self._parser.ordered_attributes = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.Parse(packet, True)

    @property
    def ranges(self) -> Iterator[tuple[int, int, bool]]:
        """In the order of the packet, the outer before what lies in it."""
        return iter(sorted(self._found, key=lambda part: (part[0], -part[1])))

    @staticmethod
    def _refuse(*_: object) -> None:
        """No program writes one into XMP; entities could make it as large as anybody likes."""
        raise expat.ExpatError("a document type")

    def _start(self, name: str, attributes: list[str]) -> None:
        at = self._parser.CurrentByteIndex
        is_outermost = not self._is_within and _is_stale(name)
        self._open.append(at if is_outermost else None)
        self._is_within |= is_outermost
        tag = _TAG.match(self._packet, at)
        if tag is None or self._is_within:
            return
        names = iter(attributes[::2])
        for found in _ATTRIBUTE.finditer(self._packet, at, tag.end()):
            if found[1] == b"xmlns" or found[1].startswith(b"xmlns:"):  # no attribute to the parser
                if found[2][1:].startswith(_IN_BYTES):  # nothing uses it any more
                    self._found.append((*found.span(), False))
                continue
            attribute = next(names, "")
            if _is_stale(attribute):
                self._found.append((*found.span(), bool(_OF_VIDEOS.match(attribute))))

    def _end(self, name: str) -> None:
        start = self._open.pop()
        if start is None:
            return
        self._is_within = False
        end = self._parser.CurrentByteIndex
        tag = _TAG.match(self._packet, start)
        if tag is not None and tag[0].endswith(b"/>"):
            end = tag.end()
        else:
            end = self._packet.index(b">", end) + 1
        whole = self._packet[start:end]
        of_video = bool(_OF_VIDEOS.match(name) or _VIDEO_ITEM.search(whole))
        self._found.append((start, end, of_video))


def _is_stale(name: str) -> bool:
    """Whether a property, as namespace, space and name, is to go."""
    return name.startswith(_SPACES) or bool(_OF_VIDEOS.match(name))
