"""Colours that files state without a profile look the same in every output.

The oracle is arithmetic with published matrices (CSS Color 4; Lindbloom for Adobe RGB): it knows
neither ICC profiles nor our tables.
"""

import io
import json
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from dcls_cli.cli.app import run
from dcls_cli.image import Encoding, from_pil, read, write
from dcls_cli.image.colour import SRGB_CURVE, matrix_profile, srgb_profile, to_srgb
from dcls_cli.image.colour_spaces import (
    ADOBE_RGB,
    CodePoints,
    by_code_points,
    exif_as_srgb,
    stated_by_exif,
)

needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed"
)

PATCHES = ((200, 60, 40), (60, 180, 70), (50, 70, 190), (180, 150, 120))
SIDE = 16

#: Patches in a row, large enough that lossy formats have their colours in the middle.
SAMPLES = np.repeat(np.array([PATCHES], np.uint8), SIDE, axis=1).repeat(SIDE, axis=0)

FORMS = ["jpg", "png", "tif", "webp", "avif"]
ALL_KEPT = ["keep", "minimal", "strip"]

TO_XYZ = {
    "srgb": [
        [0.4123908, 0.3575843, 0.1804808],
        [0.2126390, 0.7151687, 0.0721923],
        [0.0193308, 0.1191948, 0.9505322],
    ],
    "p3": [
        [0.4865709, 0.2656677, 0.1982173],
        [0.2289746, 0.6917385, 0.0792869],
        [0.0, 0.0451134, 1.0439444],
    ],
    "bt2020": [
        [0.6369580, 0.1446169, 0.1688810],
        [0.2627002, 0.6779981, 0.0593017],
        [0.0, 0.0280727, 1.0609851],
    ],
    "adobe": [
        [0.5767309, 0.1855540, 0.1881852],
        [0.2973769, 0.6273491, 0.0752741],
        [0.0270343, 0.0706872, 0.9911085],
    ],
}


def srgb_decoded(levels: np.ndarray) -> np.ndarray:
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def in_srgb(levels: np.ndarray, space: str, gamma: float | None) -> np.ndarray:
    """Levels (..., 3) in [0, 1] of a space, in sRGB and of 0 to 255."""
    light = srgb_decoded(levels) if gamma is None else levels**gamma
    mixed = light @ np.array(TO_XYZ[space]).T @ np.linalg.inv(TO_XYZ["srgb"]).T
    mixed = mixed.clip(0, 1)
    encoded = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return 255 * encoded


def middles(samples: np.ndarray) -> np.ndarray:
    """Mean colour of the middle of each patch."""
    side = samples.shape[0]
    quarter = side // 4
    return np.array(
        [
            samples[quarter:-quarter, at + quarter : at + side - quarter].mean(axis=(0, 1))
            for at in range(0, samples.shape[1], side)
        ]
    )


