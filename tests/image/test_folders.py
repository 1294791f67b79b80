"""Every command finds the same pictures in a folder, and reads the same pixels from them."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.data.sources import images_of
from dcls_cli.errors import ImageError
from dcls_cli.evaluation.samples import find_hr, read_hr
from dcls_cli.export.quantising import calibration_pictures
from dcls_cli.image import READABLE, read
from dcls_cli.image.folders import SUFFIXES, images_in
from dcls_cli.jobs.sources import find
from dcls_cli.training.images import ImageStore

#: Right in a folder: what counts, what is hidden, and what is no picture by its name.
COUNTED = ("a.png", "b.JPG", "c.gif", "d.jfif", "e.avif", "f.tif")
OTHERS = ("._a.png", ".DS_Store", ".hidden.png", "notes.txt", "Thumbs.db")


def png(seed: int = 0, side: int = 24) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Content decides what a file is, so PNG will do for all of them."""
    top = tmp_path / "photos"
    for name in (*COUNTED, "sub/g.png", ".trash/h.png"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(png(len(name)))
    for name in OTHERS:
        (top / name).write_bytes(b"\0\5\x16\7")
    (top / "folder.png").mkdir()
    (top / "sub" / "loop").symlink_to(top)
    return top


def test_every_format_that_is_read_has_suffixes() -> None:
    assert set(SUFFIXES) == set(READABLE)


def test_every_command_finds_the_same_files(folder: Path) -> None:
    names = [*COUNTED, "sub/g.png"]
    batch = find([str(folder)], recursive=True, out=None)
    claimed = [item.relative.as_posix() for item in batch.sources]
    assert [name for name in claimed if not name.endswith((".txt", ".db"))] == names
    assert [path.name for path in find_hr(folder)] == list(COUNTED)
    with images_of(folder) as images:
        assert [image.name for image in images] == names
    store, skipped = ImageStore.load([folder], 8, torch.device("cpu"))
    assert (store.files, skipped) == (len(names), [])
    assert len(calibration_pictures(folder)) == len(names)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_hide_what_folders_hide(tmp_path: Path, kind: str) -> None:
    names = ["./set/a.png", "set/b.avif", "set/._a.png", "__MACOSX/set/._b.avif", ".cache/c.png"]
    path = tmp_path / f"set.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, png())
    else:
        with tarfile.open(path, "w") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(png())
                archive.addfile(member, io.BytesIO(png()))
    with images_of(path) as images:
        assert [image.file_name for image in images] == ["a.png", "b.avif"]


def test_a_folder_that_cannot_be_listed_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageError, match="sub: cannot be read: Permission denied"):
        images_in(folder, recursive=True)
    assert [path.name for path in images_in(folder, recursive=False)] == list(COUNTED)


# ---------- pixels ----------

RGB = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits, (H, W) or (H, W, C), by an encoder that is not ours."""
    import imagecodecs

    return bytes(imagecodecs.png_encode(values))


def rounded(values: np.ndarray) -> np.ndarray:
    """16 bits to 8 in whole numbers: floor(v / 257 + 1/2)."""
    return ((values.astype(np.int64) * 2 + 257) // 514).astype(np.uint8)


@pytest.mark.parametrize("channels", [None, 3])
def test_16_bits_are_rounded_and_not_cut(tmp_path: Path, channels: int | None) -> None:
    shape = (24, 32) if channels is None else (24, 32, channels)
    values = np.random.default_rng(2).integers(0, 65536, shape, np.uint16)
    (tmp_path / "x.png").write_bytes(deep_png(values))
    expected = rounded(values)
    if channels is None:
        expected = np.repeat(expected[..., None], 3, axis=2)
    found = read_hr(tmp_path / "x.png").transpose(1, 2, 0)
    assert np.array_equal(found, expected)
    cut = values >> 8
    assert not np.array_equal(found[..., 0], cut if channels is None else cut[..., 0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_everywhere(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "x.png"
    Image.fromarray(RGB).save(path, exif=exif)
    upright = {
        1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1],
        5: RGB.transpose(1, 0, 2), 6: RGB[::-1].transpose(1, 0, 2),
        7: RGB[::-1, ::-1].transpose(1, 0, 2), 8: RGB[:, ::-1].transpose(1, 0, 2),
    }[orientation]  # fmt: skip
    assert np.array_equal(read(path).samples, upright)
    assert np.array_equal(read_hr(path).transpose(1, 2, 0), upright)
    with images_of(tmp_path) as images:
        assert np.array_equal(images[0].pixels(), upright)
    store, _ = ImageStore.load([tmp_path], 8, torch.device("cpu"))
    assert np.array_equal(store.pixels.numpy().reshape(upright.shape), upright)


def test_cmyk_palettes_and_first_frames_are_read_as_upscale_reads_them(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    Image.fromarray(RGB).convert("1").save(tmp_path / "bits.png")
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    for path in find_hr(tmp_path):
        own = np.rint(255 * read(path).pixels).astype(np.uint8)
        assert np.array_equal(read_hr(path).transpose(1, 2, 0), own), path.name


def test_alpha_that_hides_nothing_is_left_out_and_other_alpha_refused(tmp_path: Path) -> None:
    alpha = np.full((24, 32, 1), 255, np.uint8)
    opaque, clear = tmp_path / "opaque.png", tmp_path / "clear.png"
    Image.fromarray(np.concatenate((RGB, alpha), 2)).save(opaque)
    assert np.array_equal(read_hr(opaque).transpose(1, 2, 0), RGB)
    alpha[3, 4] = 254
    Image.fromarray(np.concatenate((RGB, alpha), 2)).save(clear)
    with pytest.raises(ImageError, match=r"clear\.png: it is partly transparent.*on a background"):
        read_hr(clear)
