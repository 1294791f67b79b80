"""`dcls eval`: its table, its NDJSON, its refusals; the network is real and tiny."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from dcls_cli import weights
from dcls_cli.cli.evaluate import evaluate
from dcls_cli.config import ModelConfig
from dcls_cli.errors import ImageError, UsageError
from dcls_cli.evaluation import bicubic_restore, find_hr, gaussian8, mean_row
from dcls_cli.network.dcls import DCLS


@pytest.fixture(scope="module")
def hr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hr")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "noise.png")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ModelConfig.light(
        2, features=16, groups=1, blocks=1, estimator_features=16, estimator_blocks=1
    )
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    weights.write(DCLS(config), path, {})
    return path


def run(*arguments: object) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_prints_a_line_for_each_sigma_and_the_mean(hr: Path, tiny: Path) -> None:
    result = run("--hr", hr, "-s", 2, "-w", tiny, "--against", "bicubic", "-d", "cpu")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    figures = [line for line in lines if line and line[0] in {"0.80", "1.60", "mean"}]
    assert [line[0] for line in figures] == ["0.80", "1.60", "mean"]
    mean = mean_row(gaussian8(find_hr(hr), 2, bicubic_restore(2)))
    expected = [f"{mean.psnr_y:.3f}", f"{mean.ssim_y:.4f}", f"{mean.psnr_rgb:.3f}"]
    assert figures[-1][4:] == expected
    assert figures[-1][1:4] != expected


def test_prints_json(hr: Path, tiny: Path) -> None:
    result = run("--hr", hr, "-s", 2, "-w", tiny, "--json", "-d", "cpu")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == ["row"] * 8 + ["sigma"] * 8 + ["mean"]
    assert {event["method"] for event in events} == {"tiny"}
    assert events[0]["image"] == "noise.png"
    rows = [event["psnr_y"] for event in events[:8]]
    assert events[-1]["psnr_y"] == pytest.approx(sum(rows) / 8, abs=1e-5)


def test_refuses_weights_of_another_scale(hr: Path, tiny: Path) -> None:
    error = run("--hr", hr, "-s", 4, "-w", tiny).exception
    assert isinstance(error, UsageError)
    assert "made for scale 2, not 4; add -s 2" in str(error)


def test_refuses_model_and_weights_together(hr: Path, tiny: Path) -> None:
    error = run("--hr", hr, "-m", "dcls-light-x4", "-w", tiny).exception
    assert isinstance(error, UsageError)


def test_refuses_a_folder_without_images(tmp_path: Path, tiny: Path) -> None:
    assert isinstance(run("--hr", tmp_path, "-w", tiny).exception, ImageError)
