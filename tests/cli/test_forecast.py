"""`dcls upscale --dry-run` says what the run then does, and does nothing."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.machine import peak_bytes
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from tests.jobs.files import picture


@pytest.fixture
def x2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    config = ModelConfig.light(
        2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    weights.write(DCLS(config), Path("x2.safetensors"))
    noise = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
    Image.fromarray(noise).save("a.png")
    return "x2.safetensors"


PROGRAM = str(Path(sys.executable).with_name("dcls"))

#: Runs a command and prints the most memory that it took, bytes.
MEASURED = """
import os, subprocess, sys
with subprocess.Popen(sys.argv[1:], stdout=2) as program:
    _, status, usage = os.wait4(program.pid, 0)
print(usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not peak_bytes(), reason="the system does not count memory")
@pytest.mark.parametrize("side", [200, pytest.param(600, marks=pytest.mark.slow)])
def test_the_memory_of_a_forecast_is_what_the_run_takes(side: int, tmp_path: Path) -> None:
    """Of one tile, and of several in the released network with eight bits."""
    photo = picture(tmp_path / "photo.png", (side, side))
    command = ["upscale", str(photo), "-m", "dcls-light-x4", "-d", "cpu"]

    def printed(*words: str) -> str:
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    line = printed(PROGRAM, *command, "--dry-run", "--json").splitlines()[0]
    said = json.loads(line)["memory_bytes"]
    taken = int(printed(sys.executable, "-c", MEASURED, PROGRAM, *command))
    assert 0.9 * taken < said < 1.5 * taken


def test_a_forecast_says_sizes_tiles_memory_disk_and_time(
    x2: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["upscale", "a.png", "-w", x2, "--tile", "64", "--json"]
    assert run([*arguments, "--dry-run"]) == 0
    forecast, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert not Path("a_x2.png").exists()
    assert summary == {"event": "summary", "done": 0, "failed": 0}
    assert run(arguments) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-2])
    for key in ("input", "output", "width", "height", "tiles", "model", "device", "precision"):
        assert forecast[key] == done[key], key
    assert (forecast["input_width"], forecast["input_height"]) == (100, 80)
    assert forecast["tile_px"] == 64
    assert 0 < forecast["memory_bytes"] < forecast["free_memory_bytes"]
    size = Path("a_x2.png").stat().st_size
    assert size / 4 < forecast["disk_bytes"] < 4 * size
    assert 0 < forecast["seconds"] < 600


def test_a_forecast_is_one_line_for_people(x2: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["upscale", "a.png", "-w", x2, "--dry-run"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    for part in ("a_x2.png  100x80 -> 200x160  x2  cpu ", "1 tile of 100 px", " free  disk 0 MB"):
        assert part in line


def test_no_folder_is_left(x2: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("there").mkdir()
    for output in ("new/deeper/", "there/new/"):
        assert run(["upscale", "a.png", "-w", x2, "-o", output, "--dry-run"]) == 0
        assert f"{output}a_x2.png  100x80 -> " in capsys.readouterr().out
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", "there", "x2.safetensors"]
    assert list(Path("there").iterdir()) == []


def test_what_would_fail_fails(x2: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a_x2.png").write_bytes(b"old")
    assert run(["upscale", "a.png", "-w", x2, "--dry-run"]) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--kernel", "--report"])
def test_one_blur_for_all_and_one_for_each_tile_exclude_each_other(
    option: str, x2: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value = "k.npy" if option == "--kernel" else "r.html"
    assert run(["upscale", "a.png", "-w", x2, "--kernel-mode", "tile", option, value]) == 2
    assert f"{option} is about one blur" in capsys.readouterr().err


def tree(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_batch_is_foretold_and_nothing_is_touched(
    x2: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, size in (("a.png", (30, 20)), ("a.bmp", (30, 20)), ("b/c.jpg", (64, 48))):
        picture(Path("in") / name, size)
    turned = Image.open("in/b/c.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save("in/b/turned.jpg", exif=exif)
    Path("in/text.jpg").write_text("no photo")
    Path("in/notes.txt").write_text("nothing")
    before = tree(".")
    arguments = ["batch", "in", "-w", x2, "-d", "cpu", "--json", "-o", "out/deep"]
    assert run([*arguments, "--dry-run"]) == 1
    assert tree(".") == before
    assert not Path("out").exists()
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    planned = {event["output"]: event for event in told if event["event"] == "forecast"}
    (error,) = (event for event in told if event["event"] == "error")
    assert error["input"] == "in/text.jpg"
    assert run(arguments) == 1
    done = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    made = {event["output"]: event for event in done if event["event"] == "done"}
    assert planned.keys() == made.keys()
    for output, event in made.items():
        size = planned[output]["width"], planned[output]["height"]
        assert size == (event["width"], event["height"])
        assert planned[output]["input"] == event["input"]
    summary = told[-1]
    counts = {name: summary[name] for name in ("to_do", "failed", "skipped", "left", "renamed")}
    assert counts == {"to_do": 4, "failed": 1, "skipped": 0, "left": 0, "renamed": 1}
    assert summary["left_out"] == {"not a photo": 1}
    assert summary["input_pixels"] == 2 * 600 + 2 * 64 * 48
    assert summary["output_pixels"] == 4 * summary["input_pixels"]
    size = sum(path.stat().st_size for path in Path("out").rglob("*.*"))
    assert size / 6 < summary["disk_bytes"] < 6 * size
    assert summary["free_disk_bytes"] > 0
    assert 0 < summary["memory_bytes"] < summary["free_memory_bytes"]
    assert 0 < summary["seconds"] < 600


def test_a_batch_that_is_partly_done_is_foretold_for_people(
    x2: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(Path("in") / name, (30, 20))
    arguments = ["batch", "in", "-w", x2, "-d", "cpu", "-o", "out"]
    assert run([*arguments, "--limit", "1"]) == 0
    capsys.readouterr()
    before = tree("out")
    assert run([*arguments, "--dry-run", "--limit", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "out/b_x2.png  60x40  from in/b.png\n"
    said = "dcls: 1 to do, 0 would fail, 1 done already, 1 left; 0.0006 -> 0.0024 megapixels; disk "
    assert captured.err.startswith(said)
    assert run([*arguments, "--dry-run", "--overwrite"]) == 0
    replaced = "out/a_x2.png  60x40  from in/a.png  replaces the one that is there"
    assert replaced in capsys.readouterr().out.splitlines()
    assert tree("out") == before
    assert run([*arguments, "--dry-run", "--width", "20000", "-f", "webp", "--overwrite"]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("WEBP is limited to 16383 pixels per side") == 3
    assert "0 to do, 3 would fail" in captured.err
    assert run([*arguments, "--dry-run", "--max-pixels", "100"]) == 1
    assert capsys.readouterr().err.count("more than the limit") == 2
    assert run([*arguments, "--dry-run", "--report", "rows.csv"]) == 2


def test_conflicts_and_folders_that_cannot_be_made_are_found(
    x2: str, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(Path("in/a.png"))
    picture(Path("more/a.png"))
    Path("file").touch()
    arguments = ["-w", x2, "-d", "cpu", "--dry-run", "-o"]
    assert run(["batch", "in", "more", *arguments, "out"]) == 2
    assert "in/a.png and more/a.png" in capsys.readouterr().err
    assert run(["batch", "in", *arguments, "file/out"]) == 2
    assert "file/out: cannot be made" in capsys.readouterr().err
    assert run(["batch", "in", *arguments, "in", "--name", "{stem}"]) == 2
    assert "would replace the photo" in capsys.readouterr().err
