"""What scientific TIFFs say about their pixels is true of the output, or left out with a note."""

import json
import logging
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dcls_cli.cli.app import run
from dcls_cli.image import Encoding, from_array, read, write
from dcls_cli.image.metadata import directories, exif, scientific
from dcls_cli.image.metadata.placement import Placement
from dcls_cli.image.resizing import Resized
from tests.cli.test_upscale import write_weights

SAMPLES = np.random.default_rng(3).integers(0, 4000, (24, 40)).astype(np.uint16)

Log = pytest.LogCaptureFixture


@pytest.fixture(scope="module")
def x2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "x2.safetensors", 2)


def enlarged(path: Path, form: str = "tif", by: tuple[int, int] = (4, 4)) -> tuple[Path, str]:
    """Write a photo larger, and gather all that was said."""
    photo = read(path)
    output = path.with_name(f"out.{form}")
    picture = Resized(photo, photo.width * by[0], photo.height * by[1])
    notes = write(picture, output, overwrite=True)
    return output, "; ".join([*photo.notes, *notes])


def opened(path: Path, caplog: Log) -> tifffile.TiffFile:
    """A TIFF of whose descriptions tifffile does not complain."""
    with caplog.at_level(logging.DEBUG, "tifffile"):
        file = tifffile.TiffFile(path)
        file.asarray()
        assert file.series[0].shape[:2] == file.pages[0].shape[:2]  # type: ignore[union-attr]
    assert caplog.records == []
    return file


GEO = {
    "scale": (33550, (10.0, 10.0, 0.0)),
    "tie": (33922, (3.0, 5.0, 0.0, 500_000.0, 4_649_776.0, 0.0)),
    "transformation": (
        34264,
        (8.0, 6.0, 0.0, 5e5, 6.0, -8.0, 0.0, 4e6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    ),
}


def geotiff(path: Path, *parts: str, raster: int = 1, orientation: int = 1) -> Path:
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, raster, 3072, 0, 1, 32632)
    tags = [(number, 12, len(values), values, True) for number, values in map(GEO.get, parts)]  # type: ignore[misc]
    tags += [(34735, 3, len(keys), keys, True), (42113, 2, 0, "0", True)]
    tags += [(42112, 2, 0, "<GDALMetadata/>", True), (274, 3, 1, orientation, True)]
    tifffile.imwrite(path, SAMPLES, metadata=None, extratags=tags)
    return path


def on_earth(tags: tifffile.TiffTags, column: float, row: float) -> tuple[float, float]:
    """Where the corner or centre of a pixel lies, as GDAL computes it."""
    if 34264 in tags:
        a, b, _, x, c, d, _, y, *_ = tags[34264].value
        return a * column + b * row + x, c * column + d * row + y
    across, down, _ = tags[33550].value
    i, j, _, x, y, _ = tags[33922].value
    return x + (column - i) * across, y - (row - j) * down


@pytest.mark.parametrize("raster", [1, 2])
@pytest.mark.parametrize("parts", [("scale", "tie"), ("transformation",)])
@pytest.mark.parametrize("by", [(4, 4), (2, 3)])
def test_every_place_of_a_geotiff_keeps_its_place_on_earth(
    by: tuple[int, int], parts: tuple[str, ...], raster: int, tmp_path: Path, caplog: Log
) -> None:
    """Whole numbers name corners of pixels (1) or their centres (2)."""
    before = tifffile.TiffFile(geotiff(tmp_path / "in.tif", *parts, raster=raster)).pages[0].tags  # type: ignore[union-attr]
    path, notes = enlarged(tmp_path / "in.tif", by=by)
    after = opened(path, caplog).pages[0].tags  # type: ignore[union-attr]
    shift = 0.5 if raster == 2 else 0.0
    for x, y in ((0, 0), (40, 24), (10.5, 3)):  # from the corner, in pixels of the photo
        there = on_earth(before, x - shift, y - shift)
        here = on_earth(after, x * by[0] - shift, y * by[1] - shift)
        np.testing.assert_allclose(here, there, rtol=0, atol=1e-6)
    assert after[34735].value == before[34735].value
    assert (after[42112].value, after[42113].value) == ("<GDALMetadata/>", "0")
    assert notes == ""


