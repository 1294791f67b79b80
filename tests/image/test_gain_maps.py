"""Outputs speak of no gain map and no video that they do not have; notes say what is lost."""

import io
import json
import shutil
import struct
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.image import read, write
from dcls_cli.image.gain_maps import gain_map_note, without_other_pictures

needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed"
)

GAIN_MAP_NOTE = "its HDR gain map is left out: HDR screens will show the output as other screens do"
VIDEO_NOTE = "its video (motion photo) is left out"

HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
CONTAINER = "http://ns.google.com/photos/1.0/container/"
CAMERA = "http://ns.google.com/photos/1.0/camera/"

ULTRA_HDR = f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:Container="{CONTAINER}" xmlns:Item="{CONTAINER}item/" xmlns:hdrgm="{HDRGM}"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 hdrgm:Version="1.0" xmp:Rating="4"><hdrgm:GainMapMax><rdf:Seq><rdf:li>2</rdf:li></rdf:Seq>
 </hdrgm:GainMapMax><Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item
 Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li><rdf:li rdf:parseType="Resource">
 <Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" Item:Length="700"/></rdf:li>
 </rdf:Seq></Container:Directory><dc:title><rdf:Alt><rdf:li xml:lang="x-default">Über &gt; &#38;
 </rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""

#: Another spelling: other prefixes, single quotes, an element of one tag.
RENAMED = f"""<x:xmpmeta xmlns:x='adobe:ns:meta/'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:g='{HDRGM}'><rdf:Description
 xmlns:c='{CONTAINER}' g:Version = '1.0' xmlns:d='http://purl.org/dc/elements/1.1/'
 d:source='a &gt; b'><c:Directory/><g:BaseRenditionIsHDR>False</g:BaseRenditionIsHDR
 ><d:title>T</d:title></rdf:Description></rdf:RDF></x:xmpmeta>"""

