"""XMP: what speaks of pixels and places follows them, the rest keeps its bytes."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from dcls_cli.image import from_array, read, write
from dcls_cli.image.metadata import pixels, xmp
from dcls_cli.image.metadata.placement import Placement
from dcls_cli.image.metadata.xmp import Packet
from dcls_cli.image.photo import Photo
from dcls_cli.image.resizing import Resized

PICTURE = Image.fromarray(np.random.default_rng(1).integers(99, 120, (24, 40, 3), np.uint8))

needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed"
)

SPACES = {
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "ext": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "depth": "http://ns.google.com/photos/1.0/depthmap/",
    "drone": "http://www.dji.com/drone-dji/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
}


def packet(elements: str = "", attributes: str = "") -> bytes:
    spaces = "".join(f' xmlns:{prefix}="{address}"' for prefix, address in SPACES.items())
    return (
        f'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{spaces} {attributes}>{elements}</rdf:Description>'
        f'</rdf:RDF></x:xmpmeta>\n   \n<?xpacket end="w"?>'
    ).encode()


def placed(data: bytes, placement: Placement) -> tuple[bytes, list[str]]:
    parsed = Packet(data)
    notes = pixels.place(parsed, placement)
    return parsed.edited(), notes


def test_what_is_not_edited_keeps_its_bytes() -> None:
    """Spaces, quotes, comments, CDATA, references and prefixes that nobody knows."""
    strange = (
        "<!-- <tiff:ImageWidth>4</tiff:ImageWidth> --><dc:a  x = 'y'\n >&#233;&amp;<![CDATA[<b>]]>"
        "</dc:a><dc:b/><dc:e>\t</dc:e>"
    )
    before = packet(strange + "<tiff:ImageWidth > 40 </tiff:ImageWidth>", "tiff:ImageLength='24'")
    after, notes = placed(before, Placement(1, (40, 24), (80, 72)))
    expected = before.replace(b"<tiff:ImageWidth > 40 </", b"<tiff:ImageWidth >80</")
    assert after == expected.replace(b"tiff:ImageLength='24'", b"tiff:ImageLength='72'")
    assert notes == []
    assert placed(packet(strange), Placement(7, (40, 24), (48, 80)))[0] == packet(strange)


def test_utf_16_becomes_utf_8() -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?>' + packet("<dc:a>ö</dc:a>").decode()
    for encoded in (text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-16-be")):
        assert Packet(encoded).edited() == packet("<dc:a>ö</dc:a>")


def test_latin_1_keeps_its_bytes() -> None:
    """No XMP may be so, and programs write it."""
    before = packet("<dc:a>Müller</dc:a><tiff:ImageWidth>40</tiff:ImageWidth>")
    before = before.decode().encode("latin-1")
    after, _ = placed(before, Placement(1, (40, 24), (80, 48)))
    assert after == before.replace(b">40<", b">80<")


AREA = "stArea:x='{}' stArea:y='{}' stArea:w='{}' stArea:h='{}' stArea:unit='{}'"


def mwg(size: tuple[int, int], area: tuple[float, ...], unit: str = "normalized") -> bytes:
    return packet(
        f"<mwg-rs:Regions rdf:parseType='Resource'><mwg-rs:AppliedToDimensions stDim:w='{size[0]}' "
        f"stDim:h='{size[1]}' stDim:unit='pixel'/><mwg-rs:RegionList><rdf:Bag><rdf:li>"
        f"<rdf:Description mwg-rs:Name='A'><mwg-rs:Area {AREA.format(*area, unit)}/>"
        f"</rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
    )


def test_regions_of_the_turned_picture_are_not_turned_again() -> None:
    """Some programs write them for what they show; their size says so."""
    before = mwg((24, 40), (0.8, 0.25, 0.1, 0.2))
    after, notes = placed(before, Placement(6, (40, 24), (48, 80)))
    assert (after, notes) == (mwg((48, 80), (0.8, 0.25, 0.1, 0.2)), [])


def test_regions_of_another_picture_are_left_out() -> None:
    before = mwg((1000, 1000), (0.8, 0.25, 0.1, 0.2))
    after, notes = placed(before, Placement(1, (40, 24), (48, 80)))
    assert (after, notes) == (
        packet(),
        ["left out of the XMP data: regions of persons and things, which are for another picture"],
    )


def test_regions_in_pixels_are_scaled_along_each_side() -> None:
    before = mwg((40, 24), (10, 6, 8, 12), "pixel")
    after, _ = placed(before, Placement(6, (40, 24), (48, 120)))  # x2, and x3 after turning
    assert after == mwg((48, 120), (36, 30, 24, 24), "pixel")


def test_shapes_of_iptc_are_turned() -> None:
    """A circle, whose radius is a share of the width, and a polygon."""
    shape = (
        "<ext:ImageRegion><rdf:Bag><rdf:li rdf:parseType='Resource'><ext:RegionBoundary>"
        "<rdf:Description ext:rbUnit='relative' ext:rbX='{}' ext:rbY='{}' {}>{}</rdf:Description>"
        "</ext:RegionBoundary></rdf:li></rdf:Bag></ext:ImageRegion>"
    )
    corner = (
        "<ext:rbVertices><rdf:Seq><rdf:li ext:rbX='{}' ext:rbY='{}'/></rdf:Seq></ext:rbVertices>"
    )
    before = packet(shape.format(0.25, 0.5, "ext:rbRx='0.3'", corner.format(0.1, 0.2)))
    after, _ = placed(before, Placement(6, (40, 24), (48, 80)))
    assert after == packet(shape.format(0.5, 0.25, "ext:rbRx='0.5'", corner.format(0.8, 0.1)))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turning_back_gives_what_was(orientation: int) -> None:
    there = Placement(orientation, (40, 24), (40, 24) if orientation < 5 else (24, 40))
    back = Placement({6: 8, 8: 6}.get(orientation, orientation), there.after, (40, 24))
    before = mwg((40, 24), (0.3, 0.25, 0.1, 0.2))
    assert placed(before, there)[0] != before
    assert placed(placed(before, there)[0], back)[0] == before


PANORAMA = (
    "GPano:ProjectionType='equirectangular' GPano:FullPanoWidthPixels='{}' "
    "GPano:FullPanoHeightPixels='{}' GPano:CroppedAreaImageWidthPixels='{}' "
    "GPano:CroppedAreaImageHeightPixels='{}' GPano:CroppedAreaTopPixels='{}'"
)


def test_a_panorama_that_was_resized_before_is_mended() -> None:
    """Its area has the proportions of the picture, but not its size."""
    before = packet(attributes=PANORAMA.format(8000, 4000, 8000, 2000, 1000))
    after, notes = placed(before, Placement(1, (40, 10), (160, 40)))
    assert (after, notes) == (packet(attributes=PANORAMA.format(160, 80, 160, 40, 20)), [])


def test_the_panorama_of_another_picture_is_left_out() -> None:
    before = packet(attributes=PANORAMA.format(8000, 4000, 8000, 3000, 1000))
    after, notes = placed(before, Placement(1, (40, 10), (160, 40)))
    assert b"GPano:P" not in after
    assert b"Pixels" not in after
    assert notes == [
        "left out of the XMP data: the description of a panorama, which is for another picture"
    ]


def test_a_depth_map_does_not_fit_a_turned_picture() -> None:
    before = packet(attributes="depth:Data='abc'")
    assert placed(before, Placement(1, (40, 24), (80, 48)))[0] == before
    after, (note,) = placed(before, Placement(3, (40, 24), (80, 48)))
    assert b"abc" not in after
    assert "depth maps" in note


def test_numbers_that_are_none_stay_or_are_left_out() -> None:
    for text in ("", "nan", "1/0", "9" * 400, "x"):
        area = f"<exif:SubjectArea><rdf:Seq><rdf:li>{text}</rdf:li></rdf:Seq></exif:SubjectArea>"
        size = f"<mwg-rs:Regions><mwg-rs:AppliedToDimensions stDim:w='{text}'/></mwg-rs:Regions>"
        pano = f"GPano:CroppedAreaImageWidthPixels='{text}' exif:FocalPlaneXResolution='{text}'"
        after, notes = placed(packet(area + size, pano), Placement(1, (40, 24), (80, 48)))
        assert len(notes) == 4
        assert b"FocalPlane" not in after
        assert b"Pixels" not in after
        assert b"Regions>" not in after
        assert b"SubjectArea" not in after


EXTENDED = (
    '<y:xmpmeta xmlns:y="adobe:ns:meta/" xmlns:ps="http://ns.adobe.com/photoshop/1.0/"><r:RDF '
    'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="" '
    'ps:Headline="From extended"><ps:History>{}</ps:History></r:Description></r:RDF></y:xmpmeta>'
)


def with_extended(path: Path, extended: bytes, *, damage: str = "") -> Path:
    """A JPEG whose XMP goes on in segments of extended XMP."""
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper().encode()
    main = packet("<dc:title>Main</dc:title>", f"xmpNote:HasExtendedXMP='{guid.decode()}'")
    PICTURE.save(path, xmp=main)
    content = path.read_bytes()
    segments = []
    for at in range(0, len(extended), 60_000):
        part = b"http://ns.adobe.com/xmp/extension/\0" + guid + len(extended).to_bytes(4)
        part += at.to_bytes(4) + extended[at : at + 60_000]
        segments.append(b"\xff\xe1" + (len(part) + 2).to_bytes(2) + part)
    if damage == "missing":
        segments.pop()
    if damage == "changed":
        segments[0] = segments[0][:-1] + b"!"
    path.write_bytes(content[:2] + b"".join(reversed(segments)) + content[2:])
    return path


def said(path: Path) -> dict[str, object]:
    command = ["exiftool", "-j", "-n", "-G1", "-XMP:all", "-warning", "-error", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    return json.loads(done.stdout)[0]


@needs_exiftool
@pytest.mark.parametrize("form", ["jpg", "png", "tif", "webp", "avif"])
@pytest.mark.parametrize("length", [100, 200_000])
def test_extended_xmp_arrives_in_every_format(form: str, length: int, tmp_path: Path) -> None:
    extended = EXTENDED.format("h" * length).encode()
    photo = read(with_extended(tmp_path / "a.jpg", extended))
    assert photo.notes == ()
    assert photo.xmp is not None
    assert b"HasExtendedXMP" not in photo.xmp
    path = tmp_path / f"b.{form}"
    assert write(photo, path, overwrite=False) == ()
    found = said(path)
    assert found["XMP-dc:Title"] == "Main"
    assert found["XMP-photoshop:Headline"] == "From extended"
    assert found["XMP-photoshop:History"] == "h" * length
    assert ("XMP-xmpNote:HasExtendedXMP" in found) == (form == "jpg" and length > 65_000)
    assert not any("Warning" in name or "Error" in name for name in found)
    again = read(path)
    assert again.notes == ()
    assert b"h" * length in (again.xmp or b"")


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_damaged_extended_xmp_is_reported_and_not_pointed_to(damage: str, tmp_path: Path) -> None:
    extended = EXTENDED.format("h" * 100_000).encode()
    photo = read(with_extended(tmp_path / "a.jpg", extended, damage=damage))
    assert photo.notes == (
        "the extended part of the XMP data is damaged or missing and was left out",
    )
    assert b"HasExtendedXMP" not in (photo.xmp or b"")
    assert b"<dc:title>Main</dc:title>" in (photo.xmp or b"")


def test_extended_xmp_that_is_not_well_formed_is_reported(tmp_path: Path) -> None:
    photo = read(with_extended(tmp_path / "a.jpg", b"<a><b></a>"))
    assert len(photo.notes) == 1
    assert b"HasExtendedXMP" not in (photo.xmp or b"")


@needs_exiftool
def test_large_properties_become_extended_xmp_of_a_jpeg(tmp_path: Path) -> None:
    """Attributes as well as elements; the smaller ones stay."""
    large = packet(
        f"<dc:beta>{'b' * 50_000}</dc:beta><dc:gamma>c</dc:gamma>", f"dc:alpha='{'a' * 60_000}'"
    )
    photo = replace(from_array(np.asarray(PICTURE)), xmp=large)
    assert write(photo, tmp_path / "a.jpg", overwrite=False) == ()
    found = said(tmp_path / "a.jpg")
    values = [found[f"XMP-dc:{name}"] for name in ("Alpha", "Beta", "Gamma")]
    assert values == ["a" * 60_000, "b" * 50_000, "c"]
    # Both are moved when one does not do.
    photo = replace(photo, xmp=large.replace(b"c</dc:gamma>", b"c" * 64_000 + b"</dc:gamma>"))
    assert write(photo, tmp_path / "b.jpg", overwrite=False) == ()
    found = said(tmp_path / "b.jpg")
    lengths = [len(str(found[f"XMP-dc:{name}"])) for name in ("Alpha", "Beta", "Gamma")]
    assert lengths == [60_000, 50_000, 64_000]


def test_what_cannot_be_parted_is_left_out_with_a_note(tmp_path: Path) -> None:
    many = packet("".join(f"<dc:n{n}/>" for n in range(3)) + f"<!--{'x' * 70_000}-->")
    photo = replace(from_array(np.asarray(PICTURE)), xmp=many)
    (note,) = write(photo, tmp_path / "a.jpg", overwrite=False)
    assert "bytes of XMP data do not fit into JPEG and were left out" in note
    assert read(tmp_path / "a.jpg").xmp is None


@pytest.mark.parametrize("asked", [1, 3, 6])
@pytest.mark.parametrize("turn", [1, 6])
def test_an_avif_is_turned_by_its_own_properties_only(
    asked: int, turn: int, tmp_path: Path
) -> None:
    """As libheif, libvips and browsers do."""
    stored = Image.Exif()
    stored[274] = turn  # Pillow makes `irot` of it
    options = {"exif": stored.tobytes()} if turn > 1 else {}
    PICTURE.save(
        tmp_path / "a.avif", xmp=packet(attributes=f"tiff:Orientation='{asked}'"), **options
    )
    photo = read(tmp_path / "a.avif")
    assert (photo.width, photo.height) == ((24, 40) if turn == 6 else (40, 24))
    assert b"tiff:Orientation='1'" in (photo.xmp or b"")
    assert bool(photo.notes) == (asked not in (1, turn))


def test_jpeg_and_xmp_agree_on_the_resolution(tmp_path: Path) -> None:
    """The file's own counts, and what is stated per centimetre is converted."""
    stated = "tiff:XResolution='720000/10000' tiff:YResolution='72/1' tiff:ResolutionUnit='3'"
    PICTURE.save(tmp_path / "a.jpg", xmp=packet(attributes=stated), dpi=(300, 300))
    write(read(tmp_path / "a.jpg"), tmp_path / "b.jpg", overwrite=False)
    found = read(tmp_path / "b.jpg")
    assert found.dpi == (300, 300)
    right = "tiff:XResolution='300/1' tiff:YResolution='300/1' tiff:ResolutionUnit='2'"
    assert found.xmp == packet(attributes=right)