@pytest.mark.parametrize(
    ("form", "orientation", "reason"),
    [
        ("png", 1, "PNG has no place for it"),
        ("jpg", 1, "JPEG has no place for it"),
        ("tif", 6, "the picture was turned"),
    ],
)
def test_a_georeference_that_cannot_be_kept_is_reported(
    form: str, orientation: int, reason: str, tmp_path: Path
) -> None:
    path, notes = enlarged(
        geotiff(tmp_path / "in.tif", "scale", "tie", orientation=orientation), form
    )
    assert f"the georeference was left out: {reason}" in notes
    block = exif.Block(read(path).exif or exif.Block.empty().to_bytes())
    for tag in (33550, 33922, 34264, 34735):
        assert block.entry(0, tag) is None


def test_a_damaged_georeference_is_left_out(tmp_path: Path) -> None:
    for count in (1, 5, 4097):
        tags = [(33922, 12, count, (1.0,) * count, True)]
        tifffile.imwrite(tmp_path / "in.tif", SAMPLES, metadata=None, extratags=tags)
        assert enlarged(tmp_path / "in.tif")[1] == "the georeference was left out: it is damaged"


def test_gdals_missing_level_goes_where_levels_change(tmp_path: Path) -> None:
    photo = read(geotiff(tmp_path / "in.tif", "scale", "tie"))
    notes = write(photo, tmp_path / "b.tif", overwrite=False, encoding=Encoding(bit_depth=8))
    assert notes == ("GDAL's level of missing data was left out, as the levels changed",)


def ome_tiff(path: Path, **options: object) -> Path:
    metadata = {"axes": "YX", "PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm"}
    metadata |= {"PhysicalSizeY": 0.2, "PhysicalSizeYUnit": "µm", "Name": "Größe <&>"}
    tifffile.imwrite(path, SAMPLES, ome=True, metadata=metadata | options)
    return path


def test_ome_xml_has_the_sizes_of_the_output(tmp_path: Path, caplog: Log) -> None:
    path, notes = enlarged(ome_tiff(tmp_path / "in.ome.tif"), by=(4, 2))
    with opened(path, caplog) as file:
        text = file.ome_metadata or ""
        assert file.series[0].kind == "ome"
    before = tifffile.TiffFile(tmp_path / "in.ome.tif").ome_metadata or ""
    for name, value in {
        "SizeX": "160",
        "SizeY": "48",
        "PhysicalSizeX": "0.025",
        "PhysicalSizeY": "0.1",
    }.items():
        before = re.sub(f' {name}="[^"]*"', f' {name}="{value}"', before)
    assert (text, notes) == (before, "")


def test_ome_xml_of_8_bits_says_so(tmp_path: Path, caplog: Log) -> None:
    photo = read(ome_tiff(tmp_path / "in.ome.tif", SignificantBits=12))
    write(photo, tmp_path / "b.tif", overwrite=False, encoding=Encoding(bit_depth=8))
    with opened(tmp_path / "b.tif", caplog) as file:
        assert 'Type="uint8"' in (file.ome_metadata or "")


@pytest.mark.parametrize("kind", ["stack", "size", "regions", "other file", "damaged"])
def test_ome_xml_of_other_pictures_is_left_out(kind: str, tmp_path: Path, caplog: Log) -> None:
    if kind == "stack":
        stack = np.stack([SAMPLES] * 3)
        tifffile.imwrite(tmp_path / "in.tif", stack, ome=True, metadata={"axes": "ZYX"})
    else:
        text = tifffile.TiffFile(ome_tiff(tmp_path / "ome.tif")).ome_metadata or ""
        text = {
            "size": text.replace('SizeX="40"', 'SizeX="400"'),
            "regions": text.replace("</OME>", '<ROI ID="ROI:0"/></OME>'),
            "other file": text.replace(
                "<TiffData",
                '<TiffData FirstC="0"><UUID FileName="b.tif">urn:uuid:1</UUID></TiffData><TiffData',
            ),
            "damaged": text.replace("</Pixels>", ""),
        }[kind]
        data = text.encode()
        tags = [(270, 2, len(data) + 1, data + b"\0", True)]
        tifffile.imwrite(tmp_path / "in.tif", SAMPLES, metadata=None, extratags=tags)
    path, notes = enlarged(tmp_path / "in.tif")
    assert "its OME description was left out" in notes
    assert not opened(path, caplog).is_ome