def shown(path: Path) -> np.ndarray:
    """Colours of the patches of a file, in sRGB by its profile, as Pillow and LittleCMS see it."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
        if icc := image.info.get("icc_profile"):
            picture = ImageCms.profileToProfile(
                picture, io.BytesIO(icc), ImageCms.createProfile("sRGB")
            )
    return middles(np.asarray(picture, float))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(path: Path, *chunks: bytes, samples: np.ndarray = SAMPLES) -> Path:
    content = bytes(imagecodecs.png_encode(samples))
    path.write_bytes(content[:33] + b"".join(chunks) + content[33:])
    return path


CHROMATICITIES = {
    "srgb": (0.3127, 0.329, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    "p3": (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    "adobe": (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06),
}


def chrm(space: str) -> bytes:
    numbers = (round(number * 100_000) for number in CHROMATICITIES[space])
    return chunk(b"cHRM", struct.pack(">8I", *numbers))


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def cicp(*numbers: int) -> bytes:
    return chunk(b"cICP", bytes(numbers))


def avif(path: Path, primaries: int, transfer: int, icc: bytes = b"") -> Path:
    content = io.BytesIO()
    Image.fromarray(SAMPLES).save(
        content, "AVIF", quality=100, subsampling="4:4:4", icc_profile=icc
    )
    data = bytearray(content.getvalue())
    at = data.index(b"colrnclx") + 8
    struct.pack_into(">HH", data, at, primaries, transfer)
    path.write_bytes(data)
    return path


def heic(path: Path, primaries: int, transfer: int) -> Path:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(SAMPLES)).save(
        path,
        quality=-1,
        chroma=444,
        save_nclx_profile=True,
        color_primaries=primaries,
        transfer_characteristics=transfer,
        matrix_coefficients=6,
        full_range_flag=1,
    )
    return path


def exif(colour_space: int | None, index: str | None, **main: object) -> bytes:
    data = Image.Exif()
    data[0x010F] = "Maker"
    details: dict[int, object] = {0x9000: b"0230"}
    if colour_space is not None:
        details[0xA001] = colour_space
    if index is not None:
        details[0xA005] = {1: index, 2: b"0100"}
    if main:
        data[318], data[319], details[0xA500] = main["white"], main["colours"], main["gamma"]
    data[0x8769] = details
    return data.tobytes()


def by_exiftool(path: Path, *arguments: str) -> Path:
    Image.fromarray(SAMPLES).save(path)
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-n", *arguments, path], check=True)
    return path


def by_exif(path: Path, *arguments: int | str | None, **main: object) -> Path:
    lossless = {"lossless": True} if path.suffix == ".webp" else {"quality": 100}
    Image.fromarray(SAMPLES).save(
        path,
        exif=exif(*arguments, **main),
        **lossless,  # type: ignore[arg-type]
    )
    return path


def tagged_tiff(path: Path, *, gamma: float | None) -> Path:
    numbers = CHROMATICITIES["p3"]
    fractions = [part for number in numbers for part in (round(number * 100_000), 100_000)]
    tags: list[tuple[object, ...]] = [
        (318, 5, 2, tuple(fractions[:4]), True),
        (319, 5, 6, tuple(fractions[4:]), True),
    ]
    if gamma is not None:
        table = np.rint(65535 * np.linspace(0, 1, 256) ** gamma).astype(int).tolist()
        tags.append((301, 3, 768, tuple(table * 3), True))
    tifffile.imwrite(path, SAMPLES, photometric="rgb", extratags=tags)
    return path


def bmp(path: Path, kind: int, rest: bytes, profile: bytes = b"") -> Path:
    """A BMP of version 5: `rest` are end points and gammas."""
    height, width = SAMPLES.shape[:2]
    pixels = SAMPLES[::-1, :, ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    header += struct.pack("<4I", 0, 0, 0, 0) + struct.pack("<I", kind) + rest
    header += struct.pack("<4I", 4, 124 + len(pixels), len(profile), 0)
    assert len(header) == 124
    start = 14 + len(header)
    size = start + len(pixels) + len(profile)
    path.write_bytes(b"BM" + struct.pack("<IHHI", size, 0, 0, start) + header + pixels + profile)
    return path


def p3_profile() -> bytes:
    """Made by LittleCMS: P3's primaries with a gamma of 2.2."""
    white, *colours = zip(CHROMATICITIES["p3"][::2], CHROMATICITIES["p3"][1::2], strict=True)
    primaries = [number for point in colours for number in (*point, 1.0)]
    return bytes(
        imagecodecs.cms_profile("rgb", whitepoint=[*white, 1.0], primaries=primaries, gamma=2.2)
    )


def calibrated_bmp(path: Path) -> Path:
    points = np.array(TO_XYZ["p3"]).T
    endpoints = np.rint(points.ravel() * 2**30).astype(int).tolist()
    return bmp(path, 0, struct.pack("<9i3I", *endpoints, *[round(2.2 * 2**16)] * 3))


