"""The page in headless Chromium, on real pictures, against the Python engine.

Needs `npm ci` in export/web, Node and Chromium; run with `pytest -m slow tests/web`.
"""

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli import Upscaler
from dcls_cli.image import read
from dcls_cli.kernels import kernel_width_px
from dcls_cli.models.auto import choose
from tests.web.engine import CORRECTED_TOLERANCE, LIGHT, PHOTO, TOLERANCE, chosen, differs
from tests.web.nodes import Drive
from tests.web.serving import ISOLATED, address, serve

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(box: tuple[int, int, int, int]) -> Image.Image:
    """A part of the example photo."""
    with Image.open(EXAMPLES / "dog-original.png") as image:
        return image.convert("RGB").crop(box)


def test_the_example_is_restored_as_by_the_python_engine(
    site: str, drive: Drive, tmp_path: Path
) -> None:
    picture, result = EXAMPLES / "dog.png", tmp_path / "result.png"
    said = drive(url=site, picture=picture, download=result, slide=True)
    assert differs(result, picture, LIGHT) <= TOLERANCE
    assert said["name"] == "dog_x4.png"
    assert said["status"].startswith("Done in ")
    assert said["facts"]["Picture"] == "144 × 144 → 576 × 576 pixels"
    kernel = Upscaler.from_pretrained(LIGHT, device="cpu").up(Image.open(picture)).kernel
    assert said["width"] == f"Width {kernel_width_px(kernel):.2f} output pixels"
    assert said["brightest"] == list(np.unravel_index(kernel.argmax(), kernel.shape))
    assert said["split"] == ["50%", "51%"]  # two steps of the right arrow key
    assert said["complaints"] == []
    assert said["longest"] < 2000  # milliseconds without an answer; a tile takes longer


@pytest.mark.parametrize("fidelity", [0.5, 1.0])
def test_fidelity_is_that_of_the_python_engine(
    site: str, drive: Drive, tmp_path: Path, fidelity: float
) -> None:
    picture, result = tmp_path / "crop.png", tmp_path / "result.png"
    example((100, 60, 200, 130)).save(picture)
    settings = {"fidelity": f"{fidelity:g}", "model": PHOTO}
    drive(url=site, picture=picture, download=result, settings=settings)
    assert differs(result, picture, PHOTO, fidelity) <= CORRECTED_TOLERANCE
    assert differs(result, picture, PHOTO) > CORRECTED_TOLERANCE


def test_the_page_has_an_example(site: str, drive: Drive, tmp_path: Path) -> None:
    result = tmp_path / "result.png"
    said = drive(url=site, download=result)
    assert said["name"] == "example_x4.png"
    assert differs(result, EXAMPLES / "dog.png", LIGHT) <= TOLERANCE


@pytest.mark.parametrize("form", ["grey.png", "deep.png", "cmyk.jpg", "palette.gif"])
def test_other_samples_than_8_bit_colours(
    site: str, drive: Drive, tmp_path: Path, form: str
) -> None:
    image, picture, result = example((200, 150, 256, 198)), tmp_path / form, tmp_path / "x.png"
    if form == "deep.png":
        levels = np.asarray(image.convert("L")).astype(np.uint16) * 257
        Image.fromarray(levels).save(picture)
        image = image.convert("L").convert("RGB")
    else:
        converted = {"grey.png": "L", "cmyk.jpg": "CMYK", "palette.gif": "P"}[form]
        image.convert(converted).save(picture)
        with Image.open(picture) as saved:
            image = saved.convert("RGB")
    drive(url=site, picture=picture, download=result)
    assert differs(result, image, chosen(picture)) <= TOLERANCE


def test_tiles_of_a_picture_larger_than_one_window_leave_no_trace(
    site: str, drive: Drive, tmp_path: Path
) -> None:
    picture, result = tmp_path / "crop.png", tmp_path / "result.png"
    example((40, 200, 330, 280)).save(picture)
    drive(url=site, picture=picture, download=result, settings={"tile": "64"})
    assert differs(result, picture, LIGHT) <= TOLERANCE


def test_a_jpeg_lies_on_its_side_and_goes_through_the_photo_network(
    site: str, drive: Drive, tmp_path: Path
) -> None:
    picture, result = tmp_path / "phone.jpg", tmp_path / "result.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    example((100, 100, 196, 172)).save(picture, quality=85, subsampling=0, exif=exif)
    said = drive(url=site, picture=picture, download=result)
    assert said["facts"]["Network"] == f"{PHOTO}: JPEG compresses with loss"
    assert said["facts"]["Noise"].endswith("% of the picture's power")
    with Image.open(result) as image:
        assert image.size == (4 * 72, 4 * 96)
    assert differs(result, picture, PHOTO) <= TOLERANCE


def test_noise_gets_the_photo_network_by_the_rule_of_python(
    site: str, drive: Drive, tmp_path: Path
) -> None:
    picture, result = tmp_path / "noisy.png", tmp_path / "result.png"
    levels = np.asarray(example((40, 120, 136, 192))).astype(float)
    levels += np.random.default_rng(1).normal(0, 8, levels.shape)
    Image.fromarray(np.rint(levels.clip(0, 255)).astype(np.uint8)).save(picture)
    said = drive(url=site, picture=picture, download=result)
    choice = choose(read(picture), 4)
    assert choice.model == PHOTO
    assert "noise of" in choice.reason
    assert said["facts"]["Network"] == f"{PHOTO}: {choice.reason}"
    assert differs(result, picture, PHOTO) <= TOLERANCE


