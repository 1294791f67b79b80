"""What a file says about its photo, gathered for the upright picture."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from dcls_cli.image.colour_spaces import Stated, stated_by_exif
from dcls_cli.image.gain_maps import without_other_pictures
from dcls_cli.image.heif import items
from dcls_cli.image.metadata import (
    NO_TEXTS,
    aspect,
    checked_resolution,
    directories,
    exif,
    extended_xmp,
    pixels,
    scientific,
    xmp,
)
from dcls_cli.image.metadata import iptc as iptc_records
from dcls_cli.image.metadata import resolution as file_resolution
from dcls_cli.image.metadata.placement import Placement

#: What a JPEG's segment of XMP starts with.
_XMP_START = b"http://ns.adobe.com/xap/1.0/\0"

#: Formats whose pictures are turned by properties of their own.
_TURNED_BY_BOXES = ("AVIF", "HEIF")


def orientation(image: Image.Image) -> int:
    """Read how the stored picture has to be turned: 1 to 8, and 1 for anything else.

    EXIF counts, and where that says nothing XMP; but not in AVIF and HEIF, whose own properties
    turn the picture (irot and imir of ISO/IEC 23008-12). libvips and browsers do not look at XMP
    there either; Pillow's `exif_transpose` does, unless the file has EXIF data. Pillow puts these
    properties of an AVIF into its EXIF data.
    """
    if image.info.get("upright"):
        return 1
    raw = _raw_exif(image)
    stated: int | None = None
    if raw is not None:
        with suppress(directories.DamagedError):  # `said_about` notes it
            stated = exif.orientation_of(raw)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        stated = image.tag_v2.get(int(ExifTags.Base.Orientation))
    if (
        stated is None
        and image.format not in _TURNED_BY_BOXES
        and (packet := raw_xmp(image)) is not None
        and b"Orientation" in packet.replace(b"\0", b"")  # of UTF-16 as well; saves a parser
    ):
        with suppress(xmp.DamagedError):
            stated = pixels.orientation_of(xmp.Packet(packet))
    return stated if isinstance(stated, int) and 1 <= stated <= 8 else 1


def colours_by_exif(image: Image.Image) -> Stated:
    """What the EXIF data say about the colours; damaged data say nothing."""
    try:
        raw = _raw_exif(image) or _from_tags(image)
        if raw is None:
            return Stated()
        main = directories.parse(raw)
    except (ValueError, OSError, TypeError):  # `said_about` notes it
        return Stated()
    details = main.children.get(directories.DETAILS, directories.Directory(main.order))
    inner = details.children.get(directories.INTEROPERABILITY, directories.Directory(main.order))
    return stated_by_exif(*({t: d.value(t) for t in d.entries} for d in (main, details, inner)))


def resolution(image: Image.Image, *, turned: bool) -> tuple[float, float] | None:
    """Pixels per inch, horizontal and vertical: the file's own, or else those of EXIF data."""
    own = file_resolution(image, turned=turned)
    raw = _raw_exif(image)
    if own is not None or raw is None or image.info.get("jfif_unit") in (1, 2):
        return own
    if aspect(image, turned=turned) is not None:  # the file's own ratio of sides, without a unit
        return None
    try:
        stated = exif.resolution_of(raw)
    except directories.DamagedError:  # `said_about` notes it
        return None
    return checked_resolution(stated, turned=turned)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a file says about its photo; see `Photo`."""

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    notes: list[str] = field(default_factory=list)


def said_about(image: Image.Image, placement: Placement, *, pages: int) -> Said:
    """Gather EXIF, XMP, IPTC and comments, for the upright picture.

    Args:
        image: the stored picture's.
        placement: where its pixels lie in the upright one.
        pages: of the file.
    """
    notes: list[str] = []
    found_exif = _exif_said(image, placement, pages, notes)
    found_xmp = _xmp_said(image, placement, notes)
    iptc, iptc_note = iptc_records(image)
    comment = image.info.get("comment")
    return Said(
        exif=found_exif,
        xmp=found_xmp,
        iptc=iptc,
        comment=comment if isinstance(comment, bytes) and comment else None,
        notes=[*notes, *filter(None, [iptc_note])],
    )


def _exif_said(
    image: Image.Image, placement: Placement, pages: int, notes: list[str]
) -> bytes | None:
    """EXIF data whose orientation is 1, without the thumbnail of the stored picture."""
    try:
        raw = _raw_exif(image) or _from_tags(image)
        if raw is None:
            return None
        block = exif.Block(raw)
    except (ValueError, OSError, TypeError):
        notes.append("the EXIF data is damaged and was left out")
        return None
    if block.numbers(0, directories.ORIENTATION) not in ((), (1,)):
        block.put(0, directories.ORIENTATION, directories.SHORT, [1])
    block.cut_thumbnail()
    if placement.orientation != 1:
        notes += exif.place(block, placement)
        if scientific.is_imagej(block):
            scientific.place_scale(block, placement)
    if placement.orientation != 1 or pages > 1:
        output = scientific.Output(placement=placement, channels=0, bit_depth=0, pages=pages)
        notes += scientific.place(block, output)
    return block.to_bytes()


def _raw_exif(image: Image.Image) -> bytes | None:
    """EXIF data as a file holds them; of a PNG also as ImageMagick writes them, in hexadecimal."""
    raw = image.info.get("exif")
    if isinstance(raw, bytes) and raw:
        return raw
    return _hexadecimal(image, "exif") or _hexadecimal(image, "APP1", directories.PREFIX)


def _hexadecimal(image: Image.Image, kind: str, starts: bytes = b"") -> bytes | None:
    """What ImageMagick has put into a text of a PNG; None if that starts in another way."""
    profile = image.info.get(f"Raw profile type {kind}")
    if not isinstance(profile, str):
        return None
    try:
        data = bytes.fromhex("".join(profile.split("\n")[3:]))
    except ValueError:
        return b"damaged"
    return data.removeprefix(_XMP_START) if data.startswith(starts) else None


def _from_tags(image: Image.Image) -> bytes | None:
    """EXIF data of a TIFF that the caller opened with Pillow, with its text unchanged.

    Pillow decodes text as Latin-1, by which bytes become characters one by one.

    Returns:
        None for other images, and without data.

    Raises:
        ValueError, OSError, TypeError: what Pillow raises about damaged tags.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    stored = image.getexif()
    carried = Image.Exif()
    for tag in stored:
        if tag not in directories.STRUCTURAL and tag not in directories.SUB_DIRECTORIES:
            carried[tag] = _as_bytes(stored[tag])
    for tag in directories.SUB_DIRECTORIES[:2]:
        if directory := dict(stored.get_ifd(tag)):
            carried[tag] = {key: _as_bytes(value) for key, value in directory.items()}
    if not len(carried):
        return None
    found, _ = scientific.descriptive(directories.parse(carried.tobytes()))
    return directories.structure(found) if found.entries or found.children else None


