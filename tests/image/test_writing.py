"""What is written is what other programs read, whole, and nothing else is touched."""

import io
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from dcls_cli.errors import ImageError, UsageError
from dcls_cli.image import Photo, check_output, from_pil, read, to_pil, write

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

RANDOM = np.random.default_rng(11)
LEVELS16 = RANDOM.integers(0, 65536, (9, 14, 4), dtype=np.uint16)
LEVELS8 = (LEVELS16 >> 8).astype(np.uint8)


def exif() -> bytes:
    data = Image.Exif()
    data[ExifTags.Base.Make] = "maker"
    data[ExifTags.Base.Orientation] = 1
    data[ExifTags.IFD.Exif] = {ExifTags.Base.FocalLength: 35.0}
    return data.tobytes()


def photo_of(samples: np.ndarray, **properties: object) -> Photo:
    depth = 8 * samples.itemsize
    return Photo.from_samples(samples, 2**depth - 1, depth, **properties)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("levels", [LEVELS8, LEVELS16], ids=["8", "16"])
@pytest.mark.parametrize("suffix", [".png", ".PNG", ".tif", ".tiff"])
def test_png_and_tiff_keep_every_bit(
    tmp_path: Path, channels: int, levels: np.ndarray, suffix: str
) -> None:
    samples = levels[..., :channels]
    path = tmp_path / f"out{suffix}"
    assert write(photo_of(samples), path, overwrite=False) == ()
    decode = imagecodecs.png_decode if suffix.lower() == ".png" else imagecodecs.tiff_decode
    decoded = decode(path.read_bytes())
    assert decoded.dtype == samples.dtype
    assert np.array_equal(decoded.reshape(samples.shape), samples)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pillow_reads_our_8_bit_files(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"out{suffix}"
    write(photo_of(LEVELS8[..., :channels]), path, overwrite=False)
    with Image.open(path) as image:
        assert image.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        assert np.array_equal(np.asarray(image).reshape(9, 14, -1), LEVELS8[..., :channels])


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_has_quality_95_and_all_colour_resolution(tmp_path: Path, channels: int) -> None:
    samples = LEVELS8[..., :channels]
    write(photo_of(samples), tmp_path / "out.jpg", overwrite=False)
    expected = io.BytesIO()
    image = Image.fromarray(samples.squeeze())
    image.save(expected, "JPEG", quality=95, subsampling="4:4:4")
    with Image.open(tmp_path / "out.jpg") as written, Image.open(expected) as reference:
        assert written.mode == image.mode
        assert written.quantization == reference.quantization
        assert [layer[1:3] for layer in written.layer] == [(1, 1)] * channels
        assert np.array_equal(np.asarray(written), np.asarray(reference))


def test_webp_keeps_alpha(tmp_path: Path) -> None:
    write(photo_of(LEVELS8), tmp_path / "out.webp", overwrite=False)
    with Image.open(tmp_path / "out.webp") as image:
        assert image.mode == "RGBA"
        assert np.array_equal(np.asarray(image)[..., 3], LEVELS8[..., 3])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("levels", [LEVELS8, LEVELS16], ids=["8", "16"])
def test_metadata_is_kept(tmp_path: Path, suffix: str, levels: np.ndarray) -> None:
    photo = photo_of(levels[..., :3], icc=SRGB, exif=exif(), dpi=(300.0, 150.0))
    path = tmp_path / f"out{suffix}"
    notes = write(photo, path, overwrite=False)
    with Image.open(path) as image:
        assert image.info["icc_profile"] == SRGB
        carried = image.getexif()
        assert carried[ExifTags.Base.Make] == "maker"
        assert carried.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLength] == 35
        if suffix != ".webp":
            assert image.info["dpi"] == pytest.approx((300, 150), abs=0.05)
    again = read(path)
    assert again.icc == SRGB
    assert again.exif is not None
    lossy = suffix in (".jpg", ".webp")
    assert len(notes) == (1 if lossy and levels.itemsize == 2 else 0)
    assert again.bit_depth == (8 if lossy else 8 * levels.itemsize)


def test_too_much_exif_data_for_jpeg_is_left_out(tmp_path: Path) -> None:
    photo = photo_of(LEVELS8[..., :3], exif=exif() + bytes(70_000))
    (note,) = write(photo, tmp_path / "out.jpg", overwrite=False)
    assert "do not fit into JPEG" in note
    assert read(tmp_path / "out.jpg").exif is None


