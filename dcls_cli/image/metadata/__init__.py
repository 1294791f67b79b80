"""Orientation, EXIF, XMP, IPTC, colour profile, resolution: what a photo carries beside pixels.

None of it can make reading fail. Damaged metadata is left out, with a note.
"""

import math
import os
import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image

from dcls_cli.image.metadata.placement import LEFT_TO_RIGHT, UPSIDE_DOWN

#: What is kept of a photo's metadata: all of it; what pixels and prints look like, colour profile
#: and resolution; nothing, with the colours converted to sRGB.
Kept = Literal["keep", "minimal", "strip"]

_X_RESOLUTION = 282


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror a picture (H, W, ...) as its EXIF orientation, 1 to 8, demands."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in UPSIDE_DOWN:
        pixels = pixels[::-1]
    if orientation in LEFT_TO_RIGHT:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


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
    """Read pixels per inch, horizontal and vertical; None for values that no format can hold.

    Not those of EXIF data, of which Pillow takes one for both, or makes 72.
    """
    tags = getattr(image, "tag_v2", None)
    if tags is not None and _X_RESOLUTION not in tags:
        return None  # Pillow makes it 1
    if image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in (1, 2):
        return None
    return checked_resolution(image.info.get("dpi"), turned=turned)


def checked_resolution(stated: object, *, turned: bool) -> tuple[float, float] | None:
    """A pair of numbers as a resolution; None for what no format can hold."""
    try:
        across, down = (float(value) for value in stated)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 <= value <= 65535 for value in (across, down)):
        return None
    return (down, across) if turned else (across, down)


def aspect(image: Image.Image, *, turned: bool) -> tuple[float, float] | None:
    """Read pixels to a unit that is not known, horizontal and vertical, where they differ.

    JFIF and PNG call it an aspect ratio; a TIFF's resolution may have no unit.
    """
    info = image.info
    given = info.get("aspect")  # of a PNG
    if info.get("jfif_unit") == 0:
        given = info.get("jfif_density")
    if info.get("resolution") is not None:  # of a TIFF
        given = info["resolution"]
    try:
        across, down = (float(value) for value in given)  # type: ignore[union-attr]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if across == down or not all(0 < value < 2**32 for value in (across, down)):
        return None
    return (down, across) if turned else (across, down)


#: Chunks of text of a PNG; all together are no longer.
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_LONGEST_TEXTS_BYTES = 2**24

#: Text that is metadata of other kinds, read apart, or about a thumbnail (freedesktop.org).
NO_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type ", b"Thumb::")

_PNG_SIGNATURE_BYTES = 8


def png_texts(file: BinaryIO) -> tuple[tuple[tuple[bytes, bytes], ...], list[str]]:
    """Read the chunks of text of a PNG as they are stored: titles, how a picture was generated.

    Returns:
        Kinds and contents, and what was left out, a sentence each.
    """
    file.seek(_PNG_SIGNATURE_BYTES)
    texts: list[tuple[bytes, bytes]] = []
    notes: list[str] = []
    left = _LONGEST_TEXTS_BYTES
    while len(header := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", header)
        if name == b"sCAL":
            notes.append("the size of its pixels on what it shows (sCAL) was left out")
        if name not in _TEXTS or length > left:
            if name in _TEXTS and not notes:
                notes.append("text of the PNG was left out, as it is far too long")
            file.seek(length + 4, os.SEEK_CUR)
            continue
        data = file.read(length)
        file.seek(4, os.SEEK_CUR)
        if not data.startswith(NO_TEXTS):
            left -= length
            texts.append((name, data))
    return tuple(texts), notes


#: What XMP in a GIF starts with, and the magic trailer after it (XMP part 3, section 1.1.2).
_GIF_XMP, _GIF_XMP_ENDS = b"!\xff\x0bXMP DataXMP", b"\x01\xff\xfe\xfd"


def gif_xmp(file: BinaryIO) -> bytes | None:
    """The XMP packet of a GIF, which Pillow does not read; None without one."""
    file.seek(0)
    content = file.read()
    start = content.find(_GIF_XMP)
    if start < 0:
        return None
    start += len(_GIF_XMP)
    return content[start : max(content.find(_GIF_XMP_ENDS, start), start)] or b"damaged"


#: The description of content credentials (C2PA 2.1, section 11.1.4), in whatever format.
_CREDENTIALS = b"jumdc2pa"


def credentials_note(file: BinaryIO) -> str | None:
    """That a file's content credentials, which are of its very bytes, are left out."""
    file.seek(0)
    head = file.read(_LONGEST_HEAD_BYTES)
    if _CREDENTIALS not in head:
        return None
    return "its content credentials (C2PA) are for the photo and were left out"


_LONGEST_HEAD_BYTES = 2**20


def keywords(texts: Sequence[tuple[bytes, bytes]]) -> str:
    """What the chunks of text of a PNG are called, for people."""
    names = dict.fromkeys(data.partition(b"\0")[0].decode("latin-1") for _, data in texts)
    shown = [name if name.isprintable() else "?" for name in names][:5]
    return ", ".join(shown) + (" and more" if len(names) > 5 else "")


_IPTC_RESOURCE = 0x0404
_IPTC_TAG, _PHOTOSHOP_TAG = 33723, 34377
_IPTC_MARKER = b"\x1c"


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
    for kind in ("iptc", "8bim"):  # of a PNG
        profile = image.info.get(f"Raw profile type {kind}")
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
