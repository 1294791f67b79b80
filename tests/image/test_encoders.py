"""Files that are written piece by piece are those that other programs read whole."""

import io
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from dcls_cli.errors import ImageError, OutOfMemoryError
from dcls_cli.image import Photo, check_output, encoders, write
from dcls_cli.image.encoders import pillow, tiff
from dcls_cli.image.photo import Carried
from dcls_cli.image.writing import expected_bytes

RANDOM = np.random.default_rng(5)

#: Larger than a megabyte, so that every format has several pieces; no size is a multiple of 8.
HEIGHT, WIDTH = 1301, 1003


def smooth(channels: int, dtype: type) -> np.ndarray:
    """A picture with slopes, edges and noise in the lowest bit."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    shades = [(rows * (3 + c) + columns * 2) % (200 + c) + RANDOM.integers(0, 2) for c in range(4)]
    samples = np.stack(shades[:channels], axis=2)
    return (samples * (257 if dtype == np.uint16 else 1)).astype(dtype)


@dataclass(frozen=True)
class Stream:
    """A picture that comes in bands of uneven height."""

    samples: np.ndarray
    carried: Carried = field(default_factory=Carried)
    breaks: Exception | None = None

    @property
    def width(self) -> int:
        return self.samples.shape[1]

    @property
    def height(self) -> int:
        return self.samples.shape[0]

    @property
    def channels(self) -> int:
        return self.samples.shape[2]

    @property
    def bit_depth(self) -> int:
        return 8 * self.samples.itemsize

    def bands(self, dtype: np.dtype) -> Generator[np.ndarray, None, None]:
        assert dtype == self.samples.dtype
        top = 0
        for height in (1, 300, 7, 64, 2000):
            yield self.samples[top : top + height]
            top += height
            if self.breaks is not None and top > 300:
                raise self.breaks


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_and_tiff_in_pieces_keep_every_bit(tmp_path: Path, channels: int, dtype: type) -> None:
    samples = smooth(channels, dtype)
    write(Stream(samples), tmp_path / "a.png", overwrite=False)
    png = (tmp_path / "a.png").read_bytes()
    assert png.count(b"IDAT") >= 2
    assert np.array_equal(imagecodecs.png_decode(png).reshape(samples.shape), samples)
    write(Stream(samples), tmp_path / "a.tif", overwrite=False)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert not file.is_bigtiff
        assert len(file.pages[0].dataoffsets) >= 2
        assert np.array_equal(file.asarray().reshape(samples.shape), samples)
    for name in ("a.png", "a.tif"):
        if dtype == np.uint8:
            assert np.array_equal(
                np.asarray(Image.open(tmp_path / name)).reshape(samples.shape), samples
            )


def test_png_is_about_as_small_as_libpng_makes_it(tmp_path: Path) -> None:
    original = Path(__file__).resolve().parents[2] / "examples/dog-original.png"
    samples = np.asarray(Image.open(original).convert("RGB"))
    write(Photo.from_samples(samples, 255, 8), tmp_path / "a.png", overwrite=False)
    assert (tmp_path / "a.png").stat().st_size < 1.05 * len(imagecodecs.png_encode(samples, 6))


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_in_bands_is_the_jpeg_of_the_whole(tmp_path: Path, channels: int) -> None:
    samples = smooth(channels, np.uint8)
    write(Stream(samples), tmp_path / "a.jpg", overwrite=False)
    content = (tmp_path / "a.jpg").read_bytes()
    expected = io.BytesIO()
    Image.fromarray(samples.squeeze()).save(expected, "JPEG", quality=95, subsampling=0)
    decoded = [np.asarray(Image.open(io.BytesIO(part))) for part in (content, expected.getvalue())]
    assert np.array_equal(*decoded)
    assert np.array_equal(imagecodecs.jpeg8_decode(content), decoded[0])
    assert content.count(b"\xff\xdd\x00\x04") == 1  # the interval
    assert b"\xff\xd0" in content  # the first restart


def test_more_than_4_gb_of_samples_become_a_bigtiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff, "_LARGEST_CLASSIC_BYTES", 10**6)
    exif = Image.Exif()
    exif[271] = "maker"
    exif[34665] = {37386: 35.0}
    samples = smooth(3, np.uint16)
    carried = Carried(exif=exif.tobytes(), icc=bytes(200), dpi=(300.0, 300.0))
    write(Stream(samples, carried), tmp_path / "a.tif", overwrite=False)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        tags = file.pages[0].tags
        assert tags["Make"].value == "maker"
        assert tags["ExifTag"].value["FocalLength"] == 35
        assert tags[34675].value == bytes(200)
        assert np.array_equal(file.asarray(), samples)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.getexif().get_ifd(34665)[37386] == 35


def test_formats_without_rows_wait_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = smooth(4, np.uint8)
    write(Stream(samples), tmp_path / "memory.webp", overwrite=False)
    monkeypatch.setattr(pillow, "LARGEST_IN_MEMORY", 10**6)
    write(Stream(samples), tmp_path / "disk.webp", overwrite=False)
    assert (tmp_path / "disk.webp").read_bytes() == (tmp_path / "memory.webp").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize(
    ("breaks", "expected"),
    [(OutOfMemoryError("full"), OutOfMemoryError), (ImageError("bad"), ImageError)],
)
def test_what_breaks_midway_leaves_nothing(
    tmp_path: Path, suffix: str, breaks: Exception, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        write(Stream(smooth(3, np.uint8), breaks=breaks), tmp_path / f"a{suffix}", overwrite=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 5, 64, 1000])
def test_rows_are_regrouped(count: int) -> None:
    samples = RANDOM.integers(0, 255, (97, 3, 1))
    groups = list(encoders.regrouped([samples[:1], samples[1:50], samples[50:]], count))
    assert [len(group) for group in groups[:-1]] == [count] * (len(groups) - 1)
    assert np.array_equal(np.concatenate(groups), samples)


def test_a_disk_that_is_much_too_small_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(_: object) -> object:
        return type("Usage", (), {"free": 10**9})

    monkeypatch.setattr("shutil.disk_usage", free)
    check_output(tmp_path / "a.png", 40_000, 40_000, overwrite=False, grey=True)
    check_output(tmp_path / "a.jpg", 40_000, 40_000, overwrite=False)
    with pytest.raises(ImageError, match="takes about 2592 MB and its disk has 1000 MB left"):
        check_output(tmp_path / "a.png", 40_000, 60_000, overwrite=False)


def test_the_expected_size_is_about_that_of_a_restored_photo(tmp_path: Path) -> None:
    from dcls_cli.image.formats import FORMATS

    original = Path(__file__).resolve().parents[2] / "examples/dog-original.png"
    photo = Photo.from_samples(np.asarray(Image.open(original).convert("RGB")), 255, 8)
    for name, form in FORMATS.items():
        path = tmp_path / f"a{form.suffixes[0]}"
        write(photo, path, overwrite=False)
        size = path.stat().st_size
        expected = expected_bytes(form, photo.samples.size, 8)
        assert expected / 4 < size < 2 * expected, (name, size, expected)
