"""Each kind of file gives the pixels that another reader gives."""

import io
import struct
import sys
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from dcls_cli.errors import ImageError
from dcls_cli.image import Photo, read

RANDOM = np.random.default_rng(4)
DEEP = RANDOM.integers(1, 65536, (24, 31, 4), dtype=np.uint16)
SHALLOW = (DEEP >> 8).clip(1).astype(np.uint8)


def levels(photo: Photo) -> np.ndarray:
    """(H, W, C) of whole levels of the depth in which the photo is written."""
    return photo.to_samples(photo.bit_depth)


@pytest.mark.parametrize("bigtiff", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd"])
@pytest.mark.parametrize("samples", [SHALLOW, DEEP], ids=["8", "16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tiff(  # noqa: PLR0917 - a matrix
    tmp_path: Path,
    bigtiff: bool,
    byteorder: str,
    compression: str | None,
    samples: np.ndarray,
    channels: int,
) -> None:
    part = samples[..., :channels]
    tifffile.imwrite(
        tmp_path / "a",
        part[..., 0] if channels == 1 else part,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        bigtiff=bigtiff,
        byteorder=byteorder,
        compression=compression,
        predictor=compression in ("lzw", "deflate"),
        tile=(16, 16) if channels == 3 else None,
    )
    photo = read(tmp_path / "a")
    assert photo.bit_depth == 8 * samples.itemsize
    assert photo.grey == (channels < 3)
    assert np.array_equal(levels(photo), part)
    assert photo.notes == ()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_from_0_to_1_are_not_read_as_0_to_255(
    tmp_path: Path, dtype: type, channels: int
) -> None:
    values = RANDOM.random((12, 15, channels)).astype(dtype)
    tifffile.imwrite(
        tmp_path / "a",
        values.squeeze(),
        photometric="rgb" if channels > 2 else "minisblack",
        extrasamples=["unassalpha"] if channels == 4 else None,
    )
    photo = read(tmp_path / "a")
    assert np.abs(photo.pixels - values[..., : min(channels, 3)]).max() < 1e-3
    assert photo.bit_depth == 16
    assert photo.notes == ("its floating-point samples are written with 16 bits",)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    values = np.full((6, 5, 3), 0.5, np.float32)
    values[1, 2, :2] = value
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    with pytest.raises(ImageError, match=r"a\.tif: 2 of its samples are NaN or infinite"):
        read(tmp_path / "a.tif")


def test_floats_of_another_range_are_refused_and_overshoot_is_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 255, 60, dtype=np.float32).reshape(6, 10)
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(ImageError, match=r"samples from 0 to 255; expected 0 \(black\) to 1"):
        read(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", np.linspace(-0.05, 1.05, 60, dtype=np.float32)[None])
    photo = read(tmp_path / "a.tif")
    assert photo.notes[1] == "6 samples outside of 0 to 1 were clipped"
    assert (photo.pixels.min(), photo.pixels.max()) == (0, 1)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
def test_tiff_of_odd_depths(tmp_path: Path, bits: int) -> None:
    kind = np.uint16 if bits > 8 else np.uint8
    values = RANDOM.integers(0, 2**bits, (9, 16), dtype=kind)
    stored = values.astype(bool) if bits == 1 else values
    tifffile.imwrite(tmp_path / "a", stored, bitspersample=bits, photometric="minisblack")
    photo = read(tmp_path / "a")
    assert np.abs(photo.pixels[..., 0] - values / (2**bits - 1)).max() < 1e-6
    assert photo.bit_depth == (16 if bits > 8 else 8)
    assert photo.grey
    tifffile.imwrite(tmp_path / "b", stored, bitspersample=bits, photometric="miniswhite")
    assert np.abs(read(tmp_path / "b").pixels + photo.pixels - 1).max() < 1e-6


@pytest.mark.parametrize("samples", [SHALLOW, DEEP], ids=["8", "16"])
def test_tiff_with_alpha_that_is_multiplied_into_the_colours(
    tmp_path: Path, samples: np.ndarray
) -> None:
    white = np.iinfo(samples.dtype).max
    opacity = samples[..., 3:].astype(float).clip(white // 2) / white
    values = np.rint(np.concatenate([samples[..., :3] * opacity, opacity * white], axis=2))
    tifffile.imwrite(
        tmp_path / "a",
        values.astype(samples.dtype),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    photo = read(tmp_path / "a")
    assert np.abs(levels(photo)[..., :3].astype(int) - samples[..., :3]).max() <= 2


def test_samples_that_are_not_alpha_are_left_out(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a", SHALLOW, photometric="rgb", extrasamples=["unspecified"])
    photo = read(tmp_path / "a")
    assert photo.alpha is None
    assert np.array_equal(levels(photo), SHALLOW[..., :3])


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("samples", [SHALLOW, DEEP], ids=["8", "16"])
@pytest.mark.parametrize("alpha", [False, True])
def test_cmyk_keeps_its_bits_and_alpha(
    tmp_path: Path, samples: np.ndarray, planes: str, alpha: bool
) -> None:
    white = np.iinfo(samples.dtype).max
    opacity = np.maximum(samples[::-1, :, :1], white // 2)
    stored = np.concatenate([samples, opacity], axis=2) if alpha else samples
    tifffile.imwrite(
        tmp_path / "a",
        stored if planes == "contig" else np.moveaxis(stored, 2, 0).copy(),
        photometric="separated",
        planarconfig=planes,
        extrasamples=["unassalpha"] if alpha else None,
        compression="lzw",
    )
    share = 1 - samples / white
    photo = read(tmp_path / "a")
    error = photo.pixels - share[..., :3] * share[..., 3:]
    assert np.abs(error).max() < 0.6 / white + 1e-6
    assert photo.bit_depth == samples.itemsize * 8
    assert photo.notes == ("CMYK without a colour profile was converted to sRGB",)
    if alpha:
        assert np.array_equal(photo.samples[..., 3:], opacity)
    else:
        assert photo.alpha is None


def test_cmyk_of_16_bits_goes_through_its_profile_with_all_bits(tmp_path: Path) -> None:
    """Half of a level of 8 bits of ink must make a difference."""
    profile = Path("/usr/share/color/icc/ghostscript/default_cmyk.icc")
    if not profile.exists():
        pytest.skip("no CMYK profile is installed (package libgs-common)")
    inks = np.zeros((8, 256, 4), np.uint16)
    inks[..., 0] = 20_000 + np.arange(256)  # one level of 8 bits
    tag = [(34675, 7, len(profile.read_bytes()), profile.read_bytes(), True)]
    tifffile.imwrite(tmp_path / "a", inks, photometric="separated", extratags=tag)
    photo = read(tmp_path / "a")
    assert photo.notes == ("CMYK was converted to sRGB by its colour profile",)
    assert photo.samples.dtype == np.uint16
    assert len(np.unique(photo.samples[0, :, 0])) > 100
    with Image.open(tmp_path / "a") as shallow:
        expected = ImageCms.profileToProfile(
            shallow, str(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    assert np.abs(photo.pixels * 255 - np.asarray(expected)).max() < 1.5


def test_inks_that_are_not_cmyk_are_refused(tmp_path: Path) -> None:
    tag = [(332, 3, 1, 2, True)]
    tifffile.imwrite(tmp_path / "a", DEEP, photometric="separated", extratags=tag)
    with pytest.raises(ImageError, match="inks that are not CMYK"):
        read(tmp_path / "a")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_of_a_png_of_few_bits(tmp_path: Path, bits: int) -> None:
    levels_of = np.arange(16) % 2**bits
    packed = np.packbits((levels_of[:, None] >> np.arange(bits)[::-1]) & 1)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 16, 1, bits, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", 1)),
        (b"IDAT", zlib.compress(b"\0" + packed.tobytes())),
        (b"IEND", b""),
    )
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    (tmp_path / "a.png").write_bytes(content)
    photo = read(tmp_path / "a.png")
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha[0] == 0, levels_of == 1)


@pytest.mark.parametrize("raw", ["dng", "preview"])
def test_raw_files_of_cameras_are_not_taken_for_their_previews(tmp_path: Path, raw: str) -> None:
    with tifffile.TiffWriter(tmp_path / "a.nef") as file:
        if raw == "dng":
            file.write(SHALLOW[..., :3], extratags=[(50706, 1, 4, (1, 4, 0, 0), True)])
        else:
            file.write(SHALLOW[..., :3], subfiletype=1, subifds=1)
            file.write(DEEP[..., 0])
    with pytest.raises(ImageError, match="a camera's raw file"):
        read(tmp_path / "a.nef")


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_avif_keeps_its_depth(tmp_path: Path, bits: int, channels: int) -> None:
    values = (DEEP >> (16 - bits)).clip(1)[..., :channels]
    content = imagecodecs.avif_encode(
        (values if bits > 8 else values.astype(np.uint8)).squeeze(), 100, bitspersample=bits
    )
    (tmp_path / "a").write_bytes(content)
    photo = read(tmp_path / "a")
    expected = imagecodecs.avif_decode(content).reshape(values.shape)
    assert np.abs(photo.pixels - expected[..., : min(channels, 3)] / (2**bits - 1)).max() < 1e-6
    assert photo.bit_depth == (8 if bits == 8 else 16)
    assert photo.grey == (channels == 1)
    assert photo.format == "AVIF"


def test_avif_is_turned_as_it_says(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(np.arange(30, dtype=np.uint8)[:, None] * 8, 20, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.convert("RGB").save(tmp_path / "a.avif", exif=exif, quality=100, subsampling="4:4:4")
    photo = read(tmp_path / "a.avif")
    assert (photo.width, photo.height) == (30, 20)
    assert np.abs(photo.pixels[0, ::-1, 0] * 255 - np.arange(30) * 8).max() < 3


class TestHeic:
    """HEIC photos, with and without the package that reads them."""

    @staticmethod
    def encoded(mode: str, samples: np.ndarray, **options: object) -> bytes:
        pillow_heif = pytest.importorskip("pillow_heif", reason="the heif extra is not installed")
        height, width = samples.shape[:2]
        picture = pillow_heif.from_bytes(mode=mode, size=(width, height), data=samples.tobytes())
        file = io.BytesIO()
        picture.save(file, quality=-1, chroma=444, matrix_coefficients=0, **options)
        return file.getvalue()

    def test_8_bits(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(self.encoded("RGB", SHALLOW[..., :3]))
        photo = read(tmp_path / "a.jpg")
        assert np.abs(levels(photo).astype(int) - SHALLOW[..., :3]).max() <= 2
        assert (photo.format, photo.bit_depth, photo.grey) == ("HEIF", 8, False)

    def test_more_bits_than_8(self, tmp_path: Path) -> None:
        flat = np.full((32, 32, 3), [60_000, 30_001, 70], np.uint16)
        (tmp_path / "a").write_bytes(self.encoded("RGB;16", flat))
        photo = read(tmp_path / "a")
        assert photo.bit_depth == 16
        assert np.abs(photo.pixels * 65535 - flat).max() < 200

    def test_the_decoder_turns_it_and_exif_data_are_kept(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        exif[0x010F] = "maker"
        content = self.encoded("RGB", SHALLOW[..., :3], exif=exif.tobytes())
        (tmp_path / "a").write_bytes(content)
        photo = read(tmp_path / "a")
        upright = np.rot90(SHALLOW[..., :3], -1)
        assert photo.pixels.shape == upright.shape
        assert np.abs(levels(photo).astype(int) - upright).max() <= 2
        assert photo.exif is not None
        carried = Image.Exif()
        carried.load(photo.exif)
        assert (carried[0x010F], carried[0x0112]) == ("maker", 1)

    @pytest.mark.parametrize("percent", [10, 50, 90, 99])
    def test_truncated(self, tmp_path: Path, percent: int) -> None:
        content = self.encoded("RGB", SHALLOW[..., :3])
        (tmp_path / "a").write_bytes(content[: len(content) * percent // 100])
        with pytest.raises(ImageError, match="truncated, damaged or unsupported HEIF"):
            read(tmp_path / "a")

    def test_without_the_package_the_message_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        with pytest.raises(ImageError, match="need an optional package: pip install .*heif"):
            read(tmp_path / "a.heic")


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_many_frames_the_first_is_read_and_the_number_is_said(tmp_path: Path, form: str) -> None:
    colours = [(index, 255 - index, 7) for index in range(1, 65)]
    first, *others = (Image.new("RGB", (8, 8), colour) for colour in colours)
    options = {"lossless": True} if form == "WEBP" else {}
    first.save(tmp_path / "a", form, save_all=True, append_images=others, **options)
    photo = read(tmp_path / "a")
    assert np.abs(photo.pixels * 255 - colours[0]).max() < 4
    assert photo.notes == ("it has 64 frames or pages, of which the first is used",)


def test_transparency_of_a_gif(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 255, 0, 255, 0, 0])
    image.paste(0, (0, 0, 2, 4))
    image.save(tmp_path / "a.gif", transparency=0)
    photo = read(tmp_path / "a.gif")
    assert photo.alpha is not None
    assert (photo.alpha[:, :2] == 0).all()
    assert (photo.alpha[:, 2:] == 1).all()
    assert (photo.pixels == [1, 0, 0]).all()  # nothing of the green that nobody sees


@pytest.mark.parametrize("chunk", [b"tEXt", b"zTXt", b"iTXt", b"gAMA", b"eXIf"])
def test_a_png_with_a_damaged_comment_is_a_picture(tmp_path: Path, chunk: bytes) -> None:
    content = bytes(imagecodecs.png_encode(SHALLOW[..., :3].copy()))
    damaged = len(b"junk").to_bytes(4) + chunk + b"junk" + b"sum?"
    (tmp_path / "a.png").write_bytes(content[:33] + damaged + content[33:])
    photo = read(tmp_path / "a.png")
    assert np.array_equal(levels(photo), SHALLOW[..., :3])
    assert photo.notes == ("its metadata is damaged and was left out",)
