"""XMP packets and IPTC records: what people and programs have written about a photo.

As with all metadata, what is damaged is left behind with a note and never makes reading fail.
"""

import re
import struct
from collections.abc import Mapping

from PIL import Image

_IPTC_RESOURCE = 0x0404
_IPTC_TAG, _PHOTOSHOP_TAG = 33723, 34377
_IPTC_MARKER = b"\x1c"

_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>\s*))\d+""")

#: Small pictures of the photo as it was.
_THUMBNAILS = re.compile(rb"<(xmp:Thumbnails|xap:Thumbnails)\b.*?</\1>", re.DOTALL)


def xmp(image: Image.Image) -> tuple[bytes | None, str | None]:
    """Find the XMP packet for the upright picture: orientation 1, no thumbnails.

    Returns:
        The packet, None if there is none, and a note if there was one that is damaged.
    """
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not packet:
        return None, None
    if isinstance(packet, str):
        packet = packet.encode(errors="surrogateescape")
    if not isinstance(packet, bytes) or b"<" not in packet:
        return None, "the XMP data is damaged and was left out"
    packet = packet.rstrip(b"\0")
    return _THUMBNAILS.sub(b"", _ORIENTATION.sub(rb"\g<1>1", packet)), None


def iptc(image: Image.Image) -> tuple[bytes | None, str | None]:
    """Find the IPTC records.

    Returns:
        The records, None if there are none, and a note if there were some that are damaged.
    """
    try:
        records = _records(image)
    except (ValueError, TypeError, IndexError, struct.error):
        records = b"damaged"
    if not records:
        return None, None
    if not records.startswith(_IPTC_MARKER):
        return None, "the IPTC data is damaged and was left out"
    return records, None


def _records(image: Image.Image) -> bytes:
    """IPTC records from where the file's format keeps them; empty if there are none."""
    resources = image.info.get("photoshop")  # of a JPEG, or put there by `tiff`
    if isinstance(resources, Mapping) and resources.get(_IPTC_RESOURCE):
        return bytes(resources[_IPTC_RESOURCE])
    profile = image.info.get("Raw profile type iptc")  # of a PNG
    if isinstance(profile, str):
        return _unwrapped(bytes.fromhex("".join(profile.split("\n")[3:])))
    return b""


def from_tags(tags: Mapping[int, object]) -> bytes:
    """IPTC records from the tags of a TIFF; empty if there are none."""
    stored = tags.get(_IPTC_TAG)
    if isinstance(stored, bytes):
        return stored.rstrip(b"\0") if stored.startswith(_IPTC_MARKER) else _unwrapped(stored)
    resources = tags.get(_PHOTOSHOP_TAG)
    return _unwrapped(resources) if isinstance(resources, bytes) else b""


def _unwrapped(data: bytes) -> bytes:
    """IPTC records that may lie in Photoshop's image resources."""
    if not data.startswith(b"8BIM"):
        return data if data.startswith(_IPTC_MARKER) else b""
    at = 0
    while data[at : at + 4] == b"8BIM":
        (kind, name_bytes) = struct.unpack_from(">HB", data, at + 4)
        at += 6 + (name_bytes + 2) // 2 * 2
        (size,) = struct.unpack_from(">I", data, at)
        at += 4
        if kind == _IPTC_RESOURCE:
            return data[at : at + size]
        at += (size + 1) // 2 * 2
    return b""