def test_imagej_measures_the_same(tmp_path: Path, caplog: Log) -> None:
    options = {"imagej": True, "resolution": (10, 20), "metadata": {"unit": "um", "min": 5.0}}
    tifffile.imwrite(tmp_path / "in.tif", SAMPLES, **options)
    path, notes = enlarged(tmp_path / "in.tif", by=(4, 2))
    with opened(path, caplog) as file:
        tags = file.pages[0].tags  # type: ignore[union-attr]
        assert (tags[282].value, tags[283].value, tags[296].value) == ((40, 1), (40, 1), 1)
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["unit"] == "um"
        assert file.imagej_metadata["min"] == 5.0
    assert notes == ""


def test_imagej_in_inches_measures_the_same(tmp_path: Path) -> None:
    options = {"imagej": True, "resolution": (100, 100), "resolutionunit": 2}
    tifffile.imwrite(tmp_path / "in.tif", SAMPLES, **options)
    assert read(enlarged(tmp_path / "in.tif")[0]).dpi == (400, 400)
    assert read(enlarged(tmp_path / "in.tif", "png")[0]).dpi == pytest.approx((100, 100), abs=0.1)


def test_a_stack_of_imagej_becomes_one_picture(tmp_path: Path, caplog: Log) -> None:
    stack = np.stack([SAMPLES] * 3)
    tifffile.imwrite(
        tmp_path / "in.tif",
        stack,
        imagej=True,
        resolution=(10, 10),
        metadata={"unit": "um", "axes": "ZYX", "Labels": ["a", "b", "c"]},
    )
    path, notes = enlarged(tmp_path / "in.tif")
    with opened(path, caplog) as file:
        described = file.imagej_metadata
        assert described is not None
        assert (described["images"], described["unit"]) == (1, "um")
        assert "slices" not in described
    assert "TIFF tags of unknown meaning were left out: 50838, 50839" in notes


@pytest.mark.parametrize("shape", [(24, 40), (24, 40, 3), (1, 24, 40), (24, 40, 1)])
def test_tifffiles_shape_is_that_of_the_output(
    shape: tuple[int, ...], tmp_path: Path, caplog: Log
) -> None:
    samples = np.zeros(shape, np.uint8)
    photometric = "rgb" if shape[-1] == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "in.tif", samples, photometric=photometric, metadata={"note": "ö"})
    path, notes = enlarged(tmp_path / "in.tif")
    with tifffile.TiffFile(path) as file, caplog.at_level(logging.DEBUG, "tifffile"):
        described = json.loads(file.pages[0].description)  # type: ignore[union-attr]
        assert file.asarray().size == 16 * samples.size
    assert described["shape"] == [{24: 96, 40: 160}.get(side, side) for side in shape]
    assert described["note"] == "ö"
    assert (notes, caplog.records) == ("", [])


@pytest.mark.parametrize(
    "text", ['{"shape": [3, 24, 40]}', '{"shape": "x"}', '{"shape": [', '{"shape": [24, 41]}']
)
def test_the_shape_of_something_else_is_left_out(text: str, tmp_path: Path, caplog: Log) -> None:
    tifffile.imwrite(tmp_path / "in.tif", SAMPLES, metadata=None, description=text)
    path, notes = enlarged(tmp_path / "in.tif")
    assert notes.startswith("its tifffile description was left out: ")
    opened(path, caplog)


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    for unit in (1, 2):
        tifffile.imwrite(
            tmp_path / "in.tif", SAMPLES, resolution=(200, 100), resolutionunit=unit, metadata=None
        )
        for form in ("tif", "png", "jpg"):
            photo = read(enlarged(tmp_path / "in.tif", form)[0])
            stated = photo.aspect if unit == 1 else photo.dpi
            assert stated is not None
            assert stated[0] / stated[1] == pytest.approx(2, rel=0.01)


def test_private_tags_of_microscopes_are_named(tmp_path: Path) -> None:
    tags = [(34118, 2, 0, "AP_PIXEL_SIZE", True), (65000, 3, 1, 5, True)]
    tifffile.imwrite(tmp_path / "in.tif", SAMPLES, metadata=None, extratags=tags)
    path, notes = enlarged(tmp_path / "in.tif")
    assert notes == "TIFF tags of unknown meaning were left out: 34118, 65000"
    assert b"AP_PIXEL" not in path.read_bytes()


def test_a_description_in_a_jpeg_of_a_tiff_is_no_ome_xml(tmp_path: Path) -> None:
    path, notes = enlarged(ome_tiff(tmp_path / "in.ome.tif"), "jpg")
    assert "its OME description was left out: it is for TIFF, not for JPEG" in notes
    assert b"OME" not in path.read_bytes()


