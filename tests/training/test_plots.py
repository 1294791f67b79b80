"""Pictures of a run: drawn whole, read back, and never a reason to end it."""

import builtins
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcls_cli.installation import install_command
from dcls_cli.training.plots import CURVES, SAMPLES, Pictures, draw_curves, draw_samples
from dcls_cli.training.reports import JsonlLog, RollbackReport, ValidationReport, WindowReport
from dcls_cli.training.validation import SampleView

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed"
)

RESULT = ValidationReport(50, 100.0, 30.0, (31.0, 29.0), best=True)


def window(step: int) -> WindowReport:
    return WindowReport(step, step / 100, step * 2.0, 1 / step, 2 / step, 0.1, 1e-3, 9.0)


def view(scale: int = 2, height: int = 30, width: int = 40) -> SampleView:
    random = np.random.default_rng(0)
    hr = random.integers(0, 256, (3, height * scale, width * scale), np.uint8)
    lr = random.integers(0, 256, (3, height, width), np.uint8)
    restored = hr.astype(np.float32) / 255
    return SampleView("a_$b$.png", 1.2, 33.3, lr, restored * 1.2 - 0.1, hr, np.eye(21) / 21)


def pictures(out: Path, warnings: list[str]) -> Pictures:
    log = JsonlLog(out / "log.jsonl", 0)
    for step in (25, 50):
        log.on_report(window(step))
    log.on_report(RollbackReport(50, 25, "the loss is not finite", 0.5))
    log.on_report(RESULT)
    return Pictures(out, lambda: [view(), view(3, 9, 70)], warnings.append)


def colours(path: Path) -> int:
    with Image.open(path) as image:
        image.load()
        return len(image.convert("RGB").getcolors(1 << 24) or [])


@needs_matplotlib
def test_draws_after_a_validation(tmp_path: Path) -> None:
    warnings: list[str] = []
    drawn = pictures(tmp_path, warnings)
    drawn.on_report(window(50))
    assert not (tmp_path / CURVES).exists()
    drawn.on_report(RESULT)
    assert colours(tmp_path / CURVES) > 50
    assert colours(tmp_path / SAMPLES) > 1000
    assert not warnings
    assert {path.name for path in tmp_path.iterdir()} == {CURVES, SAMPLES, "log.jsonl"}


@needs_matplotlib
@pytest.mark.parametrize("count", [0, 1])
def test_draws_a_run_that_has_hardly_begun(tmp_path: Path, count: int) -> None:
    log = JsonlLog(tmp_path / "log.jsonl", 0)
    for step in range(1, count + 1):
        log.on_report(window(step))
    draw_curves([], tmp_path / CURVES)
    assert colours(tmp_path / CURVES) > 5
    draw_samples([], 0, tmp_path / SAMPLES)
    assert not (tmp_path / SAMPLES).exists()


@needs_matplotlib
def test_the_sheet_shows_the_images(tmp_path: Path) -> None:
    red = np.zeros((3, 32, 32), np.uint8)
    red[0] = 255
    green = np.zeros((3, 32, 32), np.float32)
    green[1] = 1.0
    shown = SampleView("red", 1.0, 20.0, red[:, ::2, ::2].copy(), green, red, np.eye(21))
    draw_samples([shown], 1, tmp_path / SAMPLES)
    pixels = np.asarray(Image.open(tmp_path / SAMPLES).convert("RGB")).astype(int)
    columns = np.array_split(pixels, 4, axis=1)
    is_red = [(column == (255, 0, 0)).all(2).mean() for column in columns]
    is_green = [(column == (0, 255, 0)).all(2).mean() for column in columns]
    assert [share > 0.5 for share in is_red] == [True, True, False, True]
    assert [share > 0.4 for share in is_green] == [False, False, True, False]


@needs_matplotlib
def test_a_picture_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    warnings: list[str] = []
    drawn = pictures(tmp_path, warnings)
    (tmp_path / CURVES).mkdir()
    drawn.on_report(RESULT)
    drawn.on_report(RESULT)
    assert len(warnings) == 1 and CURVES in warnings[0]


def test_without_matplotlib_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without(name: str, *arguments: Any) -> Any:  # noqa: ANN401
        return None if name == "matplotlib" else found(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401
        assert not name.startswith("matplotlib")
        return original(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    warnings: list[str] = []
    drawn = pictures(tmp_path, warnings)
    drawn.on_report(RESULT)
    drawn.on_report(RESULT)
    assert len(warnings) == 1 and install_command("train") in warnings[0]
    assert not (tmp_path / CURVES).exists()


@needs_matplotlib
def test_the_last_validation_is_in_sight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("dcls_cli.training.plots.write_png", lambda figure, _: seen.append(figure))
    records = [
        {"event": "window", "step": 5, "elapsed_s": 60.0, "image_loss": 1.0, "kernel_loss": 1.0}
        | {"learning_rate": 1e-3},
        {"event": "validation", "step": 5, "elapsed_s": 90.0, "psnr_y_db": 30.0}
        | {"psnr_y_db_by_sigma": [29.0, 31.0]},
    ]
    draw_curves(records, tmp_path / CURVES)
    assert seen[0].axes[0].get_xlim() == (0, 1.5)
