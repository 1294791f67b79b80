"""Metadata goes from photos to outputs as exiftool sees it, and describes the output."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.image import Encoding, read, write
from dcls_cli.image.metadata import directories, exif
from dcls_cli.image.metadata.placement import Placement
from tests.cli.test_upscale import write_weights

needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed"
)

PICTURE = np.repeat(np.arange(240, dtype=np.uint8).reshape(12, 20)[..., None], 3, axis=2)

FORMS = ["jpg", "png", "tif", "webp"]


def exiftool(*arguments: str | Path) -> str:
    done = subprocess.run(["exiftool", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def tags(*paths: Path) -> list[dict[str, object]]:
    """All tags of each file, by exiftool; one process, as it takes long to start."""
    return json.loads(exiftool("-j", "-G1", "-n", *paths))


def tagged(path: Path, *arguments: str) -> Path:
    """A picture into which exiftool has written."""
    Image.fromarray(PICTURE).save(path)
    exiftool("-q", "-overwrite_original", "-n", *arguments, path)
    return path


@needs_exiftool
@pytest.mark.parametrize("form", FORMS)
def test_what_exiftool_has_written_arrives(tmp_path: Path, form: str) -> None:
    source = tagged(
        tmp_path / f"in.{form}",
        "-EXIF:Artist=Ansel",
        "-EXIF:Copyright=(c) Ansel",
        "-EXIF:FNumber=5.6",
        "-EXIF:GPSLatitude=48.5",
        "-EXIF:GPSLatitudeRef=N",
        "-XMP-dc:Title=Half Dome",
        "-XMP-xmp:Rating=5",
        *(["-IPTC:Keywords=rock", "-IPTC:By-line=Ansel"] if form != "webp" else []),
    )
    outputs = [tmp_path / f"out.{output}" for output in FORMS]
    notes = [write(read(source), output, overwrite=False) for output in outputs]
    for output, said, found in zip(outputs, notes, tags(*outputs), strict=True):
        assert found["IFD0:Artist"] == "Ansel"
        assert found["IFD0:Copyright"] == "(c) Ansel"
        assert found["ExifIFD:FNumber"] == 5.6
        assert found["GPS:GPSLatitude"] == 48.5
        assert found["XMP-dc:Title"] == "Half Dome"
        assert found["XMP-xmp:Rating"] == 5
        if form != "webp" and output.suffix != ".webp":
            assert found["IPTC:Keywords"] == "rock"
            assert found["IPTC:By-line"] == "Ansel"
        assert bool(said) == (form != "webp" and output.suffix == ".webp")
        assert "ExifTool:Warning" not in found


@needs_exiftool
@pytest.mark.parametrize("form", FORMS)
def test_an_orientation_of_exif_and_xmp_is_applied_once_and_reset(
    tmp_path: Path, form: str
) -> None:
    upright = np.zeros((12, 20, 3), np.uint8)
    upright[:6, :10] = 250  # bright where it is up and left
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }
    lossless = {"lossless": True} if form == "webp" else {}
    commands: list[str | Path] = []
    for orientation, samples in stored.items():
        path = tmp_path / f"in{orientation}.{form}"
        Image.fromarray(np.ascontiguousarray(samples)).save(path, quality=100, **lossless)
        commands += ["-q", "-overwrite_original", "-n", f"-EXIF:Orientation={orientation}"]
        commands += [f"-XMP-tiff:Orientation={orientation}", path, "-execute"]
    exiftool(*commands)
    outputs = []
    for orientation in stored:
        photo = read(tmp_path / f"in{orientation}.{form}")
        assert photo.samples.shape == upright.shape
        assert np.abs(photo.samples.astype(int) - upright).max() < 40
        outputs.append(tmp_path / f"out{orientation}.{form}")
        write(photo, outputs[-1], overwrite=False)
    for found in tags(*outputs):
        assert found.get("IFD0:Orientation", 1) == 1
        assert found["XMP-tiff:Orientation"] == 1


@needs_exiftool
@pytest.mark.parametrize("form", ["jpg", "png", "webp"])
def test_the_stated_size_is_that_of_the_output(tmp_path: Path, form: str) -> None:
    source = tagged(tmp_path / f"in.{form}", "-EXIF:ExifImageWidth=20", "-EXIF:ExifImageHeight=12")
    photo = read(source)
    large = Image.fromarray(PICTURE).resize((80, 48))
    Image.fromarray(np.asarray(large)).save(tmp_path / "large.png")
    write(replace(photo, samples=np.asarray(large)), tmp_path / f"out.{form}", overwrite=False)
    (found,) = tags(tmp_path / f"out.{form}")
    assert (found["ExifIFD:ExifImageWidth"], found["ExifIFD:ExifImageHeight"]) == (80, 48)


def test_exif_data_without_a_size_stays_as_it_is() -> None:
    stored = Image.Exif()
    stored[0x010F] = "maker"
    data = stored.tobytes()
    block = exif.Block(data)
    assert exif.place(block, Placement(1, (1, 2), (5, 6))) == []
    assert block.to_bytes() == data
    with pytest.raises(directories.DamagedError):
        exif.Block(data[:12])


@needs_exiftool
@pytest.mark.parametrize("form", ["jpg", "tif"])
def test_the_thumbnail_of_the_old_picture_goes(tmp_path: Path, form: str) -> None:
    source = tagged(tmp_path / f"in.{form}", "-EXIF:Artist=Ansel", "-XMP-dc:Title=Half Dome")
    if form == "jpg":
        Image.new("RGB", (8, 8)).save(tmp_path / "small.jpg")
        exiftool("-q", "-overwrite_original", f"-ThumbnailImage<={tmp_path}/small.jpg", source)
        assert "IFD1:ThumbnailOffset" in tags(source)[0]
    write(read(source), tmp_path / "out.jpg", overwrite=False)
    assert "IFD1:ThumbnailOffset" not in tags(tmp_path / "out.jpg")[0]


@needs_exiftool
@pytest.mark.parametrize(
    ("kept", "artist", "profile", "resolution"),
    [("keep", True, True, True), ("minimal", False, True, True), ("strip", False, False, False)],
)
def test_metadata_is_kept_as_asked(
    tmp_path: Path, kept: str, artist: bool, profile: bool, resolution: bool
) -> None:
    icc = bytes(imagecodecs.cms_profile("srgb"))
    path = tmp_path / "in.jpg"
    Image.fromarray(PICTURE).save(path, icc_profile=icc, dpi=(300, 300))
    exiftool("-q", "-overwrite_original", "-EXIF:Artist=Ansel", "-IPTC:By-line=Ansel", path)
    write(read(path, kept=kept), tmp_path / "out.jpg", overwrite=False)  # type: ignore[arg-type]
    (found,) = tags(tmp_path / "out.jpg")
    assert ("IFD0:Artist" in found) == artist
    assert ("IPTC:By-line" in found) == artist
    assert any(name.startswith("ICC") for name in found) == profile
    assert (found["JFIF:XResolution"] == 300) == resolution


def test_a_grey_photo_with_a_profile_keeps_its_look_in_webp(tmp_path: Path) -> None:
    linear = bytes(imagecodecs.cms_profile("gray", gamma=1.0))
    levels = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    Image.fromarray(levels).save(tmp_path / "a.png", icc_profile=linear)
    write(
        read(tmp_path / "a.png"),
        tmp_path / "a.webp",
        overwrite=False,
        encoding=Encoding(lossless=True),
    )
    with Image.open(tmp_path / "a.webp") as image:
        assert image.info.get("icc_profile") is None
        got = np.asarray(image)[0, :, 0] / 255
    share = np.arange(256) / 255
    expected = np.where(share <= 0.0031308, 12.92 * share, 1.055 * share ** (1 / 2.4) - 0.055)
    assert np.abs(got - expected).max() < 1.5 / 255


@needs_exiftool
def test_the_command_turns_and_scales_what_speaks_of_the_picture(tmp_path: Path) -> None:
    """A turned photo with a face, as photo managers write it, and a panorama."""
    weights = write_weights(tmp_path / "x2.safetensors", 2)
    rng = np.random.default_rng(4)
    face, panorama = tmp_path / "face.jpg", tmp_path / "pano.jpg"
    Image.fromarray(rng.integers(0, 256, (40, 64, 3), np.uint8)).save(face)
    Image.fromarray(rng.integers(0, 256, (32, 64, 3), np.uint8)).save(panorama)
    region = "{Area={X=0.25,Y=0.2,W=0.2,H=0.1,Unit=normalized},Name=Ada,Type=Face}"
    size = "AppliedToDimensions={W=64,H=40,Unit=pixel}"
    arguments = ["-EXIF:Orientation=6", "-XMP-tiff:Orientation=6", "-EXIF:SubjectArea=20 10"]
    arguments += [f"-XMP-mwg-rs:RegionInfo={{{size},RegionList=[{region}]}}"]
    arguments += ["-XMP-tiff:ImageWidth=64", "-XMP-exif:ExifImageHeight=40"]
    exiftool("-q", "-overwrite_original", "-n", *arguments, face)
    names = ("FullPanoWidth", "CroppedAreaImageWidth", "FullPanoHeight", "CroppedAreaImageHeight")
    sides = dict(zip(names, (64, 64, 32, 32), strict=True))
    stated = [f"-XMP-GPano:{name}Pixels={side}" for name, side in sides.items()]
    exiftool("-q", "-overwrite_original", "-n", *stated, panorama)
    assert run(["upscale", str(face), str(panorama), "-w", str(weights)]) == 0
    command = ["-j", "-G1", "-n", "-struct", tmp_path / "face_x2.jpg", tmp_path / "pano_x2.jpg"]
    found, other = json.loads(exiftool(*command))
    (placed,) = found["XMP-mwg-rs:RegionInfo"]["RegionList"]
    area = [placed["Area"][name] for name in "XYWH"]
    assert area == pytest.approx([0.8, 0.25, 0.1, 0.2])
    assert found["XMP-mwg-rs:RegionInfo"]["AppliedToDimensions"] == {
        "W": 80,
        "H": 128,
        "Unit": "pixel",
    }
    assert found["ExifIFD:SubjectArea"] == "60 40"
    assert (found["XMP-tiff:ImageWidth"], found["XMP-exif:ExifImageHeight"]) == (80, 128)
    assert found["IFD0:Orientation"] == found["XMP-tiff:Orientation"] == 1
    for name, side in sides.items():
        assert other[f"XMP-GPano:{name}Pixels"] == 2 * side
