"""Orientation, EXIF, XMP, IPTC, colour profile, resolution: what a photo carries beside pixels.

None of it can make reading fail. What is damaged is left behind, with a note.
"""

import math
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from dcls_cli.image.colour_spaces import Stated, stated_by_exif

#: What is kept of a photo's metadata: all of it; what pixels and prints look like, colour profile
#: and resolution; nothing, with the colours converted to sRGB.
Kept = Literal["keep", "minimal", "strip"]

EXIF_PREFIX = b"Exif\0\0"

_X_RESOLUTION = 282
_ORIENTATION = int(ExifTags.Base.Orientation)

#: Tags that describe a TIFF photo; its other tags describe how that file stores it.
_DESCRIPTIVE_TAGS = frozenset(
    int(tag)
    for tag in (
        ExifTags.Base.ImageDescription,
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.Software,
        ExifTags.Base.DateTime,
        ExifTags.Base.Artist,
        ExifTags.Base.Copyright,
    )
)
_EXIF_DIRECTORY = int(ExifTags.IFD.Exif)
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA002, 0xA003

_SUB_DIRECTORIES = (int(ExifTags.IFD.Exif), int(ExifTags.IFD.GPSInfo))


def orientation(image: Image.Image) -> int:
    """Read how the stored picture has to be turned: 1 to 8, and 1 for anything else."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF, for which Pillow has no one class; `exif` notes it
        return 1
    return value if value in range(1, 9) else 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror a picture (H, W, ...) as its EXIF orientation, 1 to 8, demands."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def exif(image: Image.Image) -> tuple[bytes | None, str | None]:
    """Find the EXIF data for the upright picture.

    The orientation becomes 1 and the embedded thumbnail, which shows the stored picture, is left
    out; every other byte stays as it is. The EXIF data of a TIFF file is gathered from its tags.

    Returns:
        The data, None if there is none, and a note if there was some that is damaged.
    """
    try:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            return _gather(image), None
        raw = image.info.get("exif")
        if raw is None and "Raw profile type exif" in image.info:
            raw = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
        return (_checked(normalise(raw)) if raw else None), None
    except Exception:  # as in `orientation`
        return None, "the EXIF data is damaged and was left out"


def normalise(raw: bytes) -> bytes:
    """Set the orientation to 1 and cut off the thumbnail's directory, in place.

    Raises:
        struct.error: the first directory does not lie within the data.
        ValueError: the data is no TIFF structure.
    """
    while raw.startswith(EXIF_PREFIX):  # some files have it twice
        raw = raw.removeprefix(EXIF_PREFIX)
    data = bytearray(raw)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(data[:4]))
    if order is None:
        raise ValueError("neither II nor MM")
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, directory)
    for tag, entry in _entries(data, order, directory):
        if tag == _ORIENTATION:
            struct.pack_into(f"{order}HHIHH", data, entry, tag, 3, 1, 1, 0)
    struct.pack_into(f"{order}I", data, directory + 2 + 12 * count, 0)
    return EXIF_PREFIX + bytes(data)


def with_size(exif: bytes, width: int, height: int) -> bytes:
    """State the size of the output where EXIF data states that of the photo, in place."""
    data = bytearray(exif.removeprefix(EXIF_PREFIX))
    order = "<" if data[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", data, 4)
        places = dict(_entries(data, order, first))
        (details,) = struct.unpack_from(f"{order}I", data, places[_EXIF_DIRECTORY] + 8)
        places = dict(_entries(data, order, details))
        for tag, size in ((_PIXEL_WIDTH, width), (_PIXEL_HEIGHT, height)):
            if tag in places:
                struct.pack_into(f"{order}HHII", data, places[tag], tag, 4, 1, size)
    except (KeyError, struct.error):  # it states none
        return exif
    return EXIF_PREFIX + bytes(data)


def _entries(data: bytearray, order: str, directory: int) -> Iterator[tuple[int, int]]:
    """Tags of a directory and the places of their entries."""
    (count,) = struct.unpack_from(f"{order}H", data, directory)
    for place in range(directory + 2, directory + 2 + 12 * count, 12):
        yield struct.unpack_from(f"{order}H", data, place)[0], place


def _checked(data: bytes) -> bytes:
    """Make sure that every directory can be read and written again, as a TIFF output needs."""
    parsed = Image.Exif()
    parsed.load(data)
    for tag in _SUB_DIRECTORIES:
        parsed.get_ifd(tag)
    parsed.tobytes()
    return data


def _gather(image: TiffImagePlugin.TiffImageFile) -> bytes | None:
    stored = image.getexif()
    carried = Image.Exif()
    for tag in _DESCRIPTIVE_TAGS & set(stored):
        carried[tag] = stored[tag]
    for tag in _SUB_DIRECTORIES:
        if directory := dict(stored.get_ifd(tag)):
            carried[tag] = directory
    return normalise(carried.tobytes()) if len(carried) else None


def colours_by_exif(image: Image.Image) -> Stated:
    """What the EXIF data say about the colours; damaged data say nothing."""
    try:
        stored = image.getexif()
        details, interoperability = (
            dict(stored.get_ifd(tag)) for tag in (ExifTags.IFD.Exif, ExifTags.IFD.Interop)
        )
        return stated_by_exif(dict(stored), details, interoperability)
    except Exception:  # as in `orientation`
        return Stated()


def profile(icc: object, *, grey: bool) -> tuple[bytes | None, str | None]:
    """Check that a colour profile is one, and one for these pixels.

    Returns:
        The profile, None if there is none, and a note if there was one that does not fit.
    """
    if not icc:
        return None, None
    if (
        not isinstance(icc, bytes)
        or len(icc) < 128
        or icc[36:40] != b"acsp"
        or int.from_bytes(icc[:4]) > len(icc)
    ):
        return None, "the colour profile is damaged and was left out"
    space = icc[16:20].decode("latin-1").strip()
    if space != ("GRAY" if grey else "RGB"):
        return None, f"the colour profile is for {space} and was left out"
    return icc, None


def has_lost_profile(image: Image.Image) -> bool:
    """Whether a JPEG has pieces of a colour profile of which Pillow could make none."""
    pieces = getattr(image, "applist", ())
    return any(name == "APP2" and data.startswith(b"ICC_PROFILE\0") for name, data in pieces)


def resolution(image: Image.Image, *, turned: bool) -> tuple[float, float] | None:
    """Read pixels per inch, horizontal and vertical; None for values that no format can hold."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None and _X_RESOLUTION not in tags:
        return None  # Pillow makes it 1
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 <= value <= 65535 for value in (across, down)):
        return None
    return (down, across) if turned else (across, down)


_IPTC_RESOURCE = 0x0404
_IPTC_TAG, _PHOTOSHOP_TAG = 33723, 34377
_IPTC_MARKER = b"\x1c"

_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>\s*))\d+""")

#: Elements with small pictures of the photo as it was.
_THUMBNAILS = (b"xmp:Thumbnails", b"xap:Thumbnails")


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
    packet = _XMP_ORIENTATION.sub(rb"\g<1>1", packet)
    for element in _THUMBNAILS:
        packet = _without(packet, element)
    return packet, None


def _without(packet: bytes, element: bytes) -> bytes:
    """An XMP packet without all elements of a name, in one pass however the tags are nested."""
    opening, closing = b"<" + element, b"</" + element + b">"
    last = packet.rfind(closing)
    kept, at = [], 0
    while at <= last and (start := packet.find(opening, at, last)) >= 0:
        after = start + len(opening)
        if packet[after : after + 1].isalnum():  # a longer name
            kept.append(packet[at:after])
            at = after
            continue
        kept.append(packet[at:start])
        at = packet.find(closing, after) + len(closing)
    return b"".join([*kept, packet[at:]])


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


def iptc_from_tags(tags: Mapping[int, object]) -> bytes:
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
