"""The JSONL log: one line for each report, and no line of a part of the run that was lost."""

import json
from pathlib import Path

import pytest

from dcls_cli.errors import TrainingError
from dcls_cli.training.reports import (
    JsonlLog,
    RollbackReport,
    ValidationReport,
    WindowReport,
    read_log,
)


def window(step: int) -> WindowReport:
    return WindowReport(step, step / 100, step * 2.0, 0.05, 0.5, 0.1, 1e-3, 9.0)


def test_a_line_for_each_report(tmp_path: Path) -> None:
    log = JsonlLog(tmp_path / "log.jsonl", 0)
    log.on_report(window(5))
    log.on_report(ValidationReport(5, 10.0, 30.0, (31.0, 29.0), best=True))
    log.on_report(RollbackReport(10, 5, "the loss is not finite", 0.5))
    log.on_warning("not a figure")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["window", "validation", "rollback"]
    assert lines[0]["image_loss"] == 0.05 and lines[0]["patches_per_s"] == 9.0
    assert lines[1]["psnr_y_db_by_sigma"] == [31.0, 29.0]
    assert lines[2]["back_to"] == 5
    assert read_log(tmp_path / "log.jsonl") == lines


@pytest.mark.parametrize("tail", ["", '{"event": "window", "st', "\0\0\0\n", "3\n", "{}\n"])
def test_goes_on_after_the_checkpoint(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "log.jsonl"
    log = JsonlLog(path, 0)
    for step in (5, 10, 15, 20):
        log.on_report(window(step))
    path.write_text(path.read_text() + tail)
    log = JsonlLog(path, 10)
    log.on_report(window(15))
    assert [record["step"] for record in read_log(path)] == [5, 10, 15]
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    log = JsonlLog(tmp_path / "log.jsonl", 0)
    log.path.unlink()
    log.path.mkdir()
    with pytest.raises(TrainingError, match=r"log\.jsonl.*cannot be written"):
        log.on_report(window(5))
    with pytest.raises(TrainingError, match=r"log\.jsonl.*cannot be written"):
        JsonlLog(tmp_path / "missing" / "log.jsonl", 0)