def gif(path: Path) -> Path:
    content = io.BytesIO()
    palette = Image.new("P", (4 * SIDE, SIDE))
    palette.putpalette([number for patch in PATCHES for number in patch])
    for index in range(4):
        palette.paste(index, (index * SIDE, 0, (index + 1) * SIDE, SIDE))
    palette.save(content, "GIF")
    data = content.getvalue()
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    icc = p3_profile()
    blocks = [icc[start : start + 255] for start in range(0, len(icc), 255)]
    extension = b"!\xff\x0bICCRGBG1012" + b"".join(bytes([len(each)]) + each for each in blocks)
    path.write_bytes(data[:at] + extension + b"\0" + data[at:])
    return path


P3, P3_22, ADOBE = ("p3", None), ("p3", 2.2), ("adobe", 563 / 256)

#: How a file says what its colours are; what they are; how it is made.
KINDS: dict[str, tuple[tuple[str, float | None], Callable[[Path], Path]]] = {
    "avif nclx": (P3, lambda at: avif(at / "a.avif", 12, 13)),
    "avif nclx of BT.2020": (("bt2020", None), lambda at: avif(at / "a.avif", 9, 1)),
    "heic nclx": (P3, lambda at: heic(at / "a.heic", 12, 13)),
    "png cICP": (P3, lambda at: png(at / "a.png", cicp(12, 13, 0, 1))),
    "png cHRM, gAMA": (P3_22, lambda at: png(at / "a.png", gama(0.45455), chrm("p3"))),
    "png cHRM": (P3, lambda at: png(at / "a.png", chrm("p3"))),
    "png gAMA": (("srgb", 1.0), lambda at: png(at / "a.png", gama(1))),
    "tiff tags": (P3, lambda at: tagged_tiff(at / "a.tif", gamma=None)),
    "tiff tags with curves": (("p3", 1.8), lambda at: tagged_tiff(at / "a.tif", gamma=1.8)),
    "bmp profile": (
        P3_22,
        lambda at: bmp(at / "a.bmp", 0x4D424544, bytes(48), p3_profile()),
    ),
    "bmp calibrated": (P3_22, lambda at: calibrated_bmp(at / "a.bmp")),
    "gif profile": (P3_22, lambda at: gif(at / "a.gif")),
    "jpeg R03": (ADOBE, lambda at: by_exif(at / "a.jpg", 0xFFFF, "R03")),
    "webp R03": (ADOBE, lambda at: by_exif(at / "a.webp", 0xFFFF, "R03")),
    "png R03": (ADOBE, lambda at: by_exif(at / "a.png", None, "R03")),
    "tiff R03": (
        ADOBE,
        lambda at: by_exiftool(at / "a.tif", "-ColorSpace=65535", "-InteropIndex=R03"),
    ),
    "jpeg ColorSpace 2": (ADOBE, lambda at: by_exif(at / "a.jpg", 2, None)),
    "jpeg chromaticities": (
        P3_22,
        lambda at: by_exif(
            at / "a.jpg",
            0xFFFF,
            None,
            white=CHROMATICITIES["p3"][:2],
            colours=CHROMATICITIES["p3"][2:],
            gamma=2.2,
        ),
    ),
}


