"""`dcls upscale --dry-run` says what the run then does, and does nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli import weights
from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS


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
