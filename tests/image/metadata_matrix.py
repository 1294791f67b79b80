"""Every kind of metadata, from every format, at every orientation, into every format.

Inputs are written by exiftool, Pillow and tifffile, outputs are read by exiftool; where a place in
the picture should lie afterwards is found by turning a picture of it with Pillow.
`python -m tests.image.metadata_matrix` prints the table of docs/formats.md.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from dcls_cli.image import read, write
from dcls_cli.image.resizing import Resized

#: Of the stored picture, pixels.
WIDTH, HEIGHT = 40, 24

#: Pixels of the output for each of the upright photo.
ACROSS, DOWN = 3, 2

ORIENTATIONS = tuple(range(1, 9))

OUTPUTS = {"png": "PNG", "tif": "TIFF", "jpg": "JPEG", "webp": "WebP", "avif": "AVIF"}

Found = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """An output of the matrix."""

    source: str
    orientation: int
    output: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the output."""
        width, height = (WIDTH, HEIGHT) if self.orientation < 5 else (HEIGHT, WIDTH)
        return width * ACROSS, height * DOWN

    def box(self, left: int, top: int, right: int, bottom: int) -> tuple[int, int, int, int]:
        """Where a box of the stored picture lies in the output: left, top, width, height."""
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[top:bottom, left:right] = 255
        stored = Image.fromarray(mask)
        exif = Image.Exif()
        exif[274] = self.orientation
        stored.info["exif"] = exif.tobytes()
        upright = np.asarray(ImageOps.exif_transpose(stored)).repeat(ACROSS, 1).repeat(DOWN, 0)
        rows, columns = np.nonzero(upright.any(1))[0], np.nonzero(upright.any(0))[0]
        width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
        return int(columns[0]), int(rows[0]), int(width), int(height)

    @property
    def swapped(self) -> bool:
        """Whether rows have become columns."""
        return self.orientation >= 5

    def axes(self, across: float, down: float) -> tuple[float, float]:
        """Something that belongs to the axes, after turning."""
        return (down, across) if self.swapped else (across, down)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of metadata.

    Attributes:
        name: for the table.
        stored: what the input says.
        expected: what the output should say; None where it should be left out with a note.
        find: what the output says, from exiftool's tags and the bytes of the file; None if nothing.
        note: a part of the note where it is left out.
        sources: formats of inputs that have it.
    """

    name: str
    stored: Any
    find: Callable[[Found, bytes], Any]
    expected: Callable[[Case], Any] | None = None
    note: str = "\0"
    sources: tuple[str, ...] = ("jpg", "png", "tif", "webp", "avif", "heic")

    def state(self, case: Case, found: Found, content: bytes, notes: tuple[str, ...]) -> str:
        """`kept`, `adapted`, `noted`, or what is wrong."""
        right = self.stored if self.expected is None else self.expected(case)
        says = self.find(found, content)
        if says is None and any(self.note in note for note in notes):
            return "noted"
        if says is None or says != right:
            return f"lost: {case} has {says}, not {right}; {notes}"
        return "kept" if says == self.stored else "adapted"


def rounded(value: object) -> tuple[float, ...]:
    """Numbers, of a text or a list, to four decimals; lists in a list stay such."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    parts = value if isinstance(value, list | tuple) else [value]
    return tuple(_rounded_part(part) for part in parts)


def _rounded_part(part: object) -> object:
    if isinstance(part, str) and not part.replace(".", "").isdigit() or isinstance(part, list):
        return rounded(part)
    return None if part is None else round(float(part), 4)


def tag(*names: str) -> Callable[[Found, bytes], Any]:
    """Tags as they are; None if all are missing."""

    def find(found: Found, _: bytes) -> object:
        values = tuple(found.get(name) for name in names)
        return None if all(value is None for value in values) else values

    return find


def numbers(*names: str) -> Callable[[Found, bytes], Any]:
    """Numbers of tags; None if all are missing."""

    def find(found: Found, content: bytes) -> object:
        values = tag(*names)(found, content)
        return None if values is None else rounded(list(values))

    return find


BOX = (6, 0, 14, 12)


def centre(case: Case) -> tuple[float, ...]:
    """The region as MWG has it."""
    left, top, width, height = case.box(*BOX)
    wide, high = case.size
    values = [(left + width / 2) / wide, (top + height / 2) / high, width / wide, height / high]
    return tuple(rounded([*values, wide, high]))