def test_sizes_agree_at_every_scale(tmp_path: Path) -> None:
    stated = "tiff:ImageWidth='1' exif:PixelXDimension='40' exif:PixelYDimension='24'"
    PICTURE.save(tmp_path / "a.jpg", xmp=packet(attributes=stated))
    photo: Photo = read(tmp_path / "a.jpg")
    for size in ((61, 37), (40, 24), (13, 48), (160, 96)):
        write(Resized(photo, *size), tmp_path / "b.png", overwrite=True)
        wide, high = size
        right = f"tiff:ImageWidth='{wide}' exif:PixelXDimension='{wide}' "
        assert read(tmp_path / "b.png").xmp == packet(
            attributes=right + f"exif:PixelYDimension='{high}'"
        )


def test_the_largest_properties_of_a_packet_are_bounded() -> None:
    with pytest.raises(xmp.DamagedError, match="too many elements"):
        Packet(packet("<dc:a/>" * 100_001))


def test_the_calibration_of_a_drones_camera_is_scaled() -> None:
    stated = (
        "drone:GpsLatitude='48.5' drone:CalibratedOpticalCenterX='20' "
        "drone:CalibratedOpticalCenterY='11' drone:CalibratedFocalLength='36.5'"
    )
    before = packet(attributes=stated + " drone:DewarpData='2020;1,2,3'")
    after, notes = placed(before, Placement(1, (40, 24), (160, 96)))
    right = stated.replace("'20'", "'80'").replace("'11'", "'44'").replace("'36.5'", "'146'")
    assert after == packet(attributes=right)
    assert notes == [
        "left out of the XMP data: the calibration of a drone's camera, which is in pixels"
    ]