MOTION = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:GCamera="{CAMERA}" xmlns:dc="http://purl.org/dc/elements/1.1/" GCamera:MotionPhoto="1"
 GCamera:MotionPhotoVersion="1" GCamera:MicroVideoOffset="90" GCamera:SpecialTypeID="boost"
 dc:source="here"/></rdf:RDF></x:xmpmeta>"""


def jpeg(xmp: str | None = None, **options: object) -> bytes:
    content = io.BytesIO()
    picture = Image.fromarray(np.full((16, 24, 3), 120, np.uint8))
    if xmp is not None:
        options["xmp"] = xmp.encode()
    picture.save(content, "JPEG", **options)  # type: ignore[arg-type]
    return content.getvalue()


def two_pictures(primary: bytes, second: bytes) -> bytes:
    """Join two JPEGs by an MPF segment, as phones do (CIPA DC-007)."""
    length = 4 + 82 + 4
    whole = len(primary) + length
    entries = struct.pack("<IIIHH", 0x030000, whole, 0, 0, 0)
    at = primary.index(b"\xff\xdb")
    place = whole - (at + 8)
    entries += struct.pack("<IIIHH", 0, len(second), place, 0, 0)
    index = b"II*\0\x08\0\0\0" + struct.pack("<H", 3)
    index += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHII", 0xB001, 4, 1, 2)
    index += struct.pack("<HHII", 0xB002, 7, 32, 50) + struct.pack("<I", 0) + entries
    segment = b"\xff\xe2" + struct.pack(">H", len(index) + 6) + b"MPF\0" + index
    assert len(segment) == length
    return primary[:at] + segment + primary[at:] + second


def ultra_hdr(path: Path) -> Path:
    gain_map = jpeg(RENAMED)
    path.write_bytes(two_pictures(jpeg(ULTRA_HDR), gain_map))
    return path


def text_of(packet: bytes) -> str:
    """All that an XMP packet says, as names with values; fails if it is not well-formed."""
    root = ElementTree.fromstring(packet.decode())
    return " ".join(f"{each.tag} {each.attrib} {(each.text or '').strip()}" for each in root.iter())


@needs_exiftool
@pytest.mark.parametrize("form", ["jpg", "png", "tif", "webp", "avif"])
@pytest.mark.parametrize("kept", ["keep", "minimal", "strip"])
def test_no_output_speaks_of_the_gain_map_that_it_does_not_have(
    tmp_path: Path, form: str, kept: str
) -> None:
    photo = read(ultra_hdr(tmp_path / "a.jpg"), kept=kept)  # type: ignore[arg-type]
    assert photo.notes == (GAIN_MAP_NOTE,)
    output = tmp_path / f"out.{form}"
    write(photo, output, overwrite=False)
    listed = subprocess.run(
        ["exiftool", "-j", "-a", "-G1", output], capture_output=True, text=True, check=True
    ).stdout
    found = json.loads(listed)[0]
    for trace in ("hdrgm", "Container", "MPF", "MPImage", "GainMap"):
        assert trace not in listed
    assert "ExifTool:Warning" not in found
    assert found.get("XMP-xmp:Rating") == (4 if kept == "keep" else None)
    assert ("XMP-dc:Title" in found) == (kept == "keep")
    if form == "jpg":  # no second picture
        assert output.read_bytes().count(b"\xff\xd8\xff") == 1


def test_the_command_says_that_the_gain_map_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ultra_hdr(tmp_path / "a.jpg")
    weights = Path(__file__).parents[2] / "weights" / "dcls-light-x2.safetensors"
    output = tmp_path / "b.jpg"
    assert run(["upscale", str(source), "-o", str(output), "-w", str(weights), "-d", "cpu"]) == 0
    said = capsys.readouterr()
    assert "HDR gain map is left out" in " ".join((said.out + said.err).split())
    with Image.open(output) as image:
        assert image.format == "JPEG"
        assert b"GainMap" not in image.info["xmp"]


def apple(path: Path) -> Path:
    """Apple's JPEGs mark only the second picture."""
    mark = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:apdi="http://ns.apple.com/pixeldatainfo/1.0/" '
        'apdi:AuxiliaryImageType="urn:com:apple:photo:2020:aux:hdrgainmap"/></rdf:RDF></x:xmpmeta>'
    )
    path.write_bytes(two_pictures(jpeg(), jpeg(mark)))
    return path


def iso(path: Path) -> Path:
    """ISO 21496-1 has an APP2 segment of its own, in both pictures."""
    name = b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)
    segment = b"\xff\xe2" + struct.pack(">H", len(name) + 2) + name
    path.write_bytes(two_pictures(jpeg(extra=segment), jpeg(extra=segment)))
    return path


def with_tone_mapped_item(path: Path) -> Path:
    """An AVIF with an item more, which is not there: of it only the kind is looked at."""
    content = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), 120, np.uint8)).save(content, "AVIF")
    data = content.getvalue()
    at = data.index(b"infe") - 4
    entry = struct.pack(">I4sBBHHH4s", 21, b"infe", 2, 0, 0, 9, 0, b"tmap") + b"\0"
    grown = bytearray(data[:at] + entry + data[at:])
    for box in (b"meta", b"iinf"):
        place = grown.index(box) - 4
        (length,) = struct.unpack_from(">I", grown, place)
        struct.pack_into(">I", grown, place, length + len(entry))
    place = grown.index(b"iinf") + 8
    struct.pack_into(">H", grown, place, struct.unpack_from(">H", grown, place)[0] + 1)
    extent = grown.index(b"iloc")
    moved = data.index(b"mdat") + 4
    old, new = struct.pack(">I", moved), struct.pack(">I", moved + len(entry))
    assert grown.count(old, extent, extent + 60) == 1
    path.write_bytes(bytes(grown).replace(old, new, 1))
    return path


@pytest.mark.parametrize("make", [apple, iso])
def test_gain_maps_of_all_kinds_are_found_in_jpegs(tmp_path: Path, make: object) -> None:
    assert callable(make)
    assert read(make(tmp_path / "a.jpg")).notes == (GAIN_MAP_NOTE,)