def corner(case: Case) -> tuple[float, ...]:
    """The region by its corner."""
    left, top, width, height = case.box(*BOX)
    wide, high = case.size
    return tuple(rounded([left / wide, top / high, width / wide, height / high]))


def subject(case: Case) -> tuple[Any, ...]:
    """SubjectArea of a rectangle, twice, and SubjectLocation."""
    left, top, width, height = case.box(7, 6, 13, 10)
    area = tuple(map(float, (left + width // 2, top + height // 2, width, height)))
    return area, area, area[:2]


def mwg(found: Found, _: bytes) -> object:
    """Area and size of the first region."""
    info = found.get("XMP-mwg-rs:RegionInfo")
    if info is None:
        return None
    area, size = info["RegionList"][0]["Area"], info["AppliedToDimensions"]
    return rounded([area["X"], area["Y"], area["W"], area["H"], size["W"], size["H"]])


def people(found: Found, _: bytes) -> object:
    """Microsoft's rectangle."""
    info = found.get("XMP-MP:RegionInfoMP")
    return None if info is None else rounded(info["Regions"][0]["Rectangle"])


def iptc_region(found: Found, _: bytes) -> object:
    """IPTC's rectangle."""
    info = found.get("XMP-iptcExt:ImageRegion")
    if info is None:
        return None
    boundary = info[0]["RegionBoundary"]
    return rounded([boundary[f"Rb{name}"] for name in "XYWH"])


def resolution(found: Found, content: bytes) -> object:
    """The resolution, if all that state one agree."""
    sides = []
    for axis in "XY":
        stated = {found.get(f"{group}:{axis}Resolution") for group in ("IFD0", "XMP-tiff", "JFIF")}
        if "PNG-pHYs:PixelsPerUnitX" in found:
            stated.add(round(found[f"PNG-pHYs:PixelsPerUnit{axis}"] * 0.0254))
        stated = {round(value) for value in stated - {None}}
        sides.append(stated.pop() if len(stated) == 1 else stated)
    units = {found.get(f"{group}:ResolutionUnit") for group in ("IFD0", "XMP-tiff")} - {None}
    return tuple(sides) if units == {2} else (sides, units)


def aspect(found: Found, _: bytes) -> object:
    """The ratio of pixels without a unit."""
    for across, down, unit, none in (
        ("JFIF:XResolution", "JFIF:YResolution", "JFIF:ResolutionUnit", 0),
        ("PNG-pHYs:PixelsPerUnitX", "PNG-pHYs:PixelsPerUnitY", "PNG-pHYs:PixelUnits", 0),
        ("IFD0:XResolution", "IFD0:YResolution", "IFD0:ResolutionUnit", 1),
    ):
        if found.get(unit) == none and across in found:
            ratio = found[across] / found[down]
            return None if ratio == 1 else ratio
    return None


def in_content(part: bytes) -> Callable[[Found, bytes], Any]:
    """Whether a file contains some bytes."""
    return lambda _found, content: True if part in content else None


def ome(found: Found, _: bytes) -> object:
    """Sizes of OME-XML."""
    text = found.get("IFD0:ImageDescription", "")
    if "OME" not in text:
        return None
    names = ("SizeX", "SizeY", "PhysicalSizeX", "PhysicalSizeY")
    return rounded([float(text.split(f' {name}="')[1].split('"')[0]) for name in names])


def shaped(found: Found, _: bytes) -> object:
    """The shape of tifffile's note."""
    text = found.get("IFD0:ImageDescription", "")
    return tuple(json.loads(text)["shape"]) if text.startswith('{"shape"') else None


def imagej(found: Found, _: bytes) -> object:
    """ImageJ's unit and pixels to it."""
    text = found.get("IFD0:ImageDescription", "")
    if not text.startswith("ImageJ="):
        return None
    return "unit=um" in text, found.get("IFD0:XResolution"), found.get("IFD0:YResolution")


def georeference(found: Found, _: bytes) -> object:
    """Size of a pixel, the tie and a key."""
    if "IFD0:PixelScale" not in found:
        return None
    values = rounded(found["IFD0:PixelScale"]), rounded(found["IFD0:ModelTiePoint"])
    return (*values, found["GeoTiff:ProjectedCSType"])


def upright_only(value: Callable[[Case], Any]) -> Callable[[Case], Any]:
    """What turned pictures do not have."""
    return lambda case: value(case) if case.orientation == 1 else None


ALL = Kind.sources
DESCRIBED = ("geo.tif", "ome.tif", "ij.tif", "shaped.tif")
LATIN = "Müller".encode("latin-1")

KINDS = (
    Kind(
        name="EXIF text in UTF-8, sub-directories as well",
        stored=("Größe 5 µm", "Jörg", "© Jörg", "Zoömlens é", "Jörg 日本"),
        find=tag(
            "IFD0:ImageDescription",
            "IFD0:Artist",
            "IFD0:Copyright",
            "ExifIFD:LensModel",
            "ExifIFD:OwnerName",
        ),
    ),
    Kind(name="EXIF text in Latin-1", stored=True, find=in_content(LATIN + b"\0")),
    Kind(
        name="UserComment, Windows' title (XPTitle)",
        stored=("Größe 日本", "Größe 日本"),
        find=tag("ExifIFD:UserComment", "IFD0:XPTitle"),
    ),
    Kind(
        name="camera and exposure, position (GPS)",
        stored=("Canon", 5.6, 48.5),
        find=tag("IFD0:Make", "ExifIFD:FNumber", "GPS:GPSLatitude"),
    ),
    Kind(
        name="size in EXIF and XMP",
        stored=(40.0, 24.0) * 3,
        expected=lambda case: tuple(map(float, case.size)) * 3,
        find=numbers(
            "ExifIFD:ExifImageWidth",
            "ExifIFD:ExifImageHeight",
            "XMP-tiff:ImageWidth",
            "XMP-tiff:ImageHeight",
            "XMP-exif:ExifImageWidth",
            "XMP-exif:ExifImageHeight",
        ),
    ),
    Kind(
        name="resolution (dpi) in EXIF, XMP, JFIF, pHYs",
        stored=(300, 150),
        expected=lambda case: case.axes(300, 150),
        find=resolution,
    ),
    Kind(
        name="pixel aspect ratio",
        stored=2.0,
        expected=lambda case: case.axes(2, 0.5)[0],
        find=aspect,
        note="cannot state that pixels are not square",
        sources=("aspect.jpg", "aspect.png", "aspect.tif"),
    ),
    Kind(
        name="SubjectArea, SubjectLocation in EXIF and XMP",
        stored=((10.0, 8.0, 6.0, 4.0), (10.0, 8.0, 6.0, 4.0), (10.0, 8.0)),
        expected=subject,
        find=numbers("ExifIFD:SubjectArea", "XMP-exif:SubjectArea", "ExifIFD:SubjectLocation"),
    ),
    Kind(
        name="resolution of the sensor in EXIF and XMP",
        stored=(1000.0, 500.0, 1000.0, 500.0),
        expected=lambda case: (
            2 * (float(case.axes(1000, 500)[0] * ACROSS), float(case.axes(1000, 500)[1] * DOWN))
        ),
        find=numbers(
            "ExifIFD:FocalPlaneXResolution",
            "ExifIFD:FocalPlaneYResolution",
            "XMP-exif:FocalPlaneXResolution",
            "XMP-exif:FocalPlaneYResolution",
        ),
    ),
    Kind(
        name="XMP text: titles, ratings",
        stored=("Größe 日本", 5),
        find=tag("XMP-dc:Title", "XMP-xmp:Rating"),
    ),
    Kind(
        name="panoramas (GPano)",
        stored=(80.0, 24.0, 40.0, 24.0, 10.0),
        expected=upright_only(lambda _: (240.0, 48.0, 120.0, 48.0, 30.0)),
        find=numbers(
            "XMP-GPano:FullPanoWidthPixels",
            "XMP-GPano:FullPanoHeightPixels",
            "XMP-GPano:CroppedAreaImageWidthPixels",
            "XMP-GPano:CroppedAreaImageHeightPixels",
            "XMP-GPano:CroppedAreaLeftPixels",
        ),
        note="the description of a panorama, as the picture was turned",
    ),
    Kind(
        name="regions of MWG",
        stored=(0.25, 0.25, 0.2, 0.5, 40.0, 24.0),
        expected=centre,
        find=mwg,
    ),
    Kind(name="regions of Microsoft", stored=(0.15, 0.0, 0.2, 0.5), expected=corner, find=people),
    Kind(name="regions of IPTC", stored=(0.15, 0.0, 0.2, 0.5), expected=corner, find=iptc_region),
    Kind(
        name="Camera Raw's crop",
        stored=(0.1, 0.9),
        expected=upright_only(lambda _: (0.1, 0.9)),
        find=numbers("XMP-crs:CropTop", "XMP-crs:CropBottom"),
        note="Camera Raw's crop and local settings, as the picture was turned",
    ),
    Kind(
        name="extended XMP",
        stored=("From extended",),
        find=tag("XMP-photoshop:Headline"),
        sources=("jpg",),
    ),
    Kind(
        name="IPTC",
        stored=("Jörg",),
        find=tag("IPTC:By-line"),
        note="cannot hold IPTC data",
        sources=("jpg", "png", "tif"),
    ),
    Kind(
        name="colour profile",
        stored=True,
        find=lambda found, _: True if "ICC_Profile:ProfileDescription" in found else None,
    ),
    Kind(
        name="text of PNG",
        stored=("a cat, Steps: 20", "Katze ö"),
        find=tag("PNG:Parameters", "PNG:Title"),
        note="cannot hold text of a PNG",
        sources=("png",),
    ),
    Kind(
        name="comment of JPEG and GIF",
        stored=("Grüße",),
        find=tag("File:Comment"),
        note="cannot hold a comment",
        sources=("jpg", "gif"),
    ),
    Kind(
        name="georeference (GeoTIFF)",
        stored=((10.0, 10.0, 0.0), (1.0, 2.0, 0.0, 5e5, 4e6, 0.0), 32632),
        expected=upright_only(
            lambda _: ((3.3333, 5.0, 0.0), (3.0, 4.0, 0.0, 5e5, 4e6, 0.0), 32632)
        ),
        find=georeference,
        note="the georeference was left out",
        sources=("geo.tif",),
    ),
    Kind(
        name="GDAL's tags",
        stored=(-9999, "<GDALMetadata>a</GDALMetadata>"),
        find=tag("IFD0:GDALNoData", "IFD0:GDALMetadata"),
        note="GDAL's tags were left out",
        sources=("geo.tif",),
    ),
    Kind(
        name="tags of TIFF of unknown meaning",
        stored=True,
        find=in_content(b"private data"),
        note="TIFF tags of unknown meaning were left out: 65001",
        sources=("geo.tif",),
    ),
    Kind(
        name="OME-XML",
        stored=(40.0, 24.0, 0.3, 0.2),
        expected=upright_only(lambda case: (*map(float, case.size), 0.1, 0.1)),
        find=ome,
        note="its OME description was left out",
        sources=("ome.tif",),
    ),
    Kind(
        name="ImageJ's description and scale",
        stored=(True, 10, 20),
        expected=lambda case: (
            True,
            case.axes(10, 20)[0] * ACROSS,
            case.axes(10, 20)[1] * DOWN,
        ),
        find=imagej,
        note="its ImageJ description was left out",
        sources=("ij.tif",),
    ),
    Kind(
        name="tifffile's description",
        stored=(24, 40),
        expected=upright_only(lambda case: case.size[::-1]),
        find=shaped,
        note="its tifffile description was left out",
        sources=("shaped.tif",),
    ),
)

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
  xmlns:t="http://ns.adobe.com/tiff/1.0/" t:ImageWidth="40" t:ImageLength='24'
  t:Orientation="{orientation}" t:XResolution="300/1" t:YResolution="150/1" t:ResolutionUnit="2"
  xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:PixelXDimension="40"
  exif:FocalPlaneXResolution="1000/1"
  xmlns:p="http://ns.google.com/photos/1.0/panorama/" p:ProjectionType="equirectangular"
  p:FullPanoWidthPixels="80" p:FullPanoHeightPixels="24" p:CroppedAreaImageWidthPixels="40"
  p:CroppedAreaImageHeightPixels="24" p:CroppedAreaLeftPixels="10"
  xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:CropTop="0.1" crs:CropBottom="0.9"
  xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"{pointer}>
 <exif:PixelYDimension>24</exif:PixelYDimension>
 <exif:FocalPlaneYResolution>500/1</exif:FocalPlaneYResolution>
 <exif:SubjectArea><rdf:Seq><rdf:li>10</rdf:li><rdf:li>8</rdf:li><rdf:li>6</rdf:li>
  <rdf:li>4</rdf:li></rdf:Seq></exif:SubjectArea>
 <dc:title xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Alt>
  <rdf:li xml:lang="x-default">Größe 日本</rdf:li></rdf:Alt></dc:title>
 <r:Regions xmlns:r="http://www.metadataworkinggroup.com/schemas/regions/"
   xmlns:d="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
   xmlns:a="http://ns.adobe.com/xmp/sType/Area#" rdf:parseType="Resource">
  <r:AppliedToDimensions d:w="40" d:h="24" d:unit="pixel"/>
  <r:RegionList><rdf:Bag><rdf:li><rdf:Description r:Name="Ada" r:Type="Face">
   <r:Area a:x="0.25" a:y="0.25" a:w="0.2" a:h="0.5" a:unit="normalized"/>
  </rdf:Description></rdf:li></rdf:Bag></r:RegionList></r:Regions>
 <MP:RegionInfo xmlns:MP="http://ns.microsoft.com/photo/1.2/"
   xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
   xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#" rdf:parseType="Resource">
  <MPRI:Regions><rdf:Bag><rdf:li MPReg:Rectangle="0.15, 0, 0.2, 0.5"
   MPReg:PersonDisplayName="Ada"/></rdf:Bag></MPRI:Regions></MP:RegionInfo>
 <i:ImageRegion xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"><rdf:Bag>
  <rdf:li rdf:parseType="Resource"><i:RegionBoundary rdf:parseType="Resource">
   <i:rbShape>rectangle</i:rbShape><i:rbUnit>relative</i:rbUnit><i:rbX>0.15</i:rbX>
   <i:rbY>0</i:rbY><i:rbW>0.2</i:rbW><i:rbH>0.5</i:rbH></i:RegionBoundary>
  </rdf:li></rdf:Bag></i:ImageRegion>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""

GUID_AND_PART = "C6FC91789B4D6C2BC34603812069C145"

EXIF = [
    "-IFD0:ImageDescription=Größe 5 µm",
    "-IFD0:Artist=Jörg",
    "-IFD0:Copyright=© Jörg",
    "-ExifIFD:LensModel=Zoömlens é",
    "-ExifIFD:OwnerName=Jörg 日本",
    "-ExifIFD:UserComment=Größe 日本",
    "-IFD0:XPTitle=Größe 日本",
    "-IFD0:Make=Canon",
    "-ExifIFD:FNumber=5.6",
    "-GPS:GPSLatitude=48.5",
    "-GPS:GPSLatitudeRef=N",
    "-ExifIFD:ExifImageWidth=40",
    "-ExifIFD:ExifImageHeight=24",
    "-IFD0:XResolution=300",
    "-IFD0:YResolution=150",
    "-IFD0:ResolutionUnit=2",
    "-ExifIFD:SubjectArea=10 8 6 4",
    "-ExifIFD:SubjectLocation=10 8",
    "-ExifIFD:FocalPlaneXResolution=1000",
    "-ExifIFD:FocalPlaneYResolution=500",
]


@dataclass
class Result:
    """The matrix.

    Attributes:
        states: of each kind and output.
        notes: by output.
    """

    states: dict[tuple[str, Case], str] = field(default_factory=dict)
    notes: dict[Case, tuple[str, ...]] = field(default_factory=dict)

    @property
    def lost(self) -> list[str]:
        """Cells that are wrong."""
        return [f"{name}: {state}" for (name, _), state in self.states.items() if "lost" in state]

    def counted(self) -> dict[str, int]:
        """Cells by state."""
        counts: dict[str, int] = {}
        for state in self.states.values():
            key = state.partition(":")[0]
            counts[key] = counts.get(key, 0) + 1
        return counts

    def table(self) -> str:
        """The states of each kind and format, in Markdown."""
        lines = [f"| | {' | '.join(OUTPUTS.values())} |", "| --- " * (len(OUTPUTS) + 1) + "|"]
        for kind in KINDS:
            cells = [self._cell(kind.name, output) for output in OUTPUTS]
            lines.append(f"| {kind.name} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def _cell(self, name: str, output: str) -> str:
        upright, turned = (
            {
                state.partition(":")[0]
                for (kind, case), state in self.states.items()
                if (kind, case.output) == (name, output) and (case.orientation == 1) == is_upright
            }
            for is_upright in (True, False)
        )
        first = " or ".join(sorted(upright))
        if "noted" in upright or not turned - upright:
            return first
        return f"{first}, noted if turned" if turned == {"noted"} else "adapted"


def made(folder: Path) -> Result:
    """Make all inputs and outputs in a folder, and look at them."""
    inputs = _inputs(folder)
    result, paths = Result(), {}
    for (source, orientation), path in inputs.items():
        photo = read(path)
        larger = Resized(photo, photo.width * ACROSS, photo.height * DOWN)
        for output in OUTPUTS:
            case = Case(source, orientation, output)
            paths[case] = folder / f"{path.name}.{output}"
            result.notes[case] = (*photo.notes, *write(larger, paths[case], overwrite=False))
    said = _exiftool(folder, "-j", "-n", "-G1", "-struct", *map(str, paths.values()))
    for case, found in zip(paths, json.loads(said), strict=True):
        content = paths[case].read_bytes()
        for kind in KINDS:
            if case.source in kind.sources:
                state = kind.state(case, found, content, result.notes[case])
                result.states[kind.name, case] = state
    return result


def _exiftool(folder: Path, *arguments: str) -> str:
    (folder / "arguments").write_text("\n".join(arguments), "utf-8")
    command = ["exiftool", "-charset", "exif=utf8", "-charset", "iptc=utf8"]
    command += ["-@", str(folder / "arguments")]
    done = subprocess.run(command, capture_output=True, check=False)
    if b"Error" in done.stderr:
        raise RuntimeError(done.stderr.decode())
    return done.stdout.decode()


def _inputs(folder: Path) -> dict[tuple[str, int], Path]:
    """Photos with all kinds of metadata, by format and orientation."""
    rng = np.random.default_rng(3)
    colours = Image.fromarray(rng.integers(100, 130, (HEIGHT, WIDTH, 3), np.uint8))
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    paths: dict[tuple[str, int], Path] = {}
    commands: list[str] = []
    for orientation in ORIENTATIONS:
        exif = Image.Exif()
        exif[274] = orientation
        exif[305] = LATIN
        for source in ALL:
            path = paths[source, orientation] = folder / f"{orientation}.{source}"
            _save(colours, path, exif, icc)
            commands += _tagging(folder, path, orientation)
        if orientation in (1, 3, 6):
            for suffix in ("jpg", "png", "tif"):
                path = folder / f"{orientation}.aspect.{suffix}"
                paths[f"aspect.{suffix}", orientation] = path
                _save_with_aspect(colours, path, orientation)
                commands += ["-q", "-overwrite_original", "-n"]
                commands += [f"-IFD0:Orientation={orientation}", str(path), "-execute"]
            for source in DESCRIBED:
                path = paths[source, orientation] = folder / f"{orientation}.{source}"
                _save_described(path, source, orientation)
    path = paths["gif", 1] = folder / "1.gif"
    colours.save(path, comment="Grüße".encode())
    _exiftool(folder, *commands)
    for (source, _), path in paths.items():
        if source == "jpg":
            _add_extended(path)
        if source in ("tif", "avif"):  # Pillow has written a question mark
            path.write_bytes(path.read_bytes().replace(b"M?ller\0", LATIN + b"\0"))
    return paths


def _save(colours: Image.Image, path: Path, exif: Image.Exif, icc: bytes) -> None:
    if path.suffix == ".heic":
        import pillow_heif

        pillow_heif.from_pillow(colours).save(
            path, exif=exif.tobytes(), icc_profile=icc, quality=90
        )
        return
    options: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": icc}
    if path.suffix == ".png":
        options["pnginfo"] = info = PngImagePlugin.PngInfo()
        info.add_text("parameters", "a cat, Steps: 20")
        info.add_itxt("Title", "Katze ö", zip=True)
    if path.suffix == ".jpg":
        options |= {"comment": "Grüße".encode(), "dpi": (300, 300)}
    colours.save(path, **options)


def _tagging(folder: Path, path: Path, orientation: int) -> list[str]:
    """Exiftool's arguments that write EXIF, XMP and IPTC."""
    pointer = ""
    if path.suffix == ".jpg":
        pointer = (
            f' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{_guid()}"'
        )
    packet = folder / f"{path.name}.xmp"
    packet.write_text(PACKET.format(orientation=orientation, pointer=pointer), "utf-8")
    arguments = ["-q", "-overwrite_original", "-n", *EXIF, f"-xmp<={packet}"]
    if path.suffix in (".jpg", ".png", ".tif"):
        arguments += ["-IPTC:CodedCharacterSet=UTF8", "-IPTC:By-line=Jörg"]
    if path.suffix == ".jpg":
        arguments += ["-JFIF:XResolution=300", "-JFIF:YResolution=150", "-JFIF:ResolutionUnit=1"]
    if path.suffix == ".png":
        arguments += ["-PNG-pHYs:PixelsPerUnitX=11811", "-PNG-pHYs:PixelsPerUnitY=5906"]
        arguments += ["-PNG-pHYs:PixelUnits=1"]
    return [*arguments, str(path), "-execute"]


EXTENDED = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'rdf:about="" photoshop:Headline="From extended"/></rdf:RDF></x:xmpmeta>'
)


def _guid() -> str:
    import hashlib

    return hashlib.md5(EXTENDED, usedforsecurity=False).hexdigest().upper()


def _add_extended(path: Path) -> None:
    """Put the extended part of XMP in two segments, the second part first."""
    content = path.read_bytes()
    segments = b""
    for start, end in ((100, len(EXTENDED)), (0, 100)):
        part = b"http://ns.adobe.com/xmp/extension/\0" + _guid().encode()
        part += len(EXTENDED).to_bytes(4) + start.to_bytes(4) + EXTENDED[start:end]
        segments += b"\xff\xe1" + (len(part) + 2).to_bytes(2) + part
    path.write_bytes(content[:2] + segments + content[2:])


def _save_with_aspect(colours: Image.Image, path: Path, orientation: int) -> None:
    """A photo whose pixels are twice as high as wide."""
    if path.suffix == ".tif":
        tifffile.imwrite(
            path,
            np.asarray(colours),
            photometric="rgb",
            resolution=(2, 1),
            resolutionunit=1,
            metadata=None,
            extratags=[(274, 3, 1, orientation, True)],
        )
        return
    colours.save(path, dpi=(100, 100))
    content = bytearray(path.read_bytes())
    if path.suffix == ".jpg":
        content[13:18] = b"\0\0\2\0\1"
    else:
        import zlib

        at = content.index(b"pHYs")
        content[at + 4 : at + 13] = (2).to_bytes(4) + (1).to_bytes(4) + b"\0"
        content[at + 13 : at + 17] = zlib.crc32(content[at : at + 13]).to_bytes(4)
    path.write_bytes(content)


def _save_described(path: Path, source: str, orientation: int) -> None:
    """A scientific TIFF."""
    samples = np.random.default_rng(4).integers(0, 2000, (HEIGHT, WIDTH)).astype(np.uint16)
    turned = [(274, 3, 1, orientation, True)]
    match source:
        case "ome.tif":
            metadata = {"axes": "YX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.2}
            metadata |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
            tifffile.imwrite(path, samples, ome=True, metadata=metadata, extratags=turned)
        case "ij.tif":
            tifffile.imwrite(
                path,
                samples,
                imagej=True,
                resolution=(10, 20),
                metadata={"unit": "um"},
                extratags=turned,
            )
        case "shaped.tif":
            tifffile.imwrite(path, samples, extratags=turned)
        case _:
            keys = (1, 1, 0, 4, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632, 3076, 0, 1, 9001)
            more = [
                (33550, 12, 3, (10.0, 10.0, 0.0), True),
                (33922, 12, 6, (1.0, 2.0, 0.0, 5e5, 4e6, 0.0), True),
                (34735, 3, len(keys), keys, True),
                (42112, 2, 0, "<GDALMetadata>a</GDALMetadata>", True),
                (42113, 2, 0, "-9999", True),
                (65001, 2, 0, "private data", True),
            ]
            tifffile.imwrite(path, samples, metadata=None, extratags=[*turned, *more])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        matrix = made(Path(place))
    sys.stdout.write(matrix.table() + "\n")
    sys.stderr.write("\n".join([str(matrix.counted()), *matrix.lost, ""]))