def tags(*paths: Path) -> list[dict[str, object]]:
    done = subprocess.run(
        ["exiftool", "-j", "-G1", "-n", *paths], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@needs_exiftool
@pytest.mark.parametrize("kind", KINDS)
def test_the_space_arrives_in_every_format_and_strip_converts(tmp_path: Path, kind: str) -> None:
    (space, gamma), make = KINDS[kind]
    source = make(tmp_path)
    levels = middles(read(source).to_samples(8)[..., :3])
    assert np.abs(levels - PATCHES).max() < 2.5
    expected = in_srgb(levels / 255, space, gamma)
    assert np.abs(expected - levels).max() > 8  # a lost space would be seen
    outputs = {}
    for kept in ALL_KEPT:
        photo = read(source, kept=kept)  # type: ignore[arg-type]
        assert len(photo.notes) == (kept == "strip")
        for form in FORMS:
            outputs[kept, form] = tmp_path / f"{kept}.{form}"
            encoding = Encoding(lossless=form == "webp", quality=None if form == "webp" else 100)
            write(photo, outputs[kept, form], overwrite=False, encoding=encoding)
    for ((kept, form), output), found in zip(outputs.items(), tags(*outputs.values()), strict=True):
        with Image.open(output) as image:
            stored = middles(np.asarray(image.convert("RGB"), float))
        if kept == "strip":
            assert np.abs(stored - expected).max() < 3, (kept, form)
        else:  # what loss changes is not the profile's doing
            assert np.abs(stored - levels).max() < 3, (kept, form)
            seen = in_srgb(stored / 255, space, gamma)
            assert np.abs(shown(output) - seen).max() < 1.5, (kept, form)
        has_profile = any(name.startswith("ICC") for name in found)
        assert has_profile == (kept != "strip"), (kept, form)
        if kept != "keep":
            assert not any("ExifIFD" in name for name in found)


@pytest.mark.parametrize("kept", ALL_KEPT)
def test_dcls_upscale_keeps_or_converts_a_stated_space(tmp_path: Path, kept: str) -> None:
    source = png(tmp_path / "a.png", cicp(12, 13, 0, 1))
    output = tmp_path / "b.png"
    weights = Path(__file__).parents[2] / "weights" / "dcls-light-x2.safetensors"
    command = ["upscale", source, "-o", output, "-w", weights, "-d", "cpu", "--metadata", kept]
    assert run([str(part) for part in command]) == 0
    expected = in_srgb(np.array(PATCHES) / 255, "p3", None)
    assert np.abs(shown(output) - expected).max() < 4


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_the_depth_stays(tmp_path: Path, depth: int, suffix: str) -> None:
    samples = SAMPLES if depth == 8 else SAMPLES.astype(np.uint16) * 257 + 3
    source = png(tmp_path / "a.png", cicp(12, 13, 0, 1), samples=samples)
    photo = read(source)
    assert np.array_equal(photo.samples, samples)
    write(photo, tmp_path / f"b.{suffix}", overwrite=False)
    again = read(tmp_path / f"b.{suffix}")
    assert np.array_equal(again.samples, samples)
    assert again.icc == photo.icc
    converted = read(source, kept="strip")
    assert converted.bit_depth == depth
    expected = in_srgb(samples / (2**depth - 1), "p3", None)
    full = 2**depth - 1
    assert (
        np.abs(converted.samples / full - expected / 255).max() < (0.6 if depth == 8 else 0.1) / 255
    )


@pytest.mark.parametrize("primaries", [4, 5, 6, 7, 8, 9, 11, 12, 22])
@pytest.mark.parametrize("transfer", [4, 5, 8])
def test_profiles_of_code_points_are_what_littlecms_makes(primaries: int, transfer: int) -> None:
    space = by_code_points(CodePoints(primaries, transfer))
    assert space is not None
    *colours, white = space.points
    other = imagecodecs.cms_profile(
        "rgb",
        whitepoint=[*white, 1.0],
        primaries=[number for point in colours for number in (*point, 1.0)],
        gamma={4: 2.2, 5: 2.8, 8: 1.0}[transfer],
    )
    samples = np.random.default_rng(0).integers(0, 65536, (32, 32, 3)).astype(np.uint16)
    icc = space.profile(grey=False)
    assert icc is not None
    difference = to_srgb(samples, icc).astype(int) - to_srgb(samples, bytes(other))
    assert np.abs(difference).max() <= 64  # a quarter of a level of 8 bits


@pytest.mark.parametrize("primaries", [1, 2])
@pytest.mark.parametrize("transfer", [1, 2, 6, 13, 14, 15])
def test_srgb_and_what_browsers_show_as_it_needs_no_profile(
    tmp_path: Path, primaries: int, transfer: int
) -> None:
    photo = read(png(tmp_path / "a.png", cicp(primaries, transfer, 0, 1)))
    assert (photo.icc, photo.code_points, photo.notes) == (None, None, ())
    photo = read(avif(tmp_path / "a.avif", primaries, transfer))
    assert (photo.icc, photo.code_points) == (None, None)


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ((cicp(3, 13, 0, 1),), "its colour space has unknown code points (primaries 3, transfer 1"),
        ((cicp(1, 19, 0, 1),), "its colour space has unknown code points (primaries 1, transfer 1"),
        ((cicp(255, 255, 0, 1),), "its colour space has unknown code points (primaries 255, tran"),
        ((cicp(12, 13, 6, 1),), "its cICP chunk states colours that PNG cannot hold and was left"),
        ((chunk(b"cICP", b"\x0c\x0d"),), "its cICP chunk is damaged and was left out"),
        ((chunk(b"gAMA", b"\x0c\x0d"),), "its gAMA chunk is damaged and was left out"),
        ((gama(0.001),), "a gamma of 1000 is impossible and was not applied"),
        ((chunk(b"cHRM", bytes(32)),), "the chromaticities of its colours are impossible and we"),
    ],
)
def test_statements_without_a_meaning_are_left_out_with_a_note(
    tmp_path: Path, chunks: tuple[bytes, ...], said: str
) -> None:
    photo = read(png(tmp_path / "a.png", *chunks))
    assert photo.icc is None
    assert photo.code_points is None
    assert any(note.startswith(said) for note in photo.notes), photo.notes
    assert np.array_equal(photo.samples, SAMPLES)


