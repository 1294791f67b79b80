"""Colours are those that the file's profile says, as another colour engine or formula sees them."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from dcls_cli.errors import ImageError
from dcls_cli.image import read
from dcls_cli.image.colour import from_cmyk, srgb_profile, to_srgb

RANDOM = np.random.default_rng(2)
GREY_GAMMA_18 = bytes(imagecodecs.cms_profile("gray", gamma=1.8))


def wide_profile() -> bytes:
    """An RGB profile that is not sRGB: other primaries, gamma 1.8."""
    primaries = [0.7347, 0.2653, 1.0, 0.1596, 0.8404, 1.0, 0.0366, 0.0001, 1.0]
    return bytes(
        imagecodecs.cms_profile(
            "rgb", whitepoint=[0.3457, 0.3585, 1.0], primaries=primaries, gamma=1.8
        )
    )


def saved(path: Path, samples: np.ndarray, mode: str, icc: bytes | None) -> Path:
    Image.fromarray(samples, mode).save(path, icc_profile=icc)
    return path


@pytest.mark.parametrize("depth", [8, 16])
def test_rgb_is_converted_as_littlecms_through_pillow_does(depth: int) -> None:
    samples = RANDOM.integers(0, 256, (40, 31, 3), dtype=np.uint8)
    expected = np.asarray(
        ImageCms.profileToProfile(
            Image.fromarray(samples), io.BytesIO(wide_profile()), ImageCms.createProfile("sRGB")
        ),
        int,
    )
    stored = samples if depth == 8 else samples.astype(np.uint16) * 257
    converted = to_srgb(stored, wide_profile())
    assert converted.dtype == stored.dtype
    assert np.abs(converted / (1 if depth == 8 else 257) - expected).max() <= 1


def test_grey_is_converted_by_its_own_curve() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    linear = (levels[..., 0] / 65535) ** 1.8
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    converted = to_srgb(levels, GREY_GAMMA_18)
    assert converted.shape == levels.shape
    assert np.abs(converted[..., 0] / 65535 - expected).max() < 2e-3


def test_a_profile_for_other_colours_is_refused() -> None:
    with pytest.raises(ImageError, match="for GRAY cannot describe 3 channels"):
        to_srgb(np.zeros((2, 2, 3), np.uint8), GREY_GAMMA_18)
    with pytest.raises(ImageError, match="cannot be used"):
        to_srgb(np.zeros((2, 2, 3), np.uint8), wide_profile()[:200])


def test_cmyk_by_the_formula_of_subtractive_colours() -> None:
    inks = RANDOM.integers(0, 65536, (9, 7, 4), dtype=np.uint16)
    share = 1 - inks / 65535
    deep = from_cmyk(inks, None)
    assert (deep.bit_depth, deep.is_srgb) == (16, True)
    assert np.abs(deep.values / 65535 - share[..., :3] * share[..., 3:]).max() < 1e-5
    shallow = (inks >> 8).astype(np.uint8)
    expected = np.asarray(Image.frombytes("CMYK", (7, 9), shallow.tobytes()).convert("RGB"), int)
    assert np.abs(from_cmyk(shallow, None).values - expected).max() <= 1


def test_cmyk_with_a_profile_of_a_real_printer(tmp_path: Path) -> None:
    profile = Path("/usr/share/color/icc/ghostscript/default_cmyk.icc")
    if not profile.exists():
        pytest.skip("no CMYK profile is installed (package libgs-common)")
    inks = RANDOM.integers(0, 256, (16, 16, 4), dtype=np.uint8)
    image = Image.frombytes("CMYK", (16, 16), inks.tobytes())
    image.save(tmp_path / "a.tif", icc_profile=profile.read_bytes())
    expected = ImageCms.profileToProfile(
        image, str(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    photo = read(tmp_path / "a.tif")
    assert np.abs(np.rint(photo.pixels * 255) - np.asarray(expected)).max() <= 1
    assert photo.icc is None
    assert photo.notes == ("CMYK was converted to sRGB by its colour profile",)


def test_ycck_is_what_pillow_shows(tmp_path: Path) -> None:
    """YCCK is what Adobe's programs write CMYK JPEGs as; libjpeg converts it."""
    smooth = np.linspace(0, 255, 64 * 64 * 4).reshape(64, 64, 4).astype(np.uint8)
    image = Image.frombytes("CMYK", (64, 64), smooth.tobytes())
    image.save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as stored:
        expected = np.asarray(stored.convert("RGB"), int)
    assert np.abs(read(tmp_path / "a.jpg").pixels * 255 - expected).max() <= 1.01