def test_local_settings_of_camera_raw_do_not_fit_a_turned_picture() -> None:
    settings = "<crs:MaskGroupBasedCorrections><rdf:Seq/></crs:MaskGroupBasedCorrections>"
    before = packet(settings, "crs:Exposure2012='1' crs:CropWidth='10' crs:CropHeight='6'")
    after, notes = placed(before, Placement(1, (40, 24), (80, 72)))
    scaled = before.replace(b"CropWidth='10'", b"CropWidth='20'")
    assert (after, notes) == (scaled.replace(b"CropHeight='6'", b"CropHeight='18'"), [])
    after, notes = placed(before, Placement(2, (40, 24), (80, 72)))
    assert after == packet(attributes="crs:Exposure2012='1'")
    assert len(notes) == 1


def test_xmp_says_the_format_of_the_output_and_not_how_samples_were_stored(
    tmp_path: Path,
) -> None:
    stored = "tiff:Compression='5' tiff:PhotometricInterpretation='2'"
    samples = "<tiff:BitsPerSample><rdf:Seq><rdf:li>16</rdf:li></rdf:Seq></tiff:BitsPerSample>"
    kind = "<dc:format>{}</dc:format><dc:rights>me</dc:rights>"
    PICTURE.save(tmp_path / "a.jpg", xmp=packet(samples + kind.format("image/jpeg"), stored))
    write(read(tmp_path / "a.jpg"), tmp_path / "b.tif", overwrite=False)
    right = packet(kind.format("image/tiff"))
    found = read(tmp_path / "b.tif").xmp or b""
    assert re.sub(rb"\s+>", b">", found) == re.sub(rb"\s+>", b">", right)