def test_unknown_code_points_of_avif_are_a_note(tmp_path: Path) -> None:
    (note, *_) = read(avif(tmp_path / "a.avif", 200, 13)).notes
    assert note.startswith("its colour space has unknown code points (primaries 200, transfer 13)")


def test_levels_of_the_narrow_range_are_stretched(tmp_path: Path) -> None:
    narrow = np.rint(16 + SAMPLES * (219 / 255)).astype(np.uint8)
    photo = read(png(tmp_path / "a.png", cicp(12, 13, 0, 0), samples=narrow))
    assert np.abs(photo.samples.astype(int) - SAMPLES).max() <= 1
    assert photo.icc is not None
    assert photo.notes == (
        "its levels of the narrow range of video were stretched to the full range",
    )


def test_of_several_statements_of_a_png_the_specified_one_counts(tmp_path: Path) -> None:
    """Of the third edition: cICP, iCCP, sRGB, cHRM with gAMA; what EXIF says comes last."""
    icc = p3_profile()
    iccp = chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    srgb = chunk(b"sRGB", b"\0")
    exif_chunk = chunk(b"eXIf", exif(0xFFFF, "R03").removeprefix(b"Exif\0\0"))

    def icc_of(*chunks: bytes) -> bytes | None:
        photo = read(png(tmp_path / "a.png", *chunks))
        assert photo.notes == ()
        return photo.icc

    everything = [exif_chunk, gama(1), chrm("adobe"), srgb, iccp, cicp(9, 13, 0, 1)]
    bt2020 = by_code_points(CodePoints(9, 13))
    assert bt2020 is not None
    assert icc_of(*everything) == bt2020.profile(grey=False)
    assert icc_of(*everything, cicp(1, 13, 0, 1)) == bt2020.profile(grey=False)  # the first
    assert icc_of(*everything[:-1]) == icc
    assert icc_of(*everything[:-1], cicp(1, 13, 0, 1)) is None  # sRGB, and not P3
    assert icc_of(*everything[:-1], cicp(2, 2, 0, 1)) == icc
    assert icc_of(*everything[:-2]) is None
    stated = icc_of(*everything[:-3])
    assert stated is not None
    assert stated == icc_of(gama(1), chrm("adobe"))
    assert icc_of(exif_chunk) == ADOBE_RGB.profile(grey=False)
    assert icc_of(gama(0.45455), chrm("srgb")) is None
    assert icc_of(gama(0.45455)) is None