def test_transparency_is_restored_and_no_colour_is_premultiplied(
    site: str, drive: Drive, tmp_path: Path
) -> None:
    picture, result = tmp_path / "glass.png", tmp_path / "result.png"
    image = example((200, 150, 280, 222))
    image.putalpha(Image.fromarray(np.tile(np.arange(80, dtype=np.uint8), (72, 1))))
    image.save(picture)
    drive(url=site, picture=picture, download=result)
    assert differs(result, picture, LIGHT) <= TOLERANCE


def test_threads_where_the_server_isolates_the_page(
    dist: Path, drive: Drive, tmp_path: Path
) -> None:
    picture, result = tmp_path / "crop.png", tmp_path / "result.png"
    example((60, 60, 140, 120)).save(picture)
    with serve(dist, ISOLATED) as server:
        said = drive(url=address(server), picture=picture, download=result)
    assert said["facts"]["Engine"].endswith(" threads")
    assert differs(result, picture, LIGHT) <= TOLERANCE


def test_nothing_is_loaded_from_elsewhere_and_nothing_can_be_sent(
    site: str, drive: Drive, tmp_path: Path
) -> None:
    picture = tmp_path / "crop.png"
    example((60, 60, 100, 90)).save(picture)
    with serve(tmp_path) as elsewhere:
        said = drive(url=site, picture=picture, elsewhere=address(elsewhere))
        assert elsewhere.posts == 0  # type: ignore[attr-defined]
    assert said["elsewhere"] == ["refused", "refused"]
    assert said["origins"] == [site.rstrip("/")]


def large(width: int, height: int) -> bytes:
    """A PNG of grey, which Pillow would need gigabytes for."""

    def chunk(name: bytes, content: bytes) -> bytes:
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * height), 9)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expected a PNG, JPEG, WebP, AVIF, GIF or BMP picture, got an empty file."),
        (b"<html>", "Expected a PNG, JPEG, WebP, AVIF, GIF or BMP picture, got something else."),
        (large(9, 9)[:50], "The PNG file cannot be decoded: it is damaged"),
        (large(7, 30), "7 × 30 pixels: at least 8 × 8 are needed."),
        (large(8193, 8), "8193 × 8 pixels (0.1 million) are too many for a browser: at most 16"),
        (large(4001, 4000), "4001 × 4000 pixels (16.0 million) are too many for a browser"),
    ],
)
def test_pictures_that_cannot_be_taken_are_refused_in_words(
    site: str, drive: Drive, tmp_path: Path, content: bytes, message: str
) -> None:
    picture = tmp_path / "photo.png"
    picture.write_bytes(content)
    said = drive(url=site, picture=picture)
    assert said["error"].startswith(message)
    assert said["status"] == ""


def test_cancel_ends_the_work_at_once(site: str, drive: Drive) -> None:
    picture = EXAMPLES / "dog.png"
    said = drive(url=site, picture=picture, settings={"tile": "64"}, cancel=True)
    assert said["status"] == "Cancelled; there is no result."
    assert said["workers"] == 0
    assert said["name"] == ""


def changed(dist: Path, folder: Path, name: str, change: Callable[[bytes], bytes | None]) -> Path:
    """A copy of the page with one file changed, or without it."""
    shutil.copytree(dist, folder)
    content = change((folder / name).read_bytes())
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("name", "kept", "message"),
    [
        ("models/dcls-light-x4-restorer.onnx", 0, "is missing (404): build the page anew."),
        ("models/dcls-light-x4-restorer.onnx", 0.9, "is not a graph of dcls or is cut off"),
        ("ort/ort.wasm.min.mjs", 0, "The page's own files did not load"),
        ("choice.json", 0.5, "choice.json is missing or damaged: build the page anew."),
    ],
)
def test_a_page_with_a_damaged_file_says_so(
    dist: Path, drive: Drive, tmp_path: Path, *, name: str, kept: float, message: str
) -> None:
    def damage(content: bytes) -> bytes | None:
        return content[: int(kept * len(content))] or None

    with serve(changed(dist, tmp_path / "page", name, damage)) as server:
        said = drive(url=address(server), picture=EXAMPLES / "dog.png")
    assert message in said["error"]


def test_smaller_tiles_where_memory_runs_out(dist: Path, drive: Drive, tmp_path: Path) -> None:
    """WebAssembly with 56 MB at most, in pages of 64 KiB, in place of 4 GiB."""

    def little(script: bytes) -> bytes:
        assert script.count(b"maximum:65536") == 1
        return script.replace(b"maximum:65536", b"maximum:850")

    folder = changed(dist, tmp_path / "page", "ort/ort-wasm-simd-threaded.mjs", little)
    result = tmp_path / "result.png"
    with serve(folder) as server:
        said = drive(url=address(server), picture=EXAMPLES / "dog.png", download=result)
    assert said["notes"][0] == "Out of memory with tiles of 192 pixels: trying 96."
    assert differs(result, EXAMPLES / "dog.png", LIGHT) <= TOLERANCE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(site: str, drive: Drive, tmp_path: Path, scheme: str) -> None:
    picture = tmp_path / "crop.png"
    example((60, 60, 200, 100)).save(picture)
    phone = {"viewport": {"width": 360, "height": 740}, "colorScheme": scheme, "hasTouch": True}
    shot, zoom = tmp_path / "phone.png", scheme == "dark"
    said = drive(url=site, picture=picture, page=phone, touch=0.25, zoom=zoom, screenshot=shot)
    assert not said["sideways"]
    assert [round(float(share.rstrip("%"))) for share in said["split"]] == [50, 25]
    with Image.open(shot) as image:
        assert (np.asarray(image.convert("L"))[0].mean() < 128) == (scheme == "dark")
