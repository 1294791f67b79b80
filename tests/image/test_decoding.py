"""Every way in which a file can store a picture gives the picture."""

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps

from dcls_cli.errors import ImageError
from dcls_cli.image import from_pil, read

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

RAMP = np.linspace(0, 65535, 12 * 10).astype(np.uint16).reshape(10, 12)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1] // 2], axis=2)
ALPHA = np.roll(RAMP, 3).clip(257)  # hidden colours are replaced, see test_transparency


def tiff(samples: np.ndarray, **options: object) -> bytes:
    return bytes(imagecodecs.tiff_encode(samples.copy(), **options))  # a predictor works in place


def levels(values: np.ndarray | None, white: int) -> np.ndarray:
    assert values is not None
    return np.rint(values * white).astype(int)


def saved(path: Path, image: Image.Image, form: str, **options: object) -> Path:
    image.save(path, form, **options)
    return path


@pytest.mark.parametrize(
    "content",
    [
        imagecodecs.png_encode(COLOURS),
        tiff(COLOURS),
        tiff(COLOURS, byteorder=">"),
        tiff(COLOURS, compression="lzw", predictor=True),
        tiff(COLOURS, tile=(16, 16)),
        tiff(COLOURS, bigtiff=True),
        tiff(
            np.ascontiguousarray(COLOURS.transpose(2, 0, 1)),
            planarconfig="separate",
            photometric="rgb",
        ),
    ],
)
def test_16_bit_colour_keeps_every_bit(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "photo").write_bytes(content)
    photo = read(tmp_path / "photo")
    assert np.array_equal(levels(photo.pixels, 65535), COLOURS)
    assert photo.bit_depth == 16
    assert not photo.grey


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_is_not_clipped(tmp_path: Path, form: str) -> None:
    photo = read(saved(tmp_path / "photo", Image.fromarray(RAMP), form))
    for channel in range(3):
        assert np.array_equal(levels(photo.pixels[..., channel], 65535), RAMP)
    assert photo.grey
    assert photo.bit_depth == 16


def test_16_bit_grey_where_white_is_zero(tmp_path: Path) -> None:
    content = tiff(65535 - RAMP, photometric="miniswhite")
    (tmp_path / "photo").write_bytes(content)
    assert np.array_equal(levels(read(tmp_path / "photo").pixels[..., 0], 65535), RAMP)


@pytest.mark.parametrize("colour", [COLOURS, RAMP[..., None]])
def test_16_bit_alpha(tmp_path: Path, colour: np.ndarray) -> None:
    samples = np.concatenate([colour, ALPHA[..., None]], axis=2)
    (tmp_path / "photo").write_bytes(imagecodecs.png_encode(samples))
    photo = read(tmp_path / "photo")
    assert np.array_equal(levels(photo.pixels, 65535), np.broadcast_to(colour, COLOURS.shape))
    assert np.array_equal(levels(photo.alpha, 65535), ALPHA)
    assert photo.grey == (colour.shape[2] == 1)


def test_16_bit_alpha_that_is_multiplied_into_the_colours(tmp_path: Path) -> None:
    opacity = np.linspace(0.4, 1, RAMP.size).reshape(*RAMP.shape, 1)
    samples = np.rint(np.concatenate([COLOURS * opacity, opacity * 65535], axis=2))
    content = tiff(samples.astype(np.uint16), photometric="rgb", extrasample="assocalpha")
    (tmp_path / "photo").write_bytes(content)
    photo = read(tmp_path / "photo")
    assert np.abs(levels(photo.pixels, 65535) - COLOURS.astype(int)).max() <= 2
    assert np.array_equal(levels(photo.alpha, 65535), samples[..., 3])


