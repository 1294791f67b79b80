"""`dcls kernel` on real files: the files, the drawing and the numbers tell of the same kernel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.cli.kernel import beside, drawing, measures
from dcls_cli.config import ModelConfig
from dcls_cli.kernels import shape_of
from dcls_cli.kernels.user_kernel import read_kernel
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.upscaler import Upscaler
from tests import oracle

Capture = pytest.CaptureFixture[str]

SMALL = {"features": 16, "groups": 1, "blocks": 1, "estimator_features": 16}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def x2(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "x2.safetensors"
    weights.write(DCLS(ModelConfig.photo(2, latent=8, estimator_blocks=1, **SMALL)), path)
    return str(path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(name)


def test_the_kernel_is_drawn_measured_and_written(x2: str, capsys: Capture) -> None:
    assert run(["kernel", "a.png", "-w", x2, "-o", "k.npy"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    first, *lines, last = captured.out.splitlines()
    assert (first, last) == ("a.png", "k.npy")
    assert len(lines) == 21
    taps = np.load("k.npy")
    expected = Upscaler.from_pretrained(x2, precision="fp32").up(Image.open("a.png"))
    np.testing.assert_array_equal(taps, expected.kernel)
    text = "\n".join(lines)
    assert "21x21 output pixels" in text
    assert f"width       {expected.kernel_width_px:.2f} px" in text
    assert "noise" in text
    assert "\N{FULL BLOCK}" * 2 in text


def test_a_folder_gets_both_files_of_each_photo(x2: str) -> None:
    assert run(["kernel", "a.png", "b.png", "-w", x2, "-o", "out"]) == 0
    names = sorted(path.name for path in Path("out").iterdir())
    assert names == ["a_kernel.npy", "a_kernel.png", "b_kernel.npy", "b_kernel.png"]
    exact, shown = (read_kernel(Path(f"out/a_kernel{suffix}")).taps for suffix in (".npy", ".png"))
    assert np.abs(exact.clip(0) - shown).sum() < 0.1


def test_json_carries_the_taps_and_their_measures(x2: str, capsys: Capture) -> None:
    assert run(["kernel", "a.png", "none.png", "-w", x2, "--json"]) == 1
    captured = capsys.readouterr()
    event, error, summary = map(json.loads, captured.out.splitlines())
    taps = np.array(event["taps"])
    shape = shape_of(taps)
    assert taps.shape == (21, 21)
    assert event["event"] == "kernel"
    assert event["kernel_space"] == "hr"
    assert event["width_px"] == pytest.approx(shape.width_px, abs=1e-4)
    assert event["anisotropy"] == pytest.approx(shape.anisotropy, abs=1e-4)
    assert 1e-6 <= event["noise"] <= 1
    assert error["message"] == "none.png: no such file"
    assert summary == {"event": "summary", "done": 1, "failed": 1}


def test_a_terminal_without_utf_8_gets_ascii(x2: str) -> None:
    code = "from dcls_cli.cli.app import main; main()"
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, "kernel", "a.png", "-w", x2]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    text = done.stdout.decode("ascii")
    assert "@@" in text
    assert "\\u" not in text
    assert "\\x" not in text


@pytest.mark.parametrize(
    ("code", "said", "arguments"),
    [
        (1, "none.png: no such file", ["none.png"]),
        (1, "taken.npy: exists already", ["a.png", "-o", "taken.npy"]),
        (2, "several photos need a folder", ["a.png", "b.png", "-o", "k.npy"]),
        (2, "ends in .npy or .png, or a folder", ["a.png", "-o", "k.jpg"]),
        (2, "would replace a photo", ["a.png", "-o", "a.png", "--overwrite"]),
        (2, "another photo of that name", ["a.png", "./a.png", "-o", "out/"]),
        (2, "scale 5 is not available", ["a.png", "-s", "5"]),
        (5, "unknown device", ["a.png", "-d", "toaster"]),
    ],
)
def test_impossible_requests_end_in_one_line(
    code: int, said: str, arguments: list[str], x2: str, capsys: Capture
) -> None:
    Path("taken.npy").write_text("precious")
    assert run(["kernel", *arguments, "-w", x2]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("dcls: ")
    assert said in line
    assert Path("taken.npy").read_text() == "precious"


def test_a_drawing_is_darkest_in_nothing_and_brightest_at_the_peak() -> None:
    kernel = oracle.gauss_iso(5, 1.0)
    lines = drawing(kernel, ascii_only=True)
    assert [len(line) for line in lines] == [10] * 5
    assert lines[2][4:6] == "@@"
    assert lines == lines[::-1] == [line[::-1] for line in lines]
    assert drawing(np.pad(kernel, 2), ascii_only=False)[0] == " " * 18


def test_measures_name_the_space_and_the_direction_if_there_is_one() -> None:
    line = np.fliplr(np.eye(9)).astype(np.float32) / 9
    text = "\n".join(measures(line, "lr", shape_of(line), 1e-3))
    assert "9x9 input pixels" in text
    assert "widest at 45 degrees" in text
    assert "-30.0 dB" in text
    rounded = oracle.gauss_iso(9, 1.0)
    text = "\n".join(measures(rounded, "hr", shape_of(rounded), None))
    assert "round" in text
    assert "noise" not in text


def test_columns_stand_beside_each_other() -> None:
    assert beside(["##", "####", "##"], ["x"]) == ["##", "####  x", "##"]
    assert beside(["#"], ["x", "y"]) == ["#  x", "   y"]