def test_the_command_scales_what_scientific_tiffs_say(
    tmp_path: Path, x2: Path, caplog: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    geotiff(tmp_path / "geo.tif", "scale", "tie")
    ome_tiff(tmp_path / "m.tif")
    arguments = ["upscale", str(tmp_path / "geo.tif"), str(tmp_path / "m.tif"), "-w", str(x2)]
    assert run([*arguments, "--name", "{stem}_out"]) == 0
    with opened(tmp_path / "geo_out.tif", caplog) as file:
        assert file.pages[0].tags[33550].value == (5, 5, 0)  # type: ignore[union-attr]
    with opened(tmp_path / "m_out.tif", caplog) as file:
        assert 'PhysicalSizeX="0.05"' in (file.ome_metadata or "")
    shallow = ["--bit-depth", "8", "-o", str(tmp_path / "b.tif")]
    assert run(["upscale", str(tmp_path / "geo.tif"), "-w", str(x2), *shallow]) == 0
    assert "GDAL's level of missing data was left out" in capsys.readouterr().err
    stretch = ["--width", "60", "--height", "30", "--stretch", "-o", str(tmp_path / "s.tif")]
    assert run(["upscale", str(tmp_path / "geo.tif"), "-w", str(x2), *stretch]) == 0
    with opened(tmp_path / "s.tif", caplog) as file:
        scale = file.pages[0].tags[33550].value  # type: ignore[union-attr]
        assert scale == pytest.approx((10 * 40 / 60, 10 * 24 / 30, 0))
    assert run(["upscale", str(tmp_path / "geo.tif"), "-w", str(x2), "-f", "png"]) == 0
    assert "the georeference was left out" in capsys.readouterr().err


def test_the_levels_of_imagej_are_dropped_where_they_change() -> None:
    block = exif.Block.empty()
    data = b"ImageJ=1.53\nimages=1\nmin=0\nmax=4000\nunit=um\n\0"
    block.put_entry(0, directories.DESCRIPTION, directories.Entry(2, len(data), data))
    placement = Placement(1, (4, 4), (8, 8))
    output = scientific.Output(
        placement=placement, channels=1, bit_depth=8, same_levels=False, form="TIFF"
    )
    assert scientific.place(block, output) == []
    entry = block.entry(0, directories.DESCRIPTION)
    assert entry is not None
    assert entry.data == b"ImageJ=1.53\nimages=1\nunit=um\n\0"


def test_exif_data_from_elsewhere_are_placed_as_well(tmp_path: Path) -> None:
    """GeoTIFF's tags in the EXIF data of a photo that was made in memory."""
    directory = directories.Directory(">")
    directory.put(33550, directories.DOUBLE, [2.0, 2.0, 0.0])
    photo = replace(from_array(SAMPLES), exif=directories.structure(directory))
    write(Resized(photo, 80, 48), tmp_path / "a.tif", overwrite=False)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].tags[33550].value == (1, 1, 0)  # type: ignore[union-attr]


def test_the_origin_of_imagej_is_a_place_in_the_picture() -> None:
    block = exif.Block.empty()
    data = b"ImageJ=1.53\nimages=1\nunit=um\nxorigin=4.5\nyorigin=-2\n\0"
    block.put_entry(0, directories.DESCRIPTION, directories.Entry(2, len(data), data))
    output = scientific.Output(
        placement=Placement(1, (4, 4), (8, 12)), channels=1, bit_depth=8, form="TIFF"
    )
    assert scientific.place(block, output) == []
    entry = block.entry(0, directories.DESCRIPTION)
    assert entry is not None
    assert entry.data == b"ImageJ=1.53\nimages=1\nunit=um\nxorigin=9\nyorigin=-6\n\0"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('<MetaData><prop id="spatial-calibration-x" value="0.1"/></MetaData>', "XML"),
        ("Aperio Image Library v1\n|AppMag = 20|MPP = 0.5", "Aperio"),
    ],
)
def test_descriptions_of_other_programs_are_left_out(text: str, name: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", SAMPLES, metadata=None, description=text)
    path, notes = enlarged(tmp_path / "in.tif")
    assert notes == (
        f"its {name} description was left out: it may state sizes of the stored picture"
    )
    assert b"MPP" not in path.read_bytes()