def test_rounding_is_to_the_nearest_level_and_ties_go_to_the_even_one(tmp_path: Path) -> None:
    values = np.array([[-0.5, 0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 2.6 / 255, 1, 1.5]])
    pixels = np.repeat(values[..., None], 3, axis=2).astype(np.float32)
    write(Photo.from_samples(pixels, 1, 8), tmp_path / "out.png", overwrite=False)
    with Image.open(tmp_path / "out.png") as image:
        assert np.asarray(image)[0, :, 0].tolist() == [0, 0, 0, 2, 2, 3, 255, 255]


def test_pixels_in_any_memory_order_are_written(tmp_path: Path) -> None:
    photo = photo_of(LEVELS8[..., :3])
    turned = replace(photo, samples=photo.samples.transpose(1, 0, 2)[::-1])
    for suffix in (".png", ".tif"):
        write(turned, tmp_path / f"out{suffix}", overwrite=False)
        assert np.array_equal(
            read(tmp_path / f"out{suffix}").to_samples(8), np.rot90(LEVELS8[..., :3])
        )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_values_that_are_not_finite_are_never_written(
    tmp_path: Path, value: float, suffix: str
) -> None:
    pixels = np.full((4, 4, 3), value, np.float32)
    with pytest.raises(ImageError, match="not finite"):
        write(Photo.from_samples(pixels, 1, 8), tmp_path / f"out{suffix}", overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_unless_it_may_go(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    with pytest.raises(ImageError, match=f"{path}: exists already.*--overwrite"):
        write(photo_of(LEVELS8), path, overwrite=False)
    assert path.read_bytes() == b"old"
    write(photo_of(LEVELS8), path, overwrite=True)
    assert read(path).width == 14


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="the folder .*missing does not exist"):
        write(photo_of(LEVELS8), tmp_path / "missing" / "out.png", overwrite=False)


def test_what_can_be_known_before_the_work(tmp_path: Path) -> None:
    def check(name: str, width: int = 8, height: int = 8, **options: bool) -> None:
        check_output(tmp_path / name, width, height, **{"overwrite": False, **options})

    (tmp_path / "old.png").write_bytes(b"old")
    (tmp_path / "folder.png").mkdir()
    check("new.png", 100_000, 100_000)
    check("new.tif", 100_000, 100_000)
    check("new.jpg", 65500, 65500)
    check("new.webp", 16383, 16383, alpha=True)
    check("old.png", overwrite=True)
    for name, options, expected in (
        ("new.gif", {}, "cannot tell the format from the suffix '.gif'; expected .png, .jpg"),
        ("new", {}, "cannot tell the format"),
        ("new.jpg", {"width": 65501}, "JPEG is limited to 65500 pixels per side"),
        ("new.WEBP", {"height": 16384}, "WEBP is limited to 16383 pixels per side"),
        ("new.jpeg", {"alpha": True}, "JPEG cannot hold transparency"),
        ("missing/new.png", {}, "the folder .*missing does not exist"),
        ("old.png/new.png", {}, "old.png is not a folder"),
    ):
        with pytest.raises(UsageError, match=expected):
            check(name, **options)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="exists already"):
        check("old.png")
    with pytest.raises(ImageError, match="is a folder"):
        check("folder.png", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "old.png"]


def test_the_output_is_not_the_input_by_any_name(tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(b"photo")
    (tmp_path / "link.png").symlink_to(source)
    (tmp_path / "hard.png").hardlink_to(source)
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "real").mkdir()
    for name in ("photo.png", "link.png", "hard.png", "folder/photo.png", "real/../photo.png"):
        with pytest.raises(UsageError, match="would overwrite the input"):
            check_output(tmp_path / name, 8, 8, overwrite=True, source=source)
    check_output(tmp_path / "other.png", 8, 8, overwrite=True, source=source)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pillow_in_pillow_out(mode: str) -> None:
    image = Image.fromarray(LEVELS8, "RGBA").convert(mode)
    image.info.update(icc_profile=SRGB if mode.startswith("RGB") else None, dpi=(300, 300))
    back = to_pil(from_pil(image))
    assert back.mode == mode
    assert np.array_equal(np.asarray(back), np.asarray(image))
    assert back.info.get("icc_profile") == image.info["icc_profile"]
    assert back.info["dpi"] == (300, 300)


def test_pillow_in_pillow_out_with_16_bits() -> None:
    back = to_pil(from_pil(Image.fromarray(LEVELS16[..., 0])))
    assert back.mode == "I;16"
    assert np.array_equal(np.asarray(back), LEVELS16[..., 0])
    assert to_pil(photo_of(LEVELS16)).mode == "RGBA"