def test_a_profile_counts_more_than_nclx_and_exif(tmp_path: Path) -> None:
    icc = p3_profile()
    assert read(avif(tmp_path / "a.avif", 9, 13, icc)).icc == icc
    for colour_space, index in ((0xFFFF, "R03"), (2, None), (1, "R98")):
        Image.fromarray(SAMPLES).save(
            tmp_path / "a.jpg", exif=exif(colour_space, index), icc_profile=icc
        )
        assert read(tmp_path / "a.jpg").icc == icc


def test_exif_that_says_srgb_or_nothing_changes_nothing(tmp_path: Path) -> None:
    for colour_space, index in ((1, None), (1, "R98"), (1, "R03"), (None, None), (None, "R98")):
        photo = read(by_exif(tmp_path / "a.jpg", colour_space, index))
        assert (photo.icc, photo.notes) == (None, ())


def test_exif_that_says_only_what_it_is_not_is_a_note(tmp_path: Path) -> None:
    photo = read(by_exif(tmp_path / "a.jpg", 0xFFFF, None))
    assert photo.icc is None
    assert photo.notes == (
        "its EXIF data state an unnamed colour space that is not sRGB; taken as sRGB",
    )


def test_numbers_of_exif_that_are_none_are_no_error() -> None:
    for value in ("text", b"bytes", None, (), (1, 2), float("nan"), ("a",) * 6):
        stated = stated_by_exif(
            {318: value, 319: value}, {0xA500: value, 0xA001: value}, {1: value}
        )
        assert stated.space is None
    stated = stated_by_exif({318: (0.3, 0.3), 319: (0.5,) * 6}, {}, {})
    assert stated.notes == (
        "the chromaticities of its colours are impossible and were not applied",
    )


def test_a_grey_photo_gets_a_profile_for_grey(tmp_path: Path) -> None:
    source = png(tmp_path / "a.png", gama(1), chrm("p3"), samples=SAMPLES[..., 0].copy())
    photo = read(source)
    assert photo.icc is not None
    assert photo.icc[16:20] == b"GRAY"
    encoded = in_srgb(np.full((1, 3), 200 / 255), "srgb", 1.0)[0, 0]
    assert abs(read(source, kept="strip").samples[0, 0, 0] - encoded) <= 1
    assert read(png(tmp_path / "b.png", chrm("p3"), samples=SAMPLES[..., 0].copy())).icc is None