def png_with(samples: np.ndarray, name: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    content = bytes(imagecodecs.png_encode(samples))
    chunk = struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return content[:33] + chunk + content[33:]


@pytest.mark.parametrize(
    ("samples", "key", "place"),
    [
        (COLOURS, struct.pack(">HHH", *COLOURS[4, 5]), (4, 5)),
        (RAMP, struct.pack(">H", RAMP[7, 2]), (7, 2)),
        ((RAMP // 257).astype(np.uint8), struct.pack(">H", RAMP[7, 2] // 257), (7, 2)),
        (
            (COLOURS // 257).astype(np.uint8),
            struct.pack(">HHH", *(COLOURS[4, 5] // 257)),
            (4, 5),
        ),
    ],
)
def test_a_transparent_colour(
    tmp_path: Path, samples: np.ndarray, key: bytes, place: tuple[int, int]
) -> None:
    (tmp_path / "photo").write_bytes(png_with(samples, b"tRNS", key))
    photo = read(tmp_path / "photo")
    assert photo.alpha is not None
    same = (samples == samples[place]).reshape(10, 12, -1).all(axis=2)
    assert np.array_equal(photo.alpha, np.where(same, 0, 1))
    assert photo.grey == (samples.ndim == 2)
    assert photo.bit_depth == samples.itemsize * 8


def test_a_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    opaque = read(saved(tmp_path / "opaque.png", image, "PNG"))
    clear = read(saved(tmp_path / "clear.png", image, "PNG", transparency=bytes([255, 51, 0])))
    assert np.array_equal(opaque.pixels[0], np.eye(3))
    assert np.array_equal(clear.pixels[0, :2], np.eye(3)[:2])
    assert not opaque.grey
    assert not clear.grey
    assert opaque.alpha is None
    assert np.array_equal(levels(clear.alpha, 255), [[255, 51, 0]])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA"])
def test_plain_modes(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray((COLOURS // 257).astype(np.uint8)).convert(mode)
    if mode[-1] == "A":
        image.putalpha(Image.fromarray((ALPHA // 257).astype(np.uint8)))
    photo = read(saved(tmp_path / "photo", image, "PNG"))
    assert np.array_equal(levels(photo.pixels, 255), np.asarray(image.convert("RGB")))
    assert photo.grey == (mode in ("1", "L", "LA"))
    if mode[-1] == "A":
        assert np.array_equal(levels(photo.alpha, 255), ALPHA // 257)
    else:
        assert photo.alpha is None


def test_cmyk_without_a_profile(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    photo = read(saved(tmp_path / "photo.jpg", image, "JPEG"))
    assert np.abs(photo.pixels - [0, 1, 1]).max() < 0.02
    assert photo.notes == ("CMYK without a colour profile was converted to sRGB",)
    assert photo.icc is None


def test_cmyk_with_a_profile_that_is_damaged(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    photo = read(saved(tmp_path / "photo.jpg", image, "JPEG", icc_profile=b"no profile"))
    assert np.abs(photo.pixels - [0, 1, 1]).max() < 0.02
    assert photo.notes == ("the colour profile is damaged; CMYK was converted to sRGB without it",)


def test_lab_is_converted() -> None:
    red = from_pil(Image.new("LAB", (4, 4), (136, 208, 195)))  # L 53, a 80, b 67
    assert np.abs(red.pixels - [1, 0, 0]).max() < 0.05
    assert red.notes == ("Lab was converted to sRGB",)


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.int16, np.int8])
def test_other_samples_are_refused(tmp_path: Path, dtype: type) -> None:
    (tmp_path / "photo").write_bytes(tiff(np.ones((4, 4), dtype)))
    with pytest.raises(ImageError, match="samples of the type u?int.* are not supported"):
        read(tmp_path / "photo")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [*range(10), 65535])
def test_the_orientation_is_applied_and_reset(tmp_path: Path, form: str, orientation: int) -> None:
    image = Image.fromarray((COLOURS[:, :9] // 257).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "maker"
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    path = saved(tmp_path / "photo", image, form, exif=exif, **options.get(form, {}))
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored), dtype=float)
    photo = read(path)
    assert np.array_equal(photo.pixels.shape, expected.shape)
    assert np.abs(photo.pixels * 255 - expected).max() < 0.01
    assert photo.exif is not None
    carried = Image.Exif()
    carried.load(photo.exif)
    assert carried.get(0x0112, 1) == 1
    assert carried[0x010F] == "maker"


def test_the_orientation_of_a_16_bit_colour_png(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = png_with(COLOURS, b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    (tmp_path / "photo").write_bytes(content)
    assert np.array_equal(levels(read(tmp_path / "photo").pixels, 65535), np.rot90(COLOURS, -1))


def test_the_orientation_of_a_16_bit_colour_tiff(tmp_path: Path) -> None:
    content = tiff(COLOURS, description="x" * 9)
    # A tag that nobody needs becomes the orientation: 270, ASCII, 10 bytes -> 274, SHORT, 6.
    old = content.index(struct.pack("<HH", 270, 2))
    entry = struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    (tmp_path / "photo").write_bytes(sorted_entries(content[:old] + entry + content[old + 12 :]))
    assert np.array_equal(levels(read(tmp_path / "photo").pixels, 65535), np.rot90(COLOURS, -1))


def sorted_entries(content: bytes) -> bytes:
    """Put the entries of a TIFF's first directory into the order that TIFF demands."""
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    table = content[start + 2 : start + 2 + 12 * count]
    entries = sorted((table[i : i + 12] for i in range(0, len(table), 12)), key=lambda e: e[1::-1])
    return content[: start + 2] + b"".join(entries) + content[start + 2 + 12 * count :]


def test_the_thumbnail_goes_and_the_rest_of_the_exif_data_stays(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif[0x8769] = {0x920A: 35.0, 0x927C: b"maker's own bytes"}
    data = bytearray(exif.tobytes())
    order = "<" if data[6:8] == b"II" else ">"
    (count,) = struct.unpack_from(f"{order}H", data, 6 + 8)
    struct.pack_into(f"{order}I", data, 6 + 10 + 12 * count, len(data) - 6)  # a second directory
    data += struct.pack(f"{order}HHHIHHI", 1, 0x0103, 3, 1, 6, 0, 0)
    before = Image.Exif()
    before.load(bytes(data))
    assert before.get_ifd(ExifTags.IFD.IFD1) == {0x0103: 6}
    photo = read(saved(tmp_path / "photo.jpg", Image.new("RGB", (4, 4)), "JPEG", exif=bytes(data)))
    assert photo.exif is not None
    carried = Image.Exif()
    carried.load(photo.exif)
    assert carried.get_ifd(ExifTags.IFD.IFD1) == {}
    assert carried[0x010F] == "maker"
    assert carried.get_ifd(0x8769)[0x927C] == b"maker's own bytes"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_profile_and_the_resolution_are_kept(tmp_path: Path, form: str) -> None:
    image = Image.new("RGB", (4, 4))
    photo = read(saved(tmp_path / "photo", image, form, icc_profile=SRGB, dpi=(300, 150)))
    assert photo.icc == SRGB
    if form != "WEBP":
        assert photo.dpi == pytest.approx((300, 150), abs=0.05)


@pytest.mark.parametrize(
    ("profile", "note"),
    [
        (b"damaged", "the colour profile is damaged and was left out"),
        (SRGB[:16] + b"GRAY" + SRGB[20:], "the colour profile is for GRAY and was left out"),
    ],
)
def test_a_profile_that_does_not_fit(tmp_path: Path, profile: bytes, note: str) -> None:
    path = saved(tmp_path / "photo.jpg", Image.new("RGB", (4, 4)), "JPEG", icc_profile=profile)
    photo = read(path)
    assert photo.icc is None
    assert photo.notes == (note,)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff",
    ],
)
def test_damaged_exif_is_no_reason_to_fail(tmp_path: Path, exif: bytes) -> None:
    path = saved(tmp_path / "photo.jpg", Image.new("RGB", (4, 4)), "JPEG", exif=exif)
    photo = read(path)
    assert photo.exif is None
    assert photo.notes == ("the EXIF data is damaged and was left out",)


def test_an_image_in_memory() -> None:
    image = Image.fromarray((COLOURS // 257).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=SRGB)
    photo = from_pil(Image.open(buffer))
    assert np.array_equal(levels(photo.pixels, 255), np.asarray(image))
    assert photo.icc == SRGB
    assert photo.format == "PNG"
