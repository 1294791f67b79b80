"""One run a folder: real processes, and one that is killed."""

import os
import signal
import time
from pathlib import Path

import pytest

from dcls_cli.errors import TrainingError
from dcls_cli.training.checkpoint import CheckpointFolder
from dcls_cli.training.processes import LOCK, locked
from tests.pace import stretched
from tests.training import runs
from tests.training.test_kill import start_pair, wait_for


def test_a_second_run_is_refused_until_the_first_is_dead(hr: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    endless = runs.command(hr, out, config=runs.config(iterations=1_000_000))
    first = runs.Child(endless, tmp_path / "first")
    wait_for(out / "checkpoints" / "step-00000010.ckpt")
    for resume in ("auto", "never"):
        second = runs.execute(runs.command(hr, out, resume=resume), tmp_path / "second")
        assert second.exit_code == 1 and second.stdout == ""
        pid = first.process.pid
        line = second.stderr.splitlines()[-1]
        assert f"process {pid} is training into this folder" in line
        assert "choose another --out" in line
    first.process.kill()
    assert first.wait().exit_code == -signal.SIGKILL
    assert (out / LOCK).exists()  # it locks nothing any more
    step = runs.newest(out)["training"]["step"]
    resumed = runs.execute(
        runs.command(hr, out, resume="auto", config=runs.config(iterations=step + 10)),
        tmp_path / "second",
    )
    assert resumed.exit_code == 0, resumed.stderr
    assert not (out / LOCK).exists()


def test_both_processes_of_a_refused_pair_end(hr: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    started = time.monotonic()
    with locked(out):
        outcomes = [child.wait() for child in start_pair(runs.command(hr, out), tmp_path / "l")]
    assert [outcome.exit_code for outcome in outcomes] == [1, 1]
    assert f"process {os.getpid()} is training" in outcomes[0].stderr
    assert "internal error" not in outcomes[1].stderr
    assert not CheckpointFolder(out / "checkpoints").files()
    assert time.monotonic() - started < stretched(30)


def test_nothing_is_left_of_a_folder_that_was_not_used(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK).read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "c"):
        (tmp_path / "c" / "log").write_text("")
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["log"]


def test_a_lock_can_be_taken_again_and_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    for _ in range(3):
        with locked(out), pytest.raises(TrainingError, match="is training into"), locked(out):
            raise AssertionError("held twice")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"), locked(tmp_path / "file" / "run"):
        raise AssertionError("made a folder in a file")