def test_exif_says_srgb_of_what_was_converted(tmp_path: Path) -> None:
    """WebP has no grey: a grey photo with a profile is converted, though its EXIF data stay."""
    Image.fromarray(SAMPLES[..., 0]).save(
        tmp_path / "a.png", exif=exif(0xFFFF, "R03"), icc_profile=ADOBE_RGB.profile(grey=True)
    )
    write(read(tmp_path / "a.png"), tmp_path / "a.webp", overwrite=False)
    photo = read(tmp_path / "a.webp")
    assert (photo.icc, photo.notes) == (None, ())
    with Image.open(tmp_path / "a.webp") as image:
        assert image.getexif().get_ifd(0x8769)[0xA001] == 1
        assert image.getexif().get_ifd(0xA005)[1] == "R98"
    for order in (b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff"):
        assert exif_as_srgb(order) == order


def test_images_of_pillow_say_what_pillow_knows(tmp_path: Path) -> None:
    with Image.open(png(tmp_path / "a.png", gama(0.45455), chrm("p3"))) as image:
        assert from_pil(image).icc == read(tmp_path / "a.png").icc is not None
    with Image.open(by_exif(tmp_path / "a.jpg", 0xFFFF, "R03")) as image:
        assert from_pil(image).icc == ADOBE_RGB.profile(grey=False)


def test_a_bmp_with_a_linked_profile_is_a_note_and_one_with_zeros_nothing(tmp_path: Path) -> None:
    photo = read(bmp(tmp_path / "a.bmp", 0x4C494E4B, bytes(48), b"C:\\a.icc\0"))
    assert photo.notes == ("its colour profile is another file and was left out",)
    assert read(bmp(tmp_path / "b.bmp", 0, bytes(48))).notes == ()
    assert read(bmp(tmp_path / "c.bmp", 0x73524742, bytes(48))).notes == ()
    photo = read(bmp(tmp_path / "d.bmp", 0x4D424544, bytes(48), p3_profile()[:90]))
    assert photo.notes == ("the colour profile is damaged and was left out",)


def test_profiles_are_the_same_every_time_and_named() -> None:
    icc = ADOBE_RGB.profile(grey=False)
    assert icc == ADOBE_RGB.profile(grey=False)
    assert icc is not None
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    assert ImageCms.getProfileDescription(profile).strip() == "Compatible with Adobe RGB (1998)"
    ours = matrix_profile("sRGB", ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), (0.3127, 0.329)),
                          (SRGB_CURVE,) * 3, grey=False)  # fmt: skip
    samples = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert np.abs(to_srgb(samples, ours).astype(int) - to_srgb(samples, srgb_profile())).max() <= 1


def hdr(tmp_path: Path, kind: str, transfer: int) -> Path:
    if kind == "png":
        samples = SAMPLES.astype(np.uint16) * 257
        return png(tmp_path / "a.png", cicp(9, transfer, 0, 1), samples=samples)
    if kind == "heic":
        return heic(tmp_path / "a.heic", 9, transfer)
    return avif(tmp_path / "a.avif", 9, transfer)


@needs_exiftool
@pytest.mark.parametrize("kept", ALL_KEPT)
@pytest.mark.parametrize("kind", ["png", "avif", "heic"])
@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_keeps_its_code_points_or_a_note_says_what_is_lost(
    tmp_path: Path, kept: str, kind: str, transfer: int, name: str
) -> None:
    photo = read(hdr(tmp_path, kind, transfer), kept=kept)  # type: ignore[arg-type]
    assert photo.notes[0] == (
        f"its high dynamic range ({name}) is written as the levels are, without tone mapping"
    )
    assert (len(photo.notes) == 2) == (kept == "strip")
    assert photo.bit_depth == (16 if kind == "png" else 8)
    assert np.abs(middles(photo.samples / photo.white * 255.0) - PATCHES).max() < 2
    outputs = [tmp_path / f"out.{form}" for form in FORMS]
    said = {path.suffix: write(photo, path, overwrite=False) for path in outputs}
    for path, found in zip(outputs, tags(*outputs), strict=True):
        stated = [found.get(f"{group}:{tag}") for group in ("PNG-cICP", "QuickTime")
                  for tag in ("ColorPrimaries", "TransferCharacteristics")]  # fmt: skip
        lost = f"{found['File:FileType']} cannot state high dynamic range ({name})"
        if path.suffix in (".png", ".avif"):
            assert [number for number in stated if number is not None] == [9, transfer]
            assert not any(note.startswith(lost) for note in said[path.suffix])
            assert read(path).code_points == CodePoints(9, transfer)
        else:
            assert any(note.startswith(lost) for note in said[path.suffix])
        with Image.open(path) as image:  # the levels are as they were
            assert np.abs(middles(np.asarray(image.convert("RGB"), float)) - PATCHES).max() < 4


def test_light_levels_of_high_dynamic_range_are_a_note(tmp_path: Path) -> None:
    photo = read(png(tmp_path / "a.png", cicp(9, 16, 0, 1), chunk(b"cLLI", bytes(8))))
    assert photo.notes[1:] == ("the light levels of its high dynamic range are left out",)
