"""`dcls eval --benchmark graphics` prints harm, and measures what `dcls upscale` writes."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from dcls_cli.cli.app import app
from dcls_cli.cli.evaluate import evaluate
from dcls_cli.errors import UsageError
from dcls_cli.evaluation import graphics
from dcls_cli.evaluation.graphics import draw, graphics_sample

PICTURES = ("flags-france", "text-00")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures of the benchmark's; all of them take minutes."""
    monkeypatch.setattr(graphics, "names", lambda: PICTURES)


def run(*arguments: object) -> Result:
    command = typer.Typer(pretty_exceptions_enable=False)
    command.command()(evaluate)
    options = ["--benchmark", "graphics", "-d", "cpu", "-j", "1"]
    return CliRunner().invoke(command, [*options, *map(str, arguments)])


def events(*arguments: object) -> list[dict[str, object]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_it_measures_what_the_command_writes(tmp_path: Path) -> None:
    rows = [e for e in events() if e["event"] == "row" and e["method"] == "auto"]
    assert [(e["image"], e["case"]) for e in rows] == [
        (name, case) for name in PICTURES for case in ("PNG", "JPEG 90", "JPEG 75")
    ]
    for event in rows[::2]:
        name, case = str(event["image"]), str(event["case"])
        sample = graphics_sample(name, 4)
        source = tmp_path / f"{name}{'.png' if case == 'PNG' else '.jpg'}"
        source.write_bytes(sample.file(sample.cases.index(case)) or b"")
        target = tmp_path / f"{source.name}_large.png"
        options = ["-o", str(target), "-d", "cpu", "--precision", "fp32", "--backend", "torch"]
        done = CliRunner().invoke(app, ["upscale", str(source), *options, "--overwrite"])
        assert done.exit_code == 0, done.output
        written = np.asarray(Image.open(target).convert("RGB")).astype(float)[4:-4, 4:-4]
        sharp = draw(name).transpose(1, 2, 0)[4:-4, 4:-4]
        psnr = 10 * np.log10(255**2 / np.mean((written - sharp) ** 2))
        assert event["psnr_rgb"] == pytest.approx(psnr, abs=0.01)


def test_harm_stands_in_the_json_by_kind_by_file_and_of_all() -> None:
    found = events("-s", 2)
    harm = [event for event in found if event["event"] == "harm"]
    assert [event["group"] for event in harm] == [
        "flags", "text", "PNG", "JPEG 90", "JPEG 75", "all",
    ]  # fmt: skip
    assert {event["method"] for event in harm} == {"auto"}
    assert [event["count"] for event in harm] == [3, 3, 2, 2, 2, 6]
    means = {e["method"]: e["psnr_rgb"] for e in found if e["event"] == "mean"}
    assert list(means) == ["auto", "bicubic"]
    assert harm[-1]["psnr_rgb"] == pytest.approx(means["auto"], abs=1e-5)
    assert harm[-1]["bicubic_psnr_rgb"] == pytest.approx(means["bicubic"], abs=1e-5)
    losses = {}
    for event in found:
        if event["event"] == "row":
            sign = 1 if event["method"] == "bicubic" else -1
            place = event["image"], event["case"]
            losses[place] = losses.get(place, 0.0) + sign * float(str(event["psnr_rgb"]))
    assert harm[-1]["worst_db"] == pytest.approx(max(losses.values()), abs=1e-5)
    assert harm[-1]["below"] == pytest.approx(np.mean([x > 0.01 for x in losses.values()]))


def test_tables_show_kinds_and_not_each_picture(tmp_path: Path) -> None:
    result = run("-m", "dcls-photo-x4", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "dcls-photo-x4 beside bicubic" in result.stdout
    lines = [line.split()[:2] for line in result.stdout.splitlines() if line.strip()]
    assert ["flags", "3"] in lines
    assert ["all", "6"] in lines
    assert "x4, graphics/1" in result.stdout
    assert "below by 0.3 dB, %" in (tmp_path / "report.html").read_text(encoding="utf-8")
    markdown = (tmp_path / "figures.md").read_text(encoding="utf-8")
    table = [line for line in markdown.splitlines() if line.startswith("| all | 6 |")]
    assert len(table) == 1


def test_it_takes_no_folder(tmp_path: Path) -> None:
    error = run("--hr", tmp_path).exception
    assert isinstance(error, UsageError)
    assert str(error) == "--benchmark graphics takes no folder"