def test_gain_maps_of_avif_are_found(tmp_path: Path) -> None:
    assert GAIN_MAP_NOTE in read(with_tone_mapped_item(tmp_path / "a.avif")).notes


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


@pytest.mark.parametrize(
    ("urn", "found"),
    [
        (b"urn:com:apple:photo:2020:aux:hdrgainmap\0", True),
        (b"urn:com:apple:photo:2018:aux:semanticskinmatte\0", False),
    ],
)
def test_gain_maps_of_heic_are_found(urn: bytes, found: bool) -> None:
    """The boxes that an iPhone writes, as far as they are looked at."""
    properties = box(b"iprp", box(b"ipco", box(b"ispe", bytes(12)) + box(b"auxC", bytes(4) + urn)))
    content = box(b"ftyp", b"heic") + box(b"meta", bytes(4) + box(b"hdlr", bytes(24)) + properties)
    note = gain_map_note(io.BytesIO(content + box(b"mdat", bytes(9))), "HEIF")
    assert note == (GAIN_MAP_NOTE if found else None)
    for end in range(len(content)):
        gain_map_note(io.BytesIO(content[:end]), "HEIF")  # damaged files are no error


def test_other_pictures_behind_the_first_are_no_gain_map(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(two_pictures(jpeg(), jpeg()))
    assert read(tmp_path / "a.jpg").notes == ()


def test_xmp_that_speaks_of_a_gain_map_that_is_gone_already_is_mended(tmp_path: Path) -> None:
    """As programs leave it behind that save such a photo anew."""
    (tmp_path / "a.jpg").write_bytes(jpeg(ULTRA_HDR))
    photo = read(tmp_path / "a.jpg")
    assert photo.notes == ()
    assert photo.xmp is not None
    assert b"hdrgm" not in photo.xmp


@pytest.mark.parametrize("packet", [ULTRA_HDR, RENAMED])
def test_of_an_xmp_packet_only_the_stale_parts_go(packet: str) -> None:
    left, notes = without_other_pictures(packet.encode())
    assert left is not None
    assert notes == ()
    said = text_of(left)
    for trace in ("hdr-gain-map", "photos/1.0/container", "GainMap"):
        assert trace not in left.decode()
    for kept in ("Über > &", "Rating': '4'") if packet is ULTRA_HDR else ("a > b", "title {} T"):
        assert kept in said
    before = {line for line in packet.replace(">", ">\n").splitlines() if "dc:" in line}
    assert all(line in left.decode().replace(">", ">\n") for line in before if "hdrgm" not in line)


def test_a_motion_photo_loses_its_video_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(MOTION) + b"\0\0\0\x18ftypmp42" + bytes(80))
    photo = read(tmp_path / "a.jpg")
    assert photo.notes == (VIDEO_NOTE,)
    assert photo.xmp is not None
    said = text_of(photo.xmp)
    assert "Motion" not in said
    assert "Micro" not in said
    assert "SpecialTypeID': 'boost'" in said
    assert "source': 'here'" in said


@pytest.mark.parametrize(
    "packet",
    [
        ULTRA_HDR.replace("</rdf:RDF>", ""),
        ULTRA_HDR.replace('hdrgm:Version="1.0"', "hdrgm:Version=1.0"),
        '<!DOCTYPE x [<!ENTITY a "b">]>' + RENAMED.replace("T<", "&a;<"),
    ],
)
def test_a_packet_that_cannot_be_mended_is_left_out_with_a_note(packet: str) -> None:
    assert without_other_pictures(packet.encode()) == (
        None,
        ("the XMP data is damaged and was left out",),
    )


def test_a_packet_without_such_parts_keeps_every_byte_even_if_damaged() -> None:
    packet = b"<x:xmpmeta><not closed"
    assert without_other_pictures(packet) == (packet, ())
