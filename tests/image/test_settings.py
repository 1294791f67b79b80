"""Format, quality, loss and depth of outputs are what was asked for, as other programs see them."""

import shutil
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image

from dcls_cli.errors import UsageError
from dcls_cli.image import Encoding, Photo, check_output, read, write

RANDOM = np.random.default_rng(5)
LEVELS16 = RANDOM.integers(0, 65536, (24, 31, 4), dtype=np.uint16)
LEVELS8 = (LEVELS16 >> 8).astype(np.uint8)

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>words</a></x:xmpmeta>'
IPTC = b"\x1c\x02\x78\x00\x07caption"  # record 2, data set 120


def photo_of(samples: np.ndarray, **properties: object) -> Photo:
    depth = 8 * samples.itemsize
    return Photo.from_samples(samples, 2**depth - 1, depth, **properties)


def written(path: Path, samples: np.ndarray, **options: object) -> Path:
    write(photo_of(samples), path, overwrite=True, encoding=Encoding(**options))
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_a_higher_quality_is_a_larger_and_better_file(tmp_path: Path, suffix: str) -> None:
    errors, sizes = [], []
    for quality in (20, 60, 95):
        path = written(tmp_path / f"out{suffix}", LEVELS8[..., :3], quality=quality)
        sizes.append(path.stat().st_size)
        with Image.open(path) as image:
            errors.append(float(np.abs(np.asarray(image, float) - LEVELS8[..., :3]).mean()))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


def test_jpeg_quality_is_that_of_libjpeg(tmp_path: Path) -> None:
    Image.fromarray(LEVELS8[..., :3]).save(tmp_path / "reference.jpg", quality=60)
    path = written(tmp_path / "out.jpg", LEVELS8[..., :3], quality=60)
    with Image.open(path) as image, Image.open(tmp_path / "reference.jpg") as reference:
        assert image.quantization == reference.quantization


def test_webp_without_loss(tmp_path: Path) -> None:
    path = written(tmp_path / "out.webp", LEVELS8, lossless=True)
    assert np.array_equal(imagecodecs.webp_decode(path.read_bytes()), LEVELS8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_avif(tmp_path: Path, channels: int) -> None:
    samples = np.full((40, 50, 4), [200, 90, 30, 128], np.uint8)[..., :channels]
    path = written(tmp_path / "out.avif", samples)
    decoded = imagecodecs.avif_decode(path.read_bytes()).reshape(40, 50, -1)
    if channels == 2:  # an AVIF has no grey with alpha in the decoders' eyes
        decoded = decoded[..., [0, -1]]
    assert np.abs(decoded.astype(int) - samples).max() <= 2


def test_avif_keeps_all_colour_resolution(tmp_path: Path) -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 200
    path = written(tmp_path / "out.avif", stripes, quality=95)
    with Image.open(path) as image:
        assert np.abs(np.asarray(image, int) - stripes).mean() < 6


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("wanted", [8, 16])
@pytest.mark.parametrize("samples", [LEVELS8, LEVELS16], ids=["8", "16"])
def test_the_depth_can_be_chosen(
    tmp_path: Path, suffix: str, wanted: int, samples: np.ndarray
) -> None:
    path = written(tmp_path / f"out{suffix}", samples, bit_depth=wanted)
    decode = imagecodecs.png_decode if suffix == ".png" else imagecodecs.tiff_decode
    decoded = decode(path.read_bytes())
    assert decoded.dtype == f"uint{wanted}"
    expected = np.rint(samples / np.iinfo(samples.dtype).max * (2**wanted - 1))
    assert np.abs(decoded - expected).max() <= (wanted == 16)


def test_a_format_may_be_asked_for_instead_of_a_suffix(tmp_path: Path) -> None:
    path = written(tmp_path / "no.suffix", LEVELS8[..., :3], format="webp")
    with Image.open(path) as image:
        assert image.format == "WEBP"


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.png", {"format": "jpg"}, "the suffix '.png' says PNG and -f says JPEG"),
        ("a.JPEG", {"format": "png"}, "the suffix '.JPEG' says JPEG and -f says PNG"),
        ("a.jpg", {"lossless": True}, "JPEG is not written without loss"),
        ("a.avif", {"lossless": True}, "AVIF is not written without loss"),
        ("a.jpg", {"bit_depth": 16}, "JPEG holds 8 bits a sample, not 16"),
        ("a.webp", {"bit_depth": 16}, "WEBP holds 8 bits a sample, not 16"),
        ("a.avif", {"bit_depth": 16}, "AVIF holds 8 bits a sample, not 16"),
        ("a.xyz", {}, "cannot tell the format from the suffix '.xyz'"),
        ("a.avif", {"width": 32769}, "AVIF is limited to 32768 pixels per side"),
        ("a.avif", {"width": 20000, "height": 20000}, "AVIF is limited to 268 megapixels"),
    ],
)
def test_contradictions_are_found_before_any_work(
    tmp_path: Path, name: str, options: dict[str, object], expected: str
) -> None:
    width, height = (int(str(options.pop(side, 8))) for side in ("width", "height"))
    encoding = Encoding(**options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=expected.replace(".", r"\.")):
        check_output(tmp_path / name, width, height, overwrite=False, encoding=encoding)


@pytest.mark.parametrize("options", [{"format": "gif"}, {"quality": 0}, {"bit_depth": 12}])
def test_settings_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Encoding(**options)  # type: ignore[arg-type]


def exif() -> bytes:
    data = Image.Exif()
    data[ExifTags.Base.Make] = "maker"
    return data.tobytes()


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
def test_exiftool_finds_what_was_carried_over(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    photo = photo_of(LEVELS8[..., :3], exif=exif(), xmp=XMP, iptc=IPTC, dpi=(300.0, 300.0))
    notes = write(photo, path, overwrite=False)

    def ask(*options: str) -> str:
        done = subprocess.run(
            ["exiftool", *options, path], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert ask("-s3", "-Make") == "maker"
    assert ask("-b", "-XMP") == XMP.decode()
    if suffix in (".webp", ".avif"):
        assert notes == (f"{suffix[1:].upper()} cannot hold IPTC data, which were left out",)
    else:
        assert ask("-s3", "-IPTC:Caption-Abstract") == "caption"
        assert notes == ()
    assert "Warning" not in ask("-warning")
    assert read(path).width == 31


def test_xmp_that_does_not_fit_into_jpeg_is_left_out(tmp_path: Path) -> None:
    photo = photo_of(LEVELS8[..., :3], xmp=XMP + b" " * 70_000, iptc=IPTC + bytes(70_000))
    notes = write(photo, tmp_path / "out.jpg", overwrite=False)
    assert [note.split(" of ")[1].split()[0] for note in notes] == ["XMP", "IPTC"]
    with Image.open(tmp_path / "out.jpg") as image:
        image.load()
