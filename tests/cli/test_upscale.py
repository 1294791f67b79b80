"""`dcls upscale` on real files: what it writes, what it says, what it refuses."""

import json
import os
import re
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.files import platforms
from dcls_cli.jobs import naming
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.upscaler import Upscaler

Capture = pytest.CaptureFixture[str]


def write_weights(path: Path, scale: int) -> Path:
    torch.manual_seed(0)
    config = ModelConfig.light(
        scale, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    weights.write(DCLS(config), path)
    return path


@pytest.fixture(scope="module")
def x2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_weights(tmp_path_factory.mktemp("weights") / "x2.safetensors", 2))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(name: str, size: tuple[int, int] = (12, 9), mode: str = "RGB") -> Path:
    rng = np.random.default_rng(0)
    channels = len(mode)
    coarse = rng.integers(0, 256, (size[1] // 4 + 1, size[0] // 4 + 1, channels), np.uint8)
    array = coarse.repeat(4, axis=0).repeat(4, axis=1)[: size[1], : size[0]]
    path = Path(name)
    Image.fromarray(array[..., 0] if channels == 1 else array).save(path)
    return path


def fails(capsys: Capture, code: int, said: str, *arguments: str) -> None:
    """The command ends with this code and one line on stderr, and says nothing on stdout."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert run(["upscale", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("dcls: ")
    assert said in lines[0]
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_photo_becomes_larger_beside_itself_and_one_line_says_so(
    suffix: str, x2: str, capsys: Capture
) -> None:
    photo = picture(f"photo{suffix}")
    assert run(["upscale", str(photo), "-s", "2", "-w", x2, "--precision", "fp32"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    (line,) = captured.out.splitlines()
    assert line.startswith(f"photo_x2{suffix}  24x18  ")
    assert len(line) <= 80
    assert run(["upscale", str(photo), "-w", x2, "--overwrite", "-v", "--precision", "fp32"]) == 0
    assert "  cpu fp32  1 tile  blur " in capsys.readouterr().out
    with Image.open(f"photo_x2{suffix}") as output, Image.open(photo) as source:
        assert output.size == (24, 18)
        assert output.format == source.format
        if suffix in (".png", ".tif"):
            expected = Upscaler.from_pretrained(x2, precision="fp32").up(np.asarray(source)).image
            np.testing.assert_array_equal(np.asarray(output), expected)


def test_scale_comes_from_the_weights_and_formats_that_are_not_written_become_png(
    x2: str,
) -> None:
    assert run(["upscale", str(picture("a.bmp")), "-w", x2]) == 0
    assert Image.open("a_x2.png").size == (24, 18)


def test_output_may_be_a_file_a_folder_or_a_new_folder_for_several(x2: str) -> None:
    a, b = str(picture("a.png")), str(picture("b.png"))
    assert run(["upscale", a, "-w", x2, "-o", "named.webp"]) == 0
    assert Image.open("named.webp").format == "WEBP"
    Path("there").mkdir()
    assert run(["upscale", a, "-w", x2, "-o", "there"]) == 0
    assert run(["upscale", a, "-w", x2, "-o", "slash/deep/"]) == 0
    assert run(["upscale", a, b, "-w", x2, "-o", "several"]) == 0
    for made in ("there/a_x2.png", "slash/deep/a_x2.png", "several/a_x2.png", "several/b_x2.png"):
        assert Image.open(made).size == (24, 18)


def test_format_depth_and_name_are_as_asked(x2: str) -> None:
    a, b = str(picture("a.png")), str(picture("b.bmp"))
    options = ["-w", x2, "-f", "tiff", "--bit-depth", "16", "--name", "{stem}-{model}-{scale}"]
    assert run(["upscale", a, b, *options, "-o", "out/"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["a-x2-2.tif", "b-x2-2.tif"]
    assert imagecodecs.tiff_decode(Path("out/a-x2-2.tif").read_bytes()).dtype == np.uint16
    assert run(["upscale", a, "-w", x2, "-f", "avif", "--quality", "50"]) == 0
    assert Image.open("a_x2.avif").format == "AVIF"


def test_pixels_are_limited_and_metadata_left_out_as_asked(x2: str, capsys: Capture) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    Image.new("RGB", (12, 9)).save("a.jpg", exif=exif, dpi=(300, 300))
    fails(
        capsys, 1, "12x9 pixels (0.00011 megapixels) are more than", "a.jpg", "--max-pixels", "107"
    )
    for choice, maker, dpi in (("keep", "maker", 300), ("minimal", None, 300), ("strip", None, 0)):
        run(["upscale", "a.jpg", "-w", x2, "--metadata", choice, "--overwrite"])
        with Image.open("a_x2.jpg") as output:
            assert output.getexif().get(0x010F) == maker
            assert round(output.info.get("dpi", (0,))[0]) == dpi


@pytest.mark.parametrize(
    ("wanted", "expected", "said"),
    [
        (["--width", "16"], (16, 12), ""),
        (["--height", "9"], (12, 9), ""),
        (["--max-side", "20"], (20, 15), ""),
        (["--width", "20", "--height", "20"], (20, 15), ""),
        (["--width", "20", "--height", "18", "--stretch"], (20, 18), "proportions were changed"),
        (["--width", "48"], (48, 36), "48x36 is more than the 24x18 that were restored"),
        (["--width", "6"], (6, 4), "it was restored x2, then reduced"),
        (["-s", "1.5"], (18, 14), ""),
    ],
)
def test_outputs_have_the_size_that_was_asked_for(
    x2: str, wanted: list[str], expected: tuple[int, int], said: str, capsys: Capture
) -> None:
    arguments = [str(picture("a.png")), "-w", x2, *wanted]
    assert run(["upscale", *arguments]) == 0
    captured = capsys.readouterr()
    name = captured.out.split()[0]
    assert re.fullmatch(r"a_(w16|h9|max20|20x20|20x18|w48|w6|x1\.5)\.png", name)
    assert captured.out.startswith(f"{name}  {expected[0]}x{expected[1]}  ")
    # These weights are random, and so is the blur.
    lines = [line for line in captured.err.splitlines() if "blur uncertain" not in line]
    assert said in "".join(lines)
    assert len(lines) == bool(said)
    with Image.open(name) as output:
        assert output.size == expected
        whole = Upscaler.from_pretrained(x2).up(np.asarray(Image.open("a.png"), np.float32) / 255)
        planes = [Image.fromarray(plane) for plane in np.moveaxis(whole.image, 2, 0)]
        expected_levels = [
            np.asarray(plane.resize(expected, Image.Resampling.LANCZOS)) for plane in planes
        ]
        error = np.asarray(output) - np.stack(expected_levels, axis=2).clip(0, 1) * 255
        assert np.abs(error).max() < 0.6  # rounded once


def test_kernel_is_saved_as_taps_and_as_a_picture(x2: str) -> None:
    photo = str(picture("a.png"))
    assert run(["upscale", photo, "-w", x2, "--save-kernel", "k.npy", "--precision", "fp32"]) == 0
    kernel = np.load("k.npy")
    expected = Upscaler.from_pretrained(x2, precision="fp32").up(Image.open(photo))
    np.testing.assert_array_equal(kernel, expected.kernel)
    assert run(["upscale", photo, "-w", x2, "--save-kernel", "k.png", "--overwrite"]) == 0
    image = np.asarray(Image.open("k.png"))
    assert image.shape == (21 * 8, 21 * 8)
    peak = np.unravel_index(kernel.argmax(), kernel.shape)
    assert image[peak[0] * 8 + 3, peak[1] * 8 + 3] == image.max() == 255


def test_tiles_give_nearly_the_same_picture(x2: str) -> None:
    photo = str(picture("a.png", (90, 70)))
    common = ["-w", x2, "--precision", "fp32", "--overwrite"]
    assert run(["upscale", photo, *common, "--tile", "0", "-o", "whole.png"]) == 0
    assert run(["upscale", photo, *common, "--tile", "64", "-o", "tiled.png"]) == 0
    whole, tiled = (np.asarray(Image.open(name), int) for name in ("whole.png", "tiled.png"))
    assert np.abs(whole - tiled).max() <= 1


def test_json_is_one_event_a_line_and_a_summary(x2: str, capsys: Capture) -> None:
    picture("a.png", (90, 70))
    arguments = ["a.png", "missing.png", "-w", x2, "--json", "--tile", "64", "-o", "out/"]
    assert run(["upscale", *arguments]) == 1
    captured = capsys.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    names = [event.pop("event") for event in events]
    assert names == ["error", "start", *["tile"] * 4, "done", "summary"]
    error, start, *tiles, done, summary = events
    assert error["input"] == "missing.png"
    assert error["exit_code"] == 1
    assert start == {"input": "a.png", "output": "out/a_x2.png", "model": "x2", "reason": None}
    assert [(tile["done"], tile["total"]) for tile in tiles] == [(n, 4) for n in range(1, 5)]
    assert (done["width"], done["height"], done["scale"]) == (180, 140, 2)
    assert done["device"] == "cpu"
    assert done["precision"] in ("fp32", "bf16")
    assert done["kernel_width_px"] >= 0
    assert summary == {"done": 1, "failed": 1}
    assert captured.err == "dcls: missing.png: no such file\n"


def test_one_bad_photo_does_not_stop_the_others(x2: str, capsys: Capture) -> None:
    picture("a.png")
    cut = picture("cut.png", (60, 60))
    cut.write_bytes(cut.read_bytes()[:150])
    Path("text.jpg").write_text("not a photo")
    Path("folder.png").mkdir()
    bad = ["missing.png", "cut.png", "text.jpg", "folder.png"]
    assert run(["upscale", *bad, "a.png", "-w", x2, "-o", "out"]) == 1
    captured = capsys.readouterr()
    assert [line.split(": ")[1] for line in captured.err.splitlines()] == bad
    assert captured.out.startswith("out/a_x2.png  24x18")
    assert [path.name for path in Path("out").iterdir()] == ["a_x2.png"]


@pytest.mark.parametrize(
    ("code", "said", "arguments"),
    [
        (1, "dcls: none.png: no such file", ["none.png"]),
        (1, "dcls: taken.png: exists already", ["a.png", "-o", "taken.png"]),
        (1, "dcls: taken.npy: exists already", ["a.png", "--save-kernel", "taken.npy"]),
        (2, "would replace the input", ["a.png", "-o", "a.png"]),
        (2, "would replace the input", ["a.png", "-o", "./a.png", "--overwrite"]),
        (2, "would replace the input", ["a.png", "-o", "symbolic.png", "--overwrite"]),
        (2, "would replace the input", ["a.png", "-o", "hard.png", "--overwrite"]),
        (2, "would replace the input b_x2.png", ["b.png", "b_x2.png", "--overwrite"]),
        (2, "would replace the input", ["a.png", "--save-kernel", "a.png", "--overwrite"]),
        (2, "would be written for both a.png and a.bmp", ["a.png", "a.bmp", "-o", "there/"]),
        (2, "would be written for both", ["a.png", "a.png"]),
        (2, "several photos need a folder", ["a.png", "b.png", "-o", "c.png"]),
        (2, "several photos need a folder", ["a.png", "b.png", "-o", "taken.npy"]),
        (2, "cannot tell the format", ["a.png", "-o", "a.gif"]),
        (2, "65500 pixels per side", ["wide.png", "-o", "wide.jpg"]),
        (2, "the suffix '.jpg' says JPEG and -f says PNG", ["a.png", "-o", "c.jpg", "-f", "png"]),
        (2, "JPEG is not written without loss", ["a.png", "-f", "jpg", "--lossless"]),
        (2, "JPEG holds 8 bits a sample", ["a.png", "-f", "jpg", "--bit-depth", "16"]),
        (2, "--max-side excludes --width", ["a.png", "--max-side", "9", "--width", "9"]),
        (2, "--width", ["a.png", "--width", "0"]),
        (2, "WEBP is limited to 16383", ["a.png", "-f", "webp", "--width", "16384"]),
        (2, "unknown field {name}", ["a.png", "--name", "{name}"]),
        (2, "would be written for both a.png and b.png", ["a.png", "b.png", "--name", "same"]),
        (2, "--quality", ["a.png", "--quality", "101"]),
        (2, "JPEG cannot hold transparency", ["alpha.png", "-o", "alpha.jpg"]),
        (2, "nowhere", ["a.png", "-o", "nowhere/b.png"]),
        (
            2,
            "--save-kernel takes the kernel of one photo",
            ["a.png", "b.png", "--save-kernel", "k.npy"],
        ),
        (2, "--save-kernel writes .npy or .png", ["a.png", "--save-kernel", "k.jpg"]),
        (2, "scale 5 is not available; choose 1 to 4", ["a.png", "-s", "5"]),
        (2, "up-scales x2; give -s 2", ["a.png", "-s", "3"]),
        (
            2,
            "--tile 63: expected auto, 0 (the whole photo at once) or 64 or more pixels",
            ["a.png", "--tile", "63"],
        ),
        (2, "--tile", ["a.png", "--tile", "-1"]),
        (2, "--precision", ["a.png", "--precision", "int3"]),
        (2, "--frobnicate is not an option", ["a.png", "--frobnicate"]),
        (5, "fp16 is not usable on the CPU", ["a.png", "--precision", "fp16", "-d", "cpu"]),
        (5, "unknown device 'toaster'", ["a.png", "-d", "toaster"]),
        (5, "device 'cuda:99'", ["a.png", "-d", "cuda:99"]),
    ],
)
def test_impossible_requests_end_in_one_line_and_lose_nothing(
    code: int, said: str, arguments: list[str], x2: str, capsys: Capture
) -> None:
    for name in ("taken.png", "taken.npy"):
        Path(name).write_text("precious")
    for name in ("a.png", "a.bmp", "b.png", "b_x2.png"):
        picture(name)
    picture("wide.png", (32751, 1))
    picture("alpha.png", mode="RGBA")
    Path("symbolic.png").symlink_to("a.png")
    Path("hard.png").hardlink_to("a.png")
    fails(capsys, code, said, *arguments, "-w", x2)


def test_outputs_that_the_disk_takes_for_one_are_refused(
    x2: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second would replace the first, with exit code 0."""
    Path("y").mkdir()
    picture("photo.png")
    picture("y/PHOTO.png")
    one = naming.Sameness(case=True, forms=True)
    monkeypatch.setattr(naming, "sameness", lambda folder: one)
    photos = ["photo.png", "y/PHOTO.png", "-o", "out/"]
    fails(capsys, 2, "would be written for both photo.png and y/PHOTO.png", *photos, "-w", x2)
    assert run(["kernel", *photos, "-w", x2]) == 2
    assert "another photo of that name" in capsys.readouterr().err


def test_on_windows_patterns_are_expanded_here(
    x2: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platforms, "ON_WINDOWS", True)
    picture("a.png")
    picture("b.png")
    assert run(["upscale", "[ab].png", "-w", x2, "--name", "{stem}_large"]) == 0
    assert {path.name for path in Path().glob("*_large.png")} == {"a_large.png", "b_large.png"}
    assert run(["kernel", "?.png", "-o", "k/", "-w", x2]) == 0
    assert len(list(Path("k").iterdir())) == 4
    assert run(["upscale", "*.tif", "-w", x2]) == 1
    assert "*.tif: no such file" in capsys.readouterr().err


def test_on_windows_names_that_it_does_not_have_are_refused_before_any_work(
    x2: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platforms, "ON_WINDOWS", True)
    picture("a.png")
    fails(capsys, 2, "Windows has no ':'", "a.png", "--name", "{stem}: {scale}", "-w", x2)
    for name in ("b:c.png", "CON.png"):
        fails(capsys, 2, "Windows", "a.png", "-o", name, "-w", x2)


def test_without_a_photo_there_is_nothing_to_do(capsys: Capture) -> None:
    fails(capsys, 2, "upscale: PHOTO is missing, as in: dcls upscale photo.jpg")


def test_models_are_chosen_by_name_and_scale(x2: str, capsys: Capture) -> None:
    picture("a.png")
    fails(capsys, 2, "-m dcls-none: choose from dcls-light-x4", "a.png", "-m", "dcls-none")
    fails(capsys, 2, "exclude each other", "a.png", "-m", "dcls-light-x4", "-w", x2)


def test_weights_that_are_none_are_refused(x2: str, capsys: Capture) -> None:
    picture("a.png")
    fails(capsys, 3, "none.safetensors: no such weight file", "a.png", "-w", "none.safetensors")
    fails(capsys, 3, "a.png: not a safetensors file", "a.png", "-w", "a.png")
    Path("authors.pth").write_bytes(b"PK\x03\x04")
    fails(capsys, 3, "dcls weights convert authors.pth", "a.png", "-w", "authors.pth")
    damaged = bytearray(Path(x2).read_bytes())
    damaged[-100] ^= 1
    Path("damaged.safetensors").write_bytes(damaged)
    fails(capsys, 3, "damaged.safetensors: damaged", "a.png", "-w", "damaged.safetensors")


def test_names_are_never_markup_and_never_break_a_line(x2: str, capsys: Capture) -> None:
    names = ["[red]a[bold].png", "b\nc.png", ":smile:.png", "-dash.png"]
    for name in names:
        picture(name)
    assert run(["upscale", "-w", x2, "-o", "out", "--", *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split("  ")[0] for line in lines]
    assert shown == [
        "out/[red]a[bold]_x2.png",
        r"out/b\nc_x2.png",
        "out/:smile:_x2.png",
        "out/-dash_x2.png",
    ]
    fails(capsys, 1, r"dcls: [bold]no\nne: no such file", "[bold]no\nne", "-w", x2)


@pytest.mark.skipif(os.name == "nt", reason="names are text on Windows")
def test_names_that_are_no_text_work(x2: str, capsys: Capture) -> None:
    os.rename(picture("a.png"), os.fsencode("caf") + b"\xe9.png")  # noqa: PTH104 - bytes
    (name,) = (path for path in Path().iterdir() if path.suffix == ".png")
    assert run(["upscale", str(name), "-w", x2]) == 0
    assert capsys.readouterr().out.startswith(r"caf\udce9_x2.png  24x18")
    assert name.with_name(f"{name.stem}_x2.png").exists()


def test_transparency_is_kept(x2: str) -> None:
    picture("a.png", mode="RGBA")
    assert run(["upscale", "a.png", "-w", x2]) == 0
    assert Image.open("a_x2.png").mode == "RGBA"


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_heic_photo_becomes_what_holds_all_of_it(mode: str, x2: str, capsys: Capture) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the heif extra is not installed")
    pillow_heif.from_pillow(Image.open(picture("a.png", mode=mode))).save("in.heic", quality=-1)
    suffix = {"RGB": "jpg", "RGBA": "png"}[mode]
    assert run(["upscale", "in.heic", "-w", x2, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith(f"in_x2.{suffix}  ")
    assert run(["upscale", "in.heic", "-w", x2]) == 0
    assert Image.open(f"in_x2.{suffix}").mode == mode
    assert ("JPEG has no transparency" in capsys.readouterr().err) == (mode == "RGBA")
    if mode == "RGBA":
        fails(capsys, 2, "JPEG cannot hold transparency", "in.heic", "-w", x2, "-f", "jpg")


def test_debug_shows_the_traceback(x2: str, capsys: Capture) -> None:
    assert run(["upscale", "a.png", "-w", "none.safetensors", "--debug"]) == 3
    captured = capsys.readouterr().err
    assert "Traceback" in captured
    assert captured.splitlines()[-1] == "dcls: none.safetensors: no such weight file"
