"""Whatever file is given: a whole output, or one line, exit code 1 and nothing on the disk."""

import io
import os
import shutil
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.image import read
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS, Blur
from tests.pace import stretched
from tests.posix import resource

Capture = pytest.CaptureFixture[str]

SCALE = 2


@pytest.fixture(scope="module")
def x2(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    config = ModelConfig.light(
        SCALE, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    path = tmp_path_factory.mktemp("weights") / "x2.safetensors"
    weights.write(DCLS(config), path)
    return str(path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    """A photo-like picture: smooth, with some noise, so that files are not tiny."""
    row, column = np.mgrid[:height, :width]
    planes = (row * 255 // height, column * 255 // width, (row + column) % 256)
    noise = np.random.default_rng(1).integers(0, 20, (height, width, 3))
    return (np.stack(planes, axis=2) * 0.9 + noise).astype(np.uint8)


def encoded(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, form, **options)
    return file.getvalue()


def tiff(samples: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric="rgb", **options)
    return file.getvalue()


WHOLE = {
    "jpg": encoded("JPEG", quality=90),
    "progressive.jpg": encoded("JPEG", quality=90, progressive=True),
    "png": encoded("PNG"),
    "png16": bytes(imagecodecs.png_encode(picture().astype(np.uint16) * 257)),
    "webp": encoded("WEBP", quality=90),
    "lossless.webp": encoded("WEBP", lossless=True),
    "tif": tiff(picture()),
    "lzw.tif": encoded("TIFF", compression="tiff_lzw"),
    "float.tif": tiff(picture().astype(np.float32) / 255),
    "big.tif": tiff(picture().astype(np.uint16), bigtiff=True, compression="deflate"),
    "avif": encoded("AVIF"),
    "gif": encoded("GIF"),
    "bmp": encoded("BMP"),
}

OTHERS = {
    "empty": b"",
    "one.byte": b"\xff",
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(100),
    "zip": b"PK\x03\x04" + bytes(100),
    "zeros": bytes(5000),
    "noise": np.random.default_rng(0).bytes(5000),
}


def refused(capsys: Capture, path: Path | str, *arguments: str) -> str:
    """The one line with which a file is refused; nothing may be left on the disk."""
    before = sorted(Path().rglob("*"))
    started = time.monotonic()
    assert run(["upscale", str(path), *arguments]) == 1
    assert time.monotonic() - started < stretched(5)
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("dcls: ")
    assert sorted(Path().rglob("*")) == before
    return line


@pytest.mark.parametrize("percent", [10, 30, 50, 70, 90, 95, 99])
@pytest.mark.parametrize("kind", WHOLE)
def test_case_9_truncated_files(kind: str, percent: int, x2: str, capsys: Capture) -> None:
    Path(kind).write_bytes(WHOLE[kind][: len(WHOLE[kind]) * percent // 100])
    assert "truncated" in refused(capsys, kind, "-w", x2)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_case_6_files_that_are_no_images(kind: str, suffix: str, x2: str, capsys: Capture) -> None:
    Path(f"a{suffix}").write_bytes(OTHERS[kind])
    line = refused(capsys, f"a{suffix}", "-w", x2)
    said = {
        "empty": "the file is empty",
        "html": "an HTML page",
        "lfs": "a Git LFS pointer",
        "pdf": "a PDF document",
        "zip": "a ZIP archive",
    }
    assert said.get(kind, f"a{suffix}: ") in line


def test_case_7_postscript_starts_no_program(
    folder: Path, x2: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bin").mkdir()
    ghostscript = folder / "bin" / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {folder}/started\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    Path("a.jpg").write_bytes(encoded("EPS"))
    assert "a PostScript file" in refused(capsys, "a.jpg", "-w", x2)
    assert not Path("started").exists()


def test_case_8_the_content_decides_in_a_batch_too(x2: str, capsys: Capture) -> None:
    Path("in").mkdir()
    Path("in/a.jpg").write_bytes(WHOLE["png"])
    Path("in/B.PNG").write_bytes(WHOLE["webp"])
    Path("in/c.tif").write_bytes(WHOLE["jpg"])
    assert run(["batch", "in", "-o", "out", "-w", x2]) == 0
    formats = {path.name: Image.open(path).format for path in Path("out").glob("*.*")}
    assert formats == {"a_x2.png": "PNG", "B_x2.webp": "WEBP", "c_x2.jpg": "JPEG"}


def test_case_2_bad_files_among_good_ones(x2: str, capsys: Capture) -> None:
    Path("in").mkdir()
    good = [f"good{index}.png" for index in range(20)]
    for name in good:
        Image.fromarray(picture(8, 9)).save(f"in/{name}")
    bad = {f"{kind}.jpg": content for kind, content in OTHERS.items()}
    bad |= {f"cut.{kind}.png": content[: len(content) * 6 // 10] for kind, content in WHOLE.items()}
    for name, content in bad.items():
        Path("in", name).write_bytes(content)
    assert run(["batch", "in", "-o", "out", "-w", x2]) == 1
    lines = capsys.readouterr().err.splitlines()
    for name in bad:
        assert len([line for line in lines if f"in/{name}: " in line]) == 1, name
    assert any(f"20 done, {len(bad)} failed" in line for line in lines), lines[-1]
    outputs = sorted(path.name for path in Path("out").iterdir() if path.suffix == ".png")
    assert outputs == sorted(name.replace(".png", "_x2.png") for name in good)
    for name in outputs:
        with Image.open(Path("out", name)) as image:
            image.load()
            assert image.size == (18, 16)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes, bits: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def gif_with_a_large_frame() -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0, 0, 0)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x44\x01\0;"
    return screen + frame


BOMBS = {
    "side.png": (png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", b"")), "2147483647x2147483647"),
    "bits.png": (png(60_000, 60_000, chunk(b"IDAT", b""), bits=1, colour=0), "60000x60000"),
    "case18.png": (png(30_000, 20_000, chunk(b"IDAT", b"")), "30000x20000"),
    "a.jpg": (
        WHOLE["jpg"].replace(struct.pack(">HH", 60, 80), struct.pack(">HH", 65500, 65500), 1),
        "65500x65500",
    ),
    "a.bmp": (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, *[0] * 6),
        "60000x60000",
    ),
    "a.gif": (gif_with_a_large_frame(), "more pixels"),
    "a.tif": (
        b"II*\0\x08\0\0\0\x03\0"
        + b"".join(
            struct.pack("<HHII", tag, 4, 1, value)
            for tag, value in ((256, 100_000), (257, 100_000), (262, 1))
        )
        + bytes(4),
        "100000x100000",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_case_4_bombs_are_refused_by_their_size(name: str, x2: str, capsys: Capture) -> None:
    content, said = BOMBS[name]
    Path(name).write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    line = refused(capsys, name, "-w", x2)
    assert time.monotonic() - started < stretched(2)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
    assert said in line
    assert "179 megapixels" in line
    assert "--max-pixels" in line


@pytest.mark.parametrize(
    "bomb",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"iTXt", b"Comment\0\x01\0\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(80_000_000))),
        b"".join(chunk(b"tEXt", b"Comment\0" + b"x" * 1_000_000) for _ in range(70)),
    ],
    ids=["zTXt", "iTXt", "iCCP", "tEXt"],
)
def test_huge_texts_are_left_out(bomb: bytes) -> None:
    rows = b"".join(b"\0" + bytes([index] * 9) for index in range(3))
    Path("a.png").write_bytes(png(3, 3, bomb, chunk(b"IDAT", zlib.compress(rows))))
    started = time.monotonic()
    photo = read(Path("a.png"))
    assert time.monotonic() - started < stretched(5)
    assert np.array_equal(photo.samples[:, 0, 0], [0, 1, 2])
    assert len(photo.notes) == 1
    assert "left out" in photo.notes[0]


def test_case_5_a_jpeg_of_many_scans(x2: str, capsys: Capture) -> None:
    content = encoded("JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    Path("a.jpg").write_bytes(content[:-2] + content[last:-2] * 5000 + b"\xff\xd9")
    assert "scans" in refused(capsys, "a.jpg", "-w", x2)


def test_scans_are_limited_by_the_time_that_they_take(x2: str, capsys: Capture) -> None:
    """100 scans are few for a small image and many for one of 30 megapixels."""
    for side, is_refused in ((64, False), (5500, True)):
        file = io.BytesIO()
        Image.new("L", (side, side)).save(file, "JPEG", progressive=True)
        content = file.getvalue()
        last = content.rindex(b"\xff\xda")
        Path("a.jpg").write_bytes(content[:-2] + content[last:-2] * 100 + b"\xff\xd9")
        if is_refused:
            assert "made to keep decoders busy" in refused(capsys, "a.jpg", "-w", x2)
        else:
            assert read(Path("a.jpg")).width == side


@pytest.mark.parametrize(
    "size",
    [(1, 1), (1, 9), (9, 1), (2, 1), (3, 3), (7, 5), (63, 65), (1, 2000), (2000, 1)],
)
@pytest.mark.parametrize("form", ["png", "tif"])
def test_case_10_any_size_becomes_exactly_twice_as_large(
    size: tuple[int, int], form: str, x2: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(f"a.{form}")
    outputs = []
    for tile in ("0", "64"):
        options = ["-w", x2, "--precision", "fp32", "--tile", tile, "-o", f"{tile}.{form}"]
        assert run(["upscale", f"a.{form}", *options]) == 0
        with Image.open(f"{tile}.{form}") as image:
            assert image.size == (2 * size[0], 2 * size[1])
            outputs.append(np.asarray(image, int))
    assert np.abs(outputs[0] - outputs[1]).max() <= 1


MODES = {
    "1": "png",
    "L": "jpg",
    "LA": "png",
    "P": "png",
    "RGB": "webp",
    "RGBA": "tif",
    "CMYK": "jpg",
    "LAB": "tif",
    "I;16": "png",
    "RGB;16": "png",
    "CMYK;16": "tif",
}


@pytest.mark.parametrize("mode", MODES)
def test_case_13_the_mean_of_each_colour_stays(mode: str) -> None:
    """Through the whole program with a shipped network: within three levels, alpha as well."""
    photo = Image.fromarray(picture()).convert("RGBA")
    photo.putalpha(Image.fromarray(picture()[..., 0].clip(30)))
    deep = picture().astype(np.uint16) * 257
    name = f"a.{MODES[mode]}"
    if mode == "RGB;16":
        Path(name).write_bytes(imagecodecs.png_encode(deep))
    elif mode == "I;16":
        Image.fromarray(deep[..., 0]).save(name)
    elif mode == "CMYK;16":
        inks = np.concatenate([65535 - deep, deep[..., :1] // 8], axis=2)
        tifffile.imwrite(name, inks, photometric="separated")
    elif mode == "LAB":
        spaces = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
        ImageCms.profileToProfile(photo.convert("RGB"), *spaces, outputMode="LAB").save(name)
    else:
        shown = photo if mode in ("RGBA", "LA") else photo.convert("RGB")
        shown.convert(mode).save(name, quality=95)
    expected = {
        "1": picture() @ [0.299, 0.587, 0.114],
        "L": picture() @ [0.299, 0.587, 0.114],
        "LA": picture() @ [0.299, 0.587, 0.114],
        "I;16": picture()[..., 0],
        "CMYK;16": picture() * (1 - picture()[..., :1] / 8 / 255),
    }.get(mode, picture())
    assert run(["upscale", name, "-m", "dcls-light-x2", "-o", "b.png", "--precision", "fp32"]) == 0
    deep_output = mode.endswith("16")
    levels = imagecodecs.png_decode(Path("b.png").read_bytes()) / (257 if deep_output else 1)
    grey = expected.ndim == 2
    colours = levels if levels.ndim == 2 else levels[..., : 1 if grey else 3]
    assert np.abs(colours.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() < 3
    if mode in ("LA", "RGBA"):
        assert abs(levels[..., -1].mean() - picture()[..., 0].clip(30).mean()) < 3
    else:
        assert levels.ndim == (2 if grey else 3)


def test_case_13_a_cut_out_figure_has_no_rings() -> None:
    """The flat colours of graphics have no blur to be found; their edges must not suffer from it.

    The shipped network; of a disc, laid on white, nothing may lie far outside or be missing inside.
    """
    row, column = np.mgrid[:60, :60]
    distance = np.hypot(row - 29.5, column - 29.5)
    samples = np.zeros((60, 60, 4), np.uint8)
    samples[distance < 20] = (220, 30, 30, 255)
    Image.fromarray(samples).save("disc.png")
    assert run(["upscale", "disc.png", "-s", "2"]) == 0
    alpha = np.asarray(Image.open("disc_x2.png"), int)[..., 3]
    row, column = np.mgrid[:120, :120]
    distance = np.hypot(row - 59.5, column - 59.5)
    assert alpha[distance > 46].max() <= 12
    assert alpha[distance < 34].min() >= 243


def test_case_13_hidden_colours_do_not_bleed(x2: str) -> None:
    """A red disc on hidden green, laid on red, is red to within two levels, edges included."""
    row, column = np.mgrid[:48, :48]
    inside = (row - 24) ** 2 + (column - 24) ** 2 < 200
    for name, hidden in (("green", (0, 255, 0)), ("red", (255, 0, 0))):
        samples = np.empty((48, 48, 4), np.uint8)
        samples[...] = (*hidden, 0)
        samples[inside] = (255, 0, 0, 255)
        Image.fromarray(samples).save(f"{name}.png")
        assert run(["upscale", f"{name}.png", "-w", x2, "--precision", "fp32"]) == 0
    green, red = (np.asarray(Image.open(f"{name}_x2.png"), float) for name in ("green", "red"))
    assert np.array_equal(green, red)
    composited = []
    for output in (green, red):
        alpha = output[..., 3:] / 255
        composited.append(output[..., :3] * alpha + np.array([255, 0, 0]) * (1 - alpha))
    assert np.abs(composited[0] - composited[1]).max() < 2


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
def test_case_15_of_many_frames_the_first_is_restored(form: str, x2: str, capsys: Capture) -> None:
    frames = [Image.new("RGB", (8, 8), (index % 256, index // 256, 50)) for index in range(1024)]
    frames[0].save(f"a.{form}", save_all=True, append_images=frames[1:], lossless=True)
    started = time.monotonic()
    assert run(["upscale", f"a.{form}", "-w", x2]) == 0
    assert time.monotonic() - started < stretched(5)
    assert "it has 1024 frames or pages, of which the first is used" in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_case_16_floats_that_are_no_numbers(value: float, x2: str, capsys: Capture) -> None:
    samples = picture().astype(np.float32) / 255
    samples[3, 4, 0] = value
    tifffile.imwrite("a.tif", samples, photometric="rgb")
    assert "1 of its samples are NaN or infinite" in refused(capsys, "a.tif", "-w", x2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("estimator", "the estimated blur is not finite"),
        ("restorer", "the network produced non-finite values, in fp32 too"),
    ],
)
def test_case_17_a_network_that_gives_no_numbers(
    part: str, said: str, precision: str, x2: str, capsys: Capture
) -> None:
    network = weights.load(Path(x2))
    with torch.no_grad():
        for parameter in getattr(network, part).parameters():
            parameter.mul_(1e15)  # finite, but not what comes of it
    weights.write(network, Path("broken.safetensors"))
    Path("a.png").write_bytes(WHOLE["png"])
    arguments = ("-w", "broken.safetensors", "-d", "cpu", "--precision", precision)
    assert said in refused(capsys, "a.png", *arguments)


def test_case_17_tiles_that_overflow_in_fp16_are_redone_in_fp32(
    x2: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features of 1e6 are too large for fp16, which no CPU is given but here, and only for it."""
    network = weights.load(Path(x2))
    with torch.no_grad():
        network.restorer.fusion.weight *= 1e6
        network.restorer.upsampler[0].weight /= 1e6
    weights.write(network, Path("overflowing.safetensors"))
    Image.fromarray(picture()).save("a.png")
    precisions: list[str] = []
    restore = DCLS.restore

    def record(self: DCLS, lr: torch.Tensor, blur: Blur) -> torch.Tensor:
        precisions.append("fp16" if torch.is_autocast_enabled("cpu") else "fp32")
        return restore(self, lr, blur)

    monkeypatch.setattr(DCLS, "restore", record)
    command = ["upscale", "a.png", "-w", "overflowing.safetensors", "-d", "cpu", "--tile", "64"]
    assert run([*command, "--precision", "fp32", "-o", "exact.png"]) == 0
    assert set(precisions) == {"fp32"}
    tiles = len(precisions)
    precisions.clear()
    monkeypatch.setattr("dcls_cli.backends.pytorch.select_precision", lambda *_: "fp16")
    assert run([*command, "--precision", "fp16", "-o", "half.png"]) == 0
    assert precisions == ["fp16", "fp32"] * tiles
    assert capsys.readouterr().err.count("such tiles are restored again in fp32") == 1
    exact, half = (np.asarray(Image.open(name)) for name in ("exact.png", "half.png"))
    assert exact.std() > 20
    assert np.array_equal(exact, half)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_what_is_no_file_never_hangs(x2: str, capsys: Capture) -> None:
    import socket

    os.mkfifo("fifo.png")
    Path("loop.png").symlink_to("loop.png")
    Path("dangling.png").symlink_to("nowhere.png")
    Path("folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        for name, said in (
            ("fifo.png", "not a regular file"),
            ("socket.png", "not a regular file"),
            ("folder.png", "a folder"),
            ("dangling.png", "no such file"),
            ("loop.png", "loop.png: "),
        ):
            assert said in refused(capsys, name, "-w", x2)


@pytest.mark.parametrize(
    "name",
    [
        "[red]x[green]",
        "two\nlines",
        "x" * 250,
        "é\u0301 ☕ %s {0}",
        "-dash",
        os.fsdecode(b"\xff\xfe"),
    ],
)
def test_case_20_any_name_works_or_is_refused_in_one_line(
    name: str, x2: str, capsys: Capture
) -> None:
    path = Path(f"{name}.png"[-255:])
    path.write_bytes(WHOLE["png"])
    if len(os.fsencode(path)) > 250:  # `_x2` makes it too long
        assert run(["upscale", "-w", x2, "--", str(path)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "name too long" in line or "name is too long" in line
        assert run(["upscale", "-w", x2, "--name", "short", "--", str(path)]) == 0
        return
    assert run(["upscale", "-w", x2, "--", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert len(captured.out.splitlines()) == 1
    assert path.with_name(f"{path.stem}_x2.png").is_file()


def test_an_output_may_have_the_longest_name_that_the_disk_takes(x2: str) -> None:
    Path("a.png").write_bytes(WHOLE["png"])
    name = "x" * 251 + ".png"
    assert run(["upscale", "a.png", "-w", x2, "-o", name]) == 0
    assert Path(name).is_file()
    assert len(list(Path().iterdir())) == 2


@pytest.mark.skipif(shutil.which("vips") is None, reason="libvips is not installed")
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_another_reader_takes_every_output_for_whole(suffix: str, x2: str) -> None:
    Path("b.png").write_bytes(WHOLE["png"])
    assert run(["upscale", "b.png", "-w", x2, "-o", f"a.{suffix}"]) == 0
    done = subprocess.run(
        ["vips", "avg", f"a.{suffix}[fail-on=error]"], capture_output=True, text=True, check=False
    )
    if "unsupported" in done.stderr or "not a known" in done.stderr:
        pytest.skip(f"this libvips reads no {suffix}")
    assert done.returncode == 0, done.stderr


def test_a_damaged_file_leaves_no_chatter_of_c_libraries() -> None:
    """In a process of its own: what libraries write to descriptor 2 is seen there."""
    for name, content in WHOLE.items():
        Path(name).write_bytes(content[: len(content) * 8 // 10])
    interlaced = io.BytesIO()
    Image.fromarray(picture()).save(interlaced, "PNG")
    code = (
        "import sys; from dcls_cli.cli.app import main; sys.argv = ['dcls', 'kernel', "
        f"*{list(WHOLE)!r}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == len(WHOLE)
    assert all(line.startswith("dcls: ") for line in lines)
