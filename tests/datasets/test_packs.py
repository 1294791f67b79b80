"""Folders and archives become one file: right pixels, damage named, the same training."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from dcls_cli.cli.app import run
from dcls_cli.data import catalogue
from dcls_cli.data.packs import Pack
from dcls_cli.errors import DataError, TrainingError
from dcls_cli.training.images import ImageStore
from tests.datasets import tiny
from tests.training import runs

Told = tuple[int, list[str], list[str]]


@pytest.fixture
def dcls(capfd: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    def call(*arguments: object) -> Told:
        capfd.readouterr()
        code = run(["data", *map(str, arguments)])
        out, err = capfd.readouterr()
        return code, out.splitlines(), err.splitlines()

    return call


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.DATASETS, "tiny", tiny.dataset("http://127.0.0.1:9/x"))  # type: ignore[arg-type]


def sources(folder: Path) -> dict[str, Path]:
    """The same images in every form."""
    (folder / tiny.ZIP).write_bytes(tiny.zipped())
    (folder / tiny.TAR).write_bytes(tiny.tarred())
    return {
        "zip": folder / tiny.ZIP,
        "tar": folder / tiny.TAR,
        "folder": tiny.unpacked(folder / tiny.FOLDER),
    }


def images_in(pack: Path) -> list[tuple[str, np.ndarray]]:
    """What safetensors itself reads."""
    tensors = load_file(pack)
    found, start = [], 0
    for image in Pack.open(pack).images:
        count = image.height * image.width
        pixels = tensors["pixels"][start : start + count]
        found.append((image.name, pixels.reshape(image.height, image.width, 3)))
        start += count
    assert start == len(tensors["pixels"])
    return found


def test_every_form_gives_the_same_pixels(dcls: Callable[..., Told], tmp_path: Path) -> None:
    for kind, source in sources(tmp_path).items():
        pack = tmp_path / "packs" / f"{kind}.pack"
        code, out, err = dcls("prepare", source, "-o", pack)
        assert (code, out) == (0, [f"{pack}  3 images, 0.0 megapixels"]), err
        for (name, pixels), (own, expected) in zip(
            images_in(pack), tiny.arrays().items(), strict=True
        ):
            assert name.startswith(source.name) and name.endswith(own)
            np.testing.assert_array_equal(pixels, expected)
        assert dcls("check", pack)[:2] == (0, [f"{pack}  3 images, all whole"])
    both = tmp_path / "both.pack"
    assert dcls("prepare", tmp_path / tiny.ZIP, tmp_path / tiny.TAR, "-o", both)[0] == 0
    assert len(images_in(both)) == 6


def test_existing_files_and_wrong_names_are_refused(
    dcls: Callable[..., Told], tmp_path: Path
) -> None:
    folder = tiny.unpacked(tmp_path / tiny.FOLDER)
    pack = tmp_path / "a.pack"
    assert dcls("prepare", folder, "-o", tmp_path / "a.zip")[0] == 2
    pack.write_bytes(b"mine")
    code, _, (line,) = dcls("prepare", folder, "-o", pack)
    assert code == 1 and "exists already" in line and pack.read_bytes() == b"mine"
    assert dcls("prepare", folder, "-o", pack, "--overwrite")[0] == 0
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no archive")
    for source, said in (
        (tmp_path / "empty", "contains no images"),
        (tmp_path / "text.zip", "neither a folder nor a ZIP or TAR archive"),
        (tmp_path / "none", "no such folder or archive"),
    ):
        code, out, err = dcls("prepare", source, "-o", tmp_path / "b.pack")
        assert code == 1 and out == [] and said in err[-1] and len(err) == 1
        assert not (tmp_path / "b.pack").exists()


def test_damaged_images_are_named_and_left_out(dcls: Callable[..., Told], tmp_path: Path) -> None:
    folder = tiny.unpacked(tmp_path / tiny.FOLDER)
    whole = (folder / "0002.png").read_bytes()
    (folder / "0002.png").write_bytes(whole[: len(whole) // 2])
    pack = tmp_path / "a.pack"
    code, out, err = dcls("prepare", folder, "-o", pack)
    assert code == 1 and out == [f"{pack}  2 images, 0.0 megapixels, 1 left out"]
    assert len(err) == 1 and "0002.png" in err[0] and err[0].endswith("; left out")
    assert [name[-8:] for name, _ in images_in(pack)] == ["0001.png", "0003.png"]
    for path in folder.iterdir():
        path.write_bytes(b"")
    code, out, err = dcls("prepare", folder, "-o", tmp_path / "b.pack")
    assert code == 1 and "none of the 3 images can be read" in err[-1]
    assert {path.name for path in tmp_path.iterdir()} == {tiny.FOLDER, "a.pack"}


def test_check_counts_and_names(dcls: Callable[..., Told], tmp_path: Path) -> None:
    for source in (places := sources(tmp_path)).values():
        expected = " of 3" if source.name in (tiny.ZIP, tiny.FOLDER) else ""
        assert dcls("check", source)[:2] == (0, [f"{source}  3{expected} images, all whole"])
    folder = places["folder"]
    (folder / "0003.png").unlink()
    (folder / "0001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, out, _ = dcls("check", folder)
    assert code == 1 and len(out) == 3
    assert out[0].startswith(f"{folder}: damaged: 0001.png: ")
    assert out[1:] == [
        f"{folder}: missing: 0003.png",
        f"{folder}  1 of 3 images, 1 damaged, 1 missing",
    ]
    # Another name, so that it must be told what it is.
    other = folder.rename(tmp_path / "photos")
    assert dcls("check", other)[1][-1] == f"{other}  1 images, 1 damaged, 0 missing"
    assert dcls("check", other, "--dataset", "tiny")[1][-1].endswith("1 damaged, 1 missing")
    assert dcls("check", other, "--dataset", "huge")[0] == 2
    assert dcls("check", tmp_path / "none")[0] == 1


def test_check_finds_damage_in_archives(dcls: Callable[..., Told], tmp_path: Path) -> None:
    content = bytearray(tiny.zipped())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        place = archive.getinfo(f"{tiny.FOLDER}/0002.png").header_offset + 200
    content[place] ^= 1
    path = tmp_path / tiny.ZIP
    path.write_bytes(content)
    code, out, _ = dcls("check", path)
    assert code == 1 and "SHA256" in out[0] and "0002.png: damaged in its archive" in out[1]
    assert out[-1] == f"{path}  2 of 3 images, 2 damaged, 0 missing"
    code, _, err = dcls("prepare", path, "-o", tmp_path / "a.pack")
    assert code == 1 and "damaged: its SHA256" in err[-1] and "download it again" in err[-1]
    path.write_bytes(tiny.zipped()[:-100])
    code, out, err = dcls("check", path)
    assert code == 1 and len(out + err) == 1
    tar = tmp_path / tiny.TAR
    tar.write_bytes(tiny.tarred()[:12_000])
    code, out, err = dcls("check", tar)
    assert code == 1 and "internal error" not in "".join(err)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "header", "longer"])
def test_damaged_packs_are_noticed(dcls: Callable[..., Told], tmp_path: Path, damage: str) -> None:
    folder, pack = tiny.unpacked(tmp_path / tiny.FOLDER), tmp_path / "a.pack"
    assert dcls("prepare", folder, "-o", pack)[0] == 0
    content = bytearray(pack.read_bytes())
    if damage == "flipped":
        content[5000] ^= 1
        pack.write_bytes(content)
        code, out, _ = dcls("check", pack)
        assert code == 1 and "SHA-256 does not match" in out[0]
        return
    content[10:30] = b"x" * 20 if damage == "header" else content[10:30]
    changed = {"cut": content[:-700], "empty": b"", "header": content, "longer": content + b"x"}
    pack.write_bytes(changed[damage])
    with pytest.raises(DataError, match=r"cut off"):
        Pack.open(pack)
    with pytest.raises(TrainingError, match=r"a\.pack: .*cut off"):
        ImageStore.load([pack], 8, runs.CPU)


def test_training_on_a_pack_ends_with_the_same_bits(hr: Path, tmp_path: Path) -> None:
    pack = tmp_path / "hr.pack"
    assert run(["data", "prepare", str(hr), "-o", str(pack)]) == 0
    options = runs.config(iterations=10)
    for out, source in (("folder", hr), ("pack", pack)):
        trainer, _ = runs.trainer(source, tmp_path / out, options)
        trainer.run()
    assert runs.differing(runs.newest(tmp_path / "folder"), runs.newest(tmp_path / "pack")) == []
    store, skipped = ImageStore.load([pack], 8, runs.CPU)
    assert store.files == 3 and not skipped
    # Mapped, not copied: what is written into the file now is seen.
    with pack.open("rb+") as file:
        file.seek(Pack.open(pack).start)
        file.write(b"\x01\x02\x03")
    assert store.pixels[0].tolist() == [1, 2, 3]


def test_packs_and_folders_together(hr: Path, tmp_path: Path) -> None:
    pack, more = tmp_path / "hr.pack", runs.write_images(tmp_path / "more", 2, 70, seed=4)
    assert run(["data", "prepare", str(hr), "-o", str(pack)]) == 0
    together, _ = ImageStore.load([pack, more], 8, runs.CPU)
    plain, _ = ImageStore.load([hr, more], 8, runs.CPU)
    assert torch.equal(together.pixels, plain.pixels) and together.files == 5
    assert together.fingerprint == plain.fingerprint
    # Images that are too small are reported by name.
    large, skipped = ImageStore.load([pack], 82, runs.CPU)
    assert large.files == 2 and [item.path.name for item in skipped] == ["0.png"]
    assert large.pixels.shape[0] == int(large.sizes.prod(1).sum())
    with pytest.raises(TrainingError, match="not a file of `dcls data prepare`"):
        ImageStore.load([hr / "0.png"], 8, runs.CPU)


def test_grey_deep_and_transparent_images_are_packed_as_training_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(folder / "deep.png")
    Image.fromarray((ramp // 256).astype(np.uint8)).save(folder / "grey.png")
    random = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    Image.fromarray(random, "RGBA").save(folder / "alpha.png")
    assert run(["data", "prepare", str(folder), "-o", str(tmp_path / "a.pack")]) == 0
    stores = [ImageStore.load([path], 8, runs.CPU)[0] for path in (folder, tmp_path / "a.pack")]
    assert torch.equal(stores[0].pixels, stores[1].pixels)
