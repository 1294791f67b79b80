"""The four commands that the project promises, as typed, and what newcomers type instead."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.data.packs import Packing
from tests.posix import pty
from tests.test_without_torch import dcls, packages

__all__ = ["packages"]

ROOT = Path(__file__).resolve().parents[2]

CODE = "import sys; from dcls_cli.cli.app import main; sys.argv = ['dcls', *sys.argv[1:]]; main()"

ENVIRONMENT = {
    **{name: text for name, text in os.environ.items() if name != "DCLS_DATA"},
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a photo and a folder of photos."""
    here = tmp_path / "here"
    (here / "folder" / "sub").mkdir(parents=True)
    photo = Image.open(ROOT / "examples" / "dog.png").crop((0, 0, 48, 48))
    photo.save(here / "photo.png")
    photo.save(here / "folder" / "a.jpg")
    photo.save(here / "folder" / "sub" / "b.png")
    monkeypatch.chdir(here)
    monkeypatch.setenv("DCLS_DATA", str(tmp_path / "no data"))
    return here


def typed(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line as a shell splits it."""
    program, *words = line.split()
    assert program == "dcls"
    return subprocess.run(
        [sys.executable, "-c", CODE, *words],
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        return image.size


def test_the_four_lines(folder: Path, tmp_path: Path) -> None:
    data = {"DCLS_DATA": str(tmp_path / "no data")}
    assert typed("dcls upscale photo.png -s 4").returncode == 0
    assert size(folder / "photo_x4.png") == (192, 192)

    done = typed("dcls batch folder/")
    assert done.returncode == 0, done.stderr
    assert size(folder / "folder_x4" / "a_x4.jpg") == (192, 192)
    assert size(folder / "folder_x4" / "sub" / "b_x4.png") == (192, 192)

    done = typed("dcls export-onnx")
    assert done.returncode == 0, done.stderr
    onnx.checker.check_model(str(folder / "dcls-light-x4.onnx"))

    done = typed("dcls train --scale 4", **data)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"in {data['DCLS_DATA']}: dcls data download div2k flickr2k")
    assert not (folder / "runs").exists()


def test_the_four_lines_without_pytorch(folder: Path, packages: Path) -> None:
    assert dcls(packages, "upscale", "photo.png", "-s", 4, folder=folder).returncode == 0
    assert size(folder / "photo_x4.png") == (192, 192)
    assert dcls(packages, "batch", "folder/", folder=folder).returncode == 0
    assert size(folder / "folder_x4" / "sub" / "b_x4.png") == (192, 192)
    for words in (["export-onnx"], ["train", "--scale", 4]):
        done = dcls(packages, *words, folder=folder)
        assert done.returncode == 5
        (line,) = done.stderr.splitlines()
        assert "needs PyTorch: pip install " in line
    assert not (folder / "dcls-light-x4.onnx").exists()


def pack(path: Path, count: int, side: int) -> None:
    """Noise as `dcls data prepare` would have packed it."""
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        packing = Packing(file)
        for index in range(count):
            packing.add(f"{index}.png", random.integers(0, 256, (side, side, 3), np.uint8))
        packing.finish()


def test_training_finds_its_images_and_its_folder(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "data"
    home.mkdir()
    for name in ("div2k", "flickr2k"):
        pack(home / f"{name}.pack", 2, 260)
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "train", "--scale", "4"],
        env={**ENVIRONMENT, "DCLS_DATA": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if "4 images" in line:
            break
    config = folder / "runs" / "light-x4" / "config.toml"
    until = time.monotonic() + 120  # a guard against hanging
    while not config.is_file() and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert any("4 images" in line for line in told), told
    assert process.returncode == 130
    assert config.is_file()


def test_an_archive_is_packed_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zipfile

    from dcls_cli.cli.data import training_images
    from dcls_cli.data import catalogue as homes
    from dcls_cli.data.catalogue import DATASETS, Archive, Dataset

    home = tmp_path / "data"
    home.mkdir()
    monkeypatch.setenv("DCLS_DATA", str(home))
    small = Dataset(
        name="div2k",
        archives=(Archive(name="small.zip", mirrors=()),),
        folders=("DIV2K_train_HR",),
        first=1,
        last=1,
        digits=4,
    )
    monkeypatch.setitem(DATASETS, "div2k", small)  # type: ignore[arg-type]
    with zipfile.ZipFile(home / "small.zip", "w") as archive:
        archive.write(folder / "photo.png", "DIV2K_train_HR/0001.png")
    unpacked = home / "Flickr2K_HR"
    unpacked.mkdir()
    shutil.copy(folder / "photo.png", unpacked / "000001.png")
    assert training_images() == (home / "div2k.pack", unpacked)
    stamp = (home / "div2k.pack").stat().st_mtime_ns
    assert training_images() == (home / "div2k.pack", unpacked)
    assert (home / "div2k.pack").stat().st_mtime_ns == stamp
    assert homes.data_home() == home


def test_a_terminal_is_asked_before_a_download(folder: Path, tmp_path: Path) -> None:
    """And `n` downloads nothing and says what fetches them."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**ENVIRONMENT, "DCLS_DATA": str(tmp_path / "no data")}
        os.execve(
            sys.executable, [sys.executable, "-c", CODE, "train", "--scale", "4"], environment
        )
    said = b""
    answered = False
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break
        if b"[y/N]" in said and not answered:
            answered = True
            os.write(terminal, b"n\n")
    _, status = os.waitpid(pid, 0)
    text = said.decode()
    assert "DIV2K (3.5 GB) and Flickr2K (20 GB)" in text
    assert "research" in text
    assert str(tmp_path / "no data") in text.replace("\r\n", "")
    assert os.waitstatus_to_exitcode(status) == 2
    assert "dcls data download div2k flickr2k" in text.replace("\r\n", "")
    assert not (tmp_path / "no data").exists()


def test_a_photo_or_a_folder_alone_is_restored(folder: Path) -> None:
    assert run(["photo.png"]) == 0
    assert size(folder / "photo_x4.png") == (192, 192)
    assert run(["folder"]) == 0
    assert size(folder / "folder_x4" / "a_x4.jpg") == (192, 192)


def test_an_output_in_the_place_of_a_photo_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["upscale", "photo.png", "out.jpg"], ["photo.png", "out.jpg"]):
        assert run(words) == 2
        assert "dcls upscale photo.png -o out.jpg" in capsys.readouterr().err
    assert not (folder / "photo_x4.png").exists()
    # Two photos that exist are two photos.
    Image.open(folder / "photo.png").save(folder / "out.jpg")
    assert run(["upscale", "photo.png", "out.jpg"]) == 0
    assert size(folder / "out_x4.jpg") == (192, 192)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (["folder", "photo.png"], "several inputs need -o FOLDER"),
        (["photo.png"], "photo.png: not a folder; -o FOLDER"),
        (["*.png"], r"*.png: not a folder; -o FOLDER"),
        (["missing"], "missing: no such file or folder"),
        (["/"], "/: nothing lies beside it; -o FOLDER"),
    ],
)
def test_a_batch_without_a_folder_for_its_outputs(
    inputs: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["batch", *inputs]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_batch_of_the_folder_above_leaves_its_outputs_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`folder_x4` lies beside `folder`, where the next batch may look for photos."""
    assert run(["batch", "folder"]) == 0
    (folder / "photo.png").unlink()
    capsys.readouterr()
    assert run(["batch", ".", "-o", "../all", "--dry-run"]) == 0
    told = capsys.readouterr().err
    assert "2 to do" in told
    assert "2 outputs" in told


def test_the_folder_of_here_gets_its_outputs_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "folder")
    assert run(["batch", "."]) == 0
    assert size(folder / "folder_x4" / "sub" / "b_x4.png") == (192, 192)


def test_a_batch_into_a_folder_of_its_input(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run(["batch", "folder", "-o", "folder/large"]) == 0
    names = sorted(path.name for path in (folder / "folder").rglob("*") if path.is_file())
    assert names == ["a.jpg", "a_x4.jpg", "b.png", "b_x4.png"]
    assert "0 done, 0 failed, 2 skipped" in capsys.readouterr().err


def test_a_graph_that_exists_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "dcls-light-x4.onnx").write_bytes(b"mine")
    assert run(["export-onnx"]) == 1
    assert "dcls-light-x4.onnx: exists" in capsys.readouterr().err
    assert (folder / "dcls-light-x4.onnx").read_bytes() == b"mine"


def test_a_data_home_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "file" / "data"
    home.parent.write_text("a file")
    done = typed(
        "dcls data download div2k --from nowhere --mirror http://127.0.0.1:9/", DCLS_DATA=str(home)
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(home.parent) in line
    assert "DCLS_DATA" in line
