"""Text of PNG and comments of JPEG: kept where there is a place for them, else reported."""

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from dcls_cli.cli.app import run
from dcls_cli.image import from_pil, read, write
from tests.cli.test_upscale import write_weights

PICTURE = Image.fromarray(np.random.default_rng(1).integers(99, 120, (24, 40, 3), np.uint8))

TEXTS = {"Title": "Katze", "parameters": "a cat\nSteps: 20, Seed: 1", "Author": "Jörg 日本"}


def with_texts(path: Path) -> Path:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", TEXTS["Title"])
    info.add_text("parameters", TEXTS["parameters"], zip=True)
    info.add_itxt("Author", TEXTS["Author"], "de", "Autor", zip=True)
    info.add_text("Thumb::Image::Width", "40")
    PICTURE.save(path, pnginfo=info)
    return path


def texts(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        return dict(image.text)  # type: ignore[attr-defined]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_text_goes_from_png_to_png(tmp_path: Path) -> None:
    photo = read(with_texts(tmp_path / "a.png"))
    assert write(photo, tmp_path / "b.png", overwrite=False) == ()
    assert texts(tmp_path / "b.png") == TEXTS
    author = texts(tmp_path / "b.png")["Author"]
    assert (author.lang, author.tkey) == ("de", "Autor")  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", ["jpg", "tif", "webp", "avif"])
def test_text_that_has_no_place_is_named(form: str, tmp_path: Path) -> None:
    photo = read(with_texts(tmp_path / "a.png"))
    (note,) = write(photo, tmp_path / f"b.{form}", overwrite=False)
    assert "cannot hold text of a PNG, which was left out: Title, parameters, Author" in note


@pytest.mark.parametrize("kept", ["minimal", "strip"])
def test_secrets_go(kept: str, tmp_path: Path) -> None:
    photo = read(with_texts(tmp_path / "a.png"), kept=kept)  # type: ignore[arg-type]
    write(photo, tmp_path / "b.png", overwrite=False)
    assert texts(tmp_path / "b.png") == {}
    assert photo.notes == ()


def test_text_after_the_picture_and_of_a_pillow_image_is_kept(tmp_path: Path) -> None:
    content = with_texts(tmp_path / "a.png").read_bytes()
    behind = chunk(b"tEXt", b"Comment\0after all")
    (tmp_path / "b.png").write_bytes(content[:-12] + behind + content[-12:])
    write(read(tmp_path / "b.png"), tmp_path / "c.png", overwrite=False)
    assert texts(tmp_path / "c.png") == {**TEXTS, "Comment": "after all"}
    with Image.open(tmp_path / "b.png") as image:
        write(from_pil(image), tmp_path / "d.png", overwrite=False)
    said = {**texts(tmp_path / "d.png")}
    assert {name: said[name] for name in TEXTS} == TEXTS


def test_text_is_not_unpacked_and_bounded(tmp_path: Path) -> None:
    """Chunks that expand a thousandfold, and more of them than anybody has."""
    png = io.BytesIO()
    PICTURE.save(png, "PNG")
    bomb = chunk(b"zTXt", b"Bomb\0\0" + zlib.compress(bytes(900_000)))
    long = chunk(b"tEXt", b"Long\0" + os.urandom(15 << 20).replace(b"\0", b"a"))
    content = png.getvalue()
    (tmp_path / "a.png").write_bytes(content[:-12] + bomb + long * 2 + content[-12:])
    tracemalloc.start()
    photo = read(tmp_path / "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120_000_000
    assert [data[:4] for _, data in photo.texts] == [b"Bomb", b"Long"]
    assert photo.notes == ("text of the PNG was left out, as it is far too long",)


def test_a_scale_of_a_png_is_reported(tmp_path: Path) -> None:
    content = with_texts(tmp_path / "a.png").read_bytes()
    scale = chunk(b"sCAL", b"\x010.001\x000.001")
    (tmp_path / "b.png").write_bytes(content[:33] + scale + content[33:])
    photo = read(tmp_path / "b.png")
    assert photo.notes == ("the size of its pixels on what it shows (sCAL) was left out",)
    assert len(photo.texts) == 3


def test_the_command_keeps_how_a_picture_was_generated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_weights(tmp_path / "x2.safetensors", 2)
    source = with_texts(tmp_path / "a.png")
    assert run(["upscale", str(source), "-w", str(weights)]) == 0
    kept = texts(tmp_path / "a_x2.png")
    assert "urn:dcls" in kept.pop("XML:com.adobe.xmp")  # how the output was made
    assert kept == TEXTS
    assert run(["upscale", str(source), "-w", str(weights), "-f", "jpg"]) == 0
    assert "cannot hold text of a PNG" in " ".join(capsys.readouterr().err.split())


def test_a_comment_stays_in_jpeg_and_is_reported_elsewhere(tmp_path: Path) -> None:
    comment = "Grüße".encode("latin-1")
    PICTURE.save(tmp_path / "a.jpg", comment=comment)
    photo = read(tmp_path / "a.jpg")
    assert write(photo, tmp_path / "b.jpg", overwrite=False) == ()
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["comment"] == comment
    assert write(photo, tmp_path / "b.png", overwrite=False) == (
        "PNG cannot hold a comment of a JPEG or GIF, which was left out",
    )