@pytest.mark.parametrize("form", ["png", "tif", "jpg", "webp", "avif"])
def test_the_profile_stays_and_the_pixels_are_in_its_space(tmp_path: Path, form: str) -> None:
    samples = np.full((16, 16, 3), [200, 100, 50], np.uint8)
    path = saved(tmp_path / f"a.{form}", samples, "RGB", wide_profile())
    photo = read(path)
    assert photo.icc == wide_profile()
    assert np.abs(photo.pixels * 255 - samples).max() <= 2.5


def test_a_grey_photo_keeps_its_grey_profile(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.full((4, 4), 90, np.uint8), "L", GREY_GAMMA_18)
    photo = read(path)
    assert photo.icc == GREY_GAMMA_18
    assert photo.grey


def test_a_grey_profile_on_colours_is_left_out_with_a_note(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.full((4, 4, 3), 90, np.uint8), "RGB", GREY_GAMMA_18)
    photo = read(path)
    assert photo.icc is None
    assert photo.notes == ("the colour profile is for GRAY and was left out",)
    assert np.allclose(photo.pixels, 90 / 255)


@pytest.mark.parametrize("damage", ["truncated", "cut", "zeros", "signature"])
def test_a_broken_profile_is_a_note(tmp_path: Path, damage: str) -> None:
    icc = {
        "truncated": wide_profile()[:100],
        "cut": wide_profile()[:300],
        "zeros": bytes(500),
        "signature": wide_profile()[:36] + b"none" + wide_profile()[40:],
    }[damage]
    photo = read(saved(tmp_path / "a.jpg", np.full((8, 8, 3), 90, np.uint8), "RGB", icc))
    assert photo.icc is None
    assert photo.notes == ("the colour profile is damaged and was left out",)


def test_strip_does_not_fail_for_a_profile_that_cannot_be_used(tmp_path: Path) -> None:
    hollow = wide_profile()[:128] + bytes(len(wide_profile()) - 128)
    path = saved(tmp_path / "a.png", np.full((8, 8, 3), 90, np.uint8), "RGB", hollow)
    photo = read(path, kept="strip")
    assert photo.icc is None
    assert len(photo.notes) == 1
    assert "the colour profile cannot be used" in photo.notes[0]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_strip_converts_to_srgb(tmp_path: Path, suffix: str) -> None:
    samples = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = saved(tmp_path / f"a.{suffix}", samples, "RGB", wide_profile())
    photo = read(path, kept="strip")
    expected = ImageCms.profileToProfile(
        Image.fromarray(samples), io.BytesIO(wide_profile()), ImageCms.createProfile("sRGB")
    )
    assert photo.icc is None
    assert np.abs(photo.pixels * 255 - np.asarray(expected, int)).max() <= 1.01
    assert read(saved(path, samples, "RGB", srgb_profile()), kept="strip").icc is None


def test_strip_converts_16_bits_with_16_bits(tmp_path: Path) -> None:
    samples = RANDOM.integers(0, 65536, (20, 30, 4), dtype=np.uint16)
    samples[..., 3] |= 1
    path = tmp_path / "a.tif"
    profile = (34675, 7, len(wide_profile()), wide_profile(), True)
    tifffile.imwrite(
        path, samples, photometric="rgb", extrasamples=["unassalpha"], extratags=[profile]
    )
    photo = read(path, kept="strip")
    expected = to_srgb(samples[..., :3], wide_profile())
    assert np.array_equal(np.rint(photo.pixels * 65535), expected)
    assert photo.alpha is not None
    assert np.array_equal(np.rint(photo.alpha * 65535), samples[..., 3])


def test_lab_of_a_tiff(tmp_path: Path) -> None:
    red = np.tile(np.array([136, 80, 67], np.uint8), (8, 8, 1))  # L 53, a 80, b 67
    tifffile.imwrite(tmp_path / "a.tif", red, photometric="cielab")
    photo = read(tmp_path / "a.tif")
    assert np.abs(photo.pixels - [1, 0, 0]).max() < 0.05
    assert photo.notes == ("Lab was converted to sRGB",)