def _as_bytes(value: object) -> object:
    return value.encode("latin-1", "replace") if isinstance(value, str) else value


def raw_xmp(image: Image.Image) -> bytes | None:
    """The XMP packet of a file that Pillow has opened, as it is."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    packet = packet or _hexadecimal(image, "xmp") or _hexadecimal(image, "APP1", _XMP_START)
    if isinstance(packet, str):
        packet = packet.encode(errors="surrogateescape")
    if not packet:
        return None
    return packet if isinstance(packet, bytes) else b"damaged"


def _xmp_said(image: Image.Image, placement: Placement, notes: list[str]) -> bytes | None:
    """An XMP packet whose orientation is 1, without thumbnails, with its extended part."""
    raw = raw_xmp(image)
    if raw is None:
        return None
    try:
        if extended_xmp.has_extended(raw):
            segments = [data for name, data in getattr(image, "applist", ()) if name == "APP1"]
            parts = [data for data in segments if data.startswith(extended_xmp.EXTENSION)]
            raw, lost = extended_xmp.with_extended(raw, parts)
            notes += [lost] if lost else []
        cleaned, more = without_other_pictures(raw)
        notes += more
        if cleaned is None:
            return None
        packet = xmp.Packet(cleaned)
    except xmp.DamagedError:
        notes.append("the XMP data is damaged and was left out")
        return None
    stated = pixels.orientation_of(packet)
    if image.format in _TURNED_BY_BOXES and stated not in (None, 1, placement.orientation):
        notes.append(
            f"its XMP data state orientation {stated}, which was not applied: only an "
            f"{image.format}'s own properties turn it"
        )
    pixels.clean(packet)
    if placement.orientation != 1:
        notes += pixels.place(packet, placement)
    return packet.edited()


def mend_avif_exif(file: BinaryIO, image: Image.Image) -> None:
    """Give an AVIF its EXIF data back where Pillow wrote others, which alter text."""
    file.seek(0)
    found = items(file.read(), b"Exif")
    turn = orientation(image)
    if not found or image.info.get("exif") == found[0].data:
        return
    with suppress(directories.DamagedError):
        block = exif.Block(found[0].data)
        block.put(0, directories.ORIENTATION, directories.SHORT, [turn])
        image.info["exif"] = block.to_bytes()


def texts_of(image: Image.Image) -> tuple[tuple[bytes, bytes], ...]:
    """Text of a PNG that the caller opened with Pillow, as chunks."""
    if not isinstance(image, PngImagePlugin.PngImageFile):
        return ()
    chunks = []
    for keyword, text in image.text.items():
        name = keyword.encode("latin-1", "replace")
        if not (name + b"\0").startswith(NO_TEXTS):
            chunks.append((b"iTXt", name + bytes(5) + str(text).encode(errors="replace")))
    return tuple(chunks)
