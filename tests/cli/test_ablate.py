"""`dcls ablate`: real runs of a few steps, its table, its refusals."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from rich.text import Text
from typer.testing import CliRunner, Result

from dcls_cli.cli import console
from dcls_cli.cli.ablate import ablate
from dcls_cli.config import ModelConfig
from dcls_cli.errors import UsageError
from dcls_cli.evaluation.gaussian8 import gaussian8
from dcls_cli.evaluation.methods import MethodSpec
from dcls_cli.evaluation.rows import mean_row
from dcls_cli.evaluation.samples import find_hr
from dcls_cli.models import weights
from dcls_cli.models.weights import read_metadata
from dcls_cli.network.dcls import DCLS
from dcls_cli.training.ablations import ARMS
from tests import scenes

TWO = ("--arms", "wiener,rgb")
TRAINED = [item for item in ARMS if item.name in ("full", "wiener", "rgb")]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images to train on and one to measure on."""
    root = tmp_path_factory.mktemp("photos")
    for name, side in (("hr/a.png", 160), ("hr/b.png", 160), ("val/c.png", 48)):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        pixels = np.uint8(np.round(255 * scenes.natural(side, side, len(name))))
        Image.fromarray(pixels).save(path)
    return root


def run(photos: Path, out: Path, *options: object) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(ablate)
    common = ("--hr", photos / "hr", "--val", photos / "val", "--out", out, "-s", 2, "-d", "cpu",
              "--iterations", 2, "--batch", 1, "--patch", 16, "--width", 16)  # fmt: skip
    return CliRunner().invoke(app, [str(item) for item in (*common, *options)])


@pytest.fixture(scope="module")
def study(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("study")
    return out, run(photos, out, *TWO, "--markdown")


def cells(text: str) -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_arms_are_trained_and_measured(photos: Path, study: tuple[Path, Result]) -> None:
    out, result = study
    assert result.exit_code == 0, result.output
    rows = cells(result.stdout)
    assert [row[1] for row in rows] == [
        *(item.answer for item in TRAINED),
        f"{ARMS[0].answer}, seed 1",
    ]
    for row, item in zip(rows, TRAINED, strict=False):
        path = out / f"{item.name}-seed0" / "latest.safetensors"
        config, metadata = read_metadata(path)
        assert config == item.config(2, 16)
        assert metadata["step"] == "2"
        method = MethodSpec("x", "dcls", path).load(2)
        figures = mean_row(
            gaussian8(find_hr(photos / "val"), 2, lambda lr, method=method: method.restore(lr).sr)
        )
        assert float(row[3]) == pytest.approx(figures.psnr_y, abs=0.006)


def test_differences_are_from_the_mean_of_the_full_networks(study: tuple[Path, Result]) -> None:
    _, result = study
    rows = cells(result.stdout)
    full = [float(row[3]) for row in (rows[0], rows[-1])]
    for row in rows:
        assert float(row[4]) == pytest.approx(float(row[3]) - sum(full) / 2, abs=0.02)


def test_the_table_and_the_options_are_written(study: tuple[Path, Result]) -> None:
    out, result = study
    written = (out / "ablations.md").read_text()
    assert cells(written) == cells(result.stdout)
    assert "2 steps of 1 patches of 16 LR pixels" in written
    record = json.loads((out / "study.json").read_text())
    assert len({json.dumps({**run["training"], "seed": 0}) for run in record.values()}) == 1
    assert record["wiener-seed0"]["model"]["deconvolution"] == "wiener"


def test_a_study_that_is_done_is_not_done_again(photos: Path, study: tuple[Path, Result]) -> None:
    out, first = study
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/latest.safetensors")}
    again = run(photos, out, *TWO, "--markdown")
    assert again.stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_study_goes_on_where_it_was(
    photos: Path, study: tuple[Path, Result], tmp_path: Path
) -> None:
    part = run(photos, tmp_path, "--arms", "wiener", "--seeds", 1, "--markdown")
    assert part.exit_code == 0, part.output
    assert [row[1] for row in cells(part.stdout)] == [ARMS[0].answer, "Wiener, one learnt ratio"]
    kept = tmp_path / "wiener-seed0" / "latest.safetensors"
    before = kept.stat().st_mtime_ns
    whole = run(photos, tmp_path, *TWO, "--markdown")
    assert cells(whole.stdout) == cells(study[1].stdout)
    assert kept.stat().st_mtime_ns == before


def test_a_study_of_networks_that_are_made_otherwise_now_is_refused(
    photos: Path, study: tuple[Path, Result], tmp_path: Path
) -> None:
    shutil.copytree(study[0], tmp_path / "old")
    path = tmp_path / "old" / "rgb-seed0" / "latest.safetensors"
    config, _ = read_metadata(path)
    weights.write(DCLS(replace(config, skip_taps=31)), path)
    error = run(photos, tmp_path / "old", *TWO).exception
    assert isinstance(error, UsageError)
    said = "the network rgb-seed0 of this study is another than this command makes"
    assert f"{said} (skip_taps 31, now {config.skip_taps})" in str(error)


def test_the_table_fits_a_page_and_a_terminal(
    photos: Path, study: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off a terminal a line for each network; on a narrow terminal no number is broken."""
    plain = run(photos, study[0], *TWO).stdout
    assert [item.answer in plain for item in TRAINED] == [True] * 3
    assert len([line for line in plain.splitlines() if line.strip()]) == 7
    monkeypatch.setattr(console, "out", console.LastingConsole(width=80, force_terminal=True))
    narrow = run(photos, study[0], *TWO).stdout
    figures = {cell for row in cells(study[1].stdout) for cell in row[2:]}
    assert all(figure in narrow for figure in figures)
    assert max(len(Text.from_ansi(line)) for line in narrow.splitlines()) <= 80


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--arms", "gan"), "--arms gan: no such arm; there are full, single-layer-kernel"),
        (("--width", 41), "options: model configuration: features must be a multiple"),
    ],
)
def test_requests_that_make_no_sense(
    photos: Path, tmp_path: Path, options: tuple[object, ...], text: str
) -> None:
    error = run(photos, tmp_path, *options).exception
    assert isinstance(error, UsageError)
    assert text in str(error)
    assert list(tmp_path.iterdir()) == []


def test_every_arm_changes_one_thing_and_can_be_built() -> None:
    base = ARMS[0].config(4, 64)
    for item in ARMS[1:]:
        config = item.config(4, 64)
        different = {key for key, value in vars(config).items() if value != getattr(base, key)}
        assert different == set(item.changes)
        assert len(different) == 1
        with torch.device("meta"):
            DCLS(config)
    assert base.skip == "interpolation"
    assert ModelConfig.light(4, skip="interpolation") == base