def test_xmp_of_a_gif_and_of_imagemagicks_texts_is_read(tmp_path: Path) -> None:
    said = packet("<dc:rights>me</dc:rights>")
    PICTURE.save(tmp_path / "a.gif")
    content = (tmp_path / "a.gif").read_bytes()
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    extension = b"!\xff\x0bXMP DataXMP" + said + trailer
    (tmp_path / "a.gif").write_bytes(content[:-1] + extension + content[-1:])
    assert read(tmp_path / "a.gif").xmp == said
    for kind, data in (
        ("xmp", said),
        ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + said),
    ):
        info = PngImagePlugin.PngInfo()
        info.add_text(
            f"Raw profile type {kind}", f"\n{kind}\n{len(data)}\n{data.hex()}\n", zip=True
        )
        PICTURE.save(tmp_path / "a.png", pnginfo=info)
        photo = read(tmp_path / "a.png")
        assert (photo.xmp, photo.exif, photo.texts) == (said, None, ())


def test_content_credentials_are_reported(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    kind = b"jumdc2pa" + bytes.fromhex("00110010800000aa00389b71") + b"\3c2pa\0"
    box = b"JP\0\1\0\0\0\1\0\0\0\x26jumb\0\0\0\x1e" + kind
    segment = b"\xff\xeb" + (len(box) + 2).to_bytes(2) + box
    (tmp_path / "a.jpg").write_bytes(content[:2] + segment + content[2:])
    assert read(tmp_path / "a.jpg").notes == (
        "its content credentials (C2PA) are for the photo and were left out",
    )
    assert read(tmp_path / "a.jpg", kept="minimal").notes == ()
