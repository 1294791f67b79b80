"""Processes that are killed, asked to stop, or several: real ones, with signals."""

import json
import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest

from dcls_cli.training.checkpoint import CheckpointFolder
from tests.pace import stretched
from tests.training import runs


@pytest.fixture(scope="module")
def whole(hr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    outcome = runs.execute(runs.command(hr, folder / "run"), folder / "logs")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.startswith(f"{folder / 'run' / 'latest.safetensors'}  not validated")
    return folder / "run"


def assert_same_run(one: Path, other: Path) -> None:
    """Same weights, averages, moments and losses; not even the files of weights differ."""
    assert runs.differing(runs.newest(one), runs.newest(other)) == []
    weights = [(out / "latest.safetensors").read_bytes() for out in (one, other)]
    assert weights[0] == weights[1]
    assert runs.log_without_clocks(one) == runs.log_without_clocks(other)
    assert not list(other.rglob("*.dcls-tmp"))


def send(child: runs.Child, number: signal.Signals) -> None:
    pid = child.process.pid
    assert pid is not None
    os.kill(pid, number)


def wait_for(path: Path, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.005)


def kill_and_resume(hr: Path, folder: Path, whole: Path, seed: int) -> None:
    """Kill at a random moment, then run to the end."""
    lasts_s = json.loads((whole / "log.jsonl").read_text().splitlines()[-1])["elapsed_s"]
    out = folder / "run"
    child = runs.Child(runs.command(hr, out), folder / "logs")
    wait_for(out / "log.jsonl")
    time.sleep(random.Random(seed).uniform(0, lasts_s))
    child.process.kill()
    killed = child.wait()
    assert killed.exit_code in (-signal.SIGKILL, 0), killed.stderr
    resumed = runs.execute(runs.command(hr, out, resume="auto"), folder / "logs")
    assert resumed.exit_code == 0, resumed.stderr
    assert_same_run(whole, out)


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_a_killed_run_ends_with_the_same_bits(
    hr: Path, tmp_path: Path, whole: Path, seed: int
) -> None:
    kill_and_resume(hr, tmp_path, whole, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
def test_a_run_killed_at_any_moment_ends_with_the_same_bits(
    hr: Path, tmp_path: Path, whole: Path, seed: int
) -> None:
    kill_and_resume(hr, tmp_path, whole, seed)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_in_good_order(
    hr: Path, tmp_path: Path, whole: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "run"
    child = runs.Child(runs.command(hr, out), tmp_path / "logs")
    wait_for(out / "checkpoints" / "step-00000010.ckpt")
    before = time.monotonic()
    send(child, number)
    outcome = child.wait()
    assert outcome.exit_code == code
    assert time.monotonic() - before < stretched(10)
    assert outcome.stdout == ""
    step = runs.newest(out)["training"]["step"]
    assert f"stopped at step {step} " in outcome.stderr and "--resume auto" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    again = runs.execute(runs.command(hr, out, resume="auto"), tmp_path / "logs")
    assert again.exit_code == 0, again.stderr
    assert f"resumed at step {step}\n" in again.stderr
    assert_same_run(whole, out)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_pair(run: runs.Run, logs: Path) -> list[runs.Child]:
    port = free_port()
    return [runs.Child(run, logs, rank=rank, world=2, port=port) for rank in (0, 1)]


def test_two_processes_train_as_one(hr: Path, tmp_path: Path) -> None:
    # Adam divides by the size of gradients that may be rounding errors: a low rate keeps the
    # difference that this makes below what is compared.
    options = runs.config(iterations=10, learning_rate=1e-4, batch=8)
    assert runs.execute(runs.command(hr, tmp_path / "one", config=options), tmp_path).exit_code == 0
    pair = start_pair(runs.command(hr, tmp_path / "two", config=options), tmp_path / "logs")
    first, second = (child.wait() for child in pair)
    assert first.exit_code == second.exit_code == 0, first.stderr + second.stderr
    assert "training on cpu" in first.stderr
    assert second.stdout == second.stderr == ""
    untrained, _ = runs.trainer(hr, tmp_path, options)
    start = untrained.state.network.state_dict()
    one, two = (runs.newest(tmp_path / name)["training"]["network"] for name in ("one", "two"))
    moved = max(float((one[name] - start[name]).abs().max()) for name in one)
    apart = max(float((one[name] - two[name]).abs().max()) for name in one)
    assert moved > 1e-4
    assert apart < 1e-5
    windows = [runs.log_without_clocks(tmp_path / name) for name in ("one", "two")]
    for alone, together in zip(*windows, strict=True):
        assert together["image_loss"] == pytest.approx(alone["image_loss"], rel=1e-4)
        assert together["kernel_loss"] == pytest.approx(alone["kernel_loss"], rel=1e-4)


def test_one_process_that_is_asked_to_stop_stops_all(hr: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = runs.command(hr, out, config=runs.config(iterations=100_000))
    pair = start_pair(run, tmp_path / "logs")
    wait_for(out / "checkpoints" / "step-00000010.ckpt")
    send(pair[1], signal.SIGTERM)
    first, second = (child.wait() for child in pair)
    assert first.exit_code == second.exit_code == 143, first.stderr
    step = runs.newest(out)["training"]["step"]
    assert f"stopped at step {step} " in first.stderr
    assert step >= 10


def test_trouble_in_one_process_is_rolled_back_in_all(hr: Path, tmp_path: Path) -> None:
    out, port = tmp_path / "run", free_port()
    run = runs.command(hr, out, config=runs.config(iterations=20))
    pair = [
        runs.Child(
            run,
            tmp_path / "logs",
            rank=rank,
            world=2,
            port=port,
            blind_at=12 if rank == 1 else None,
        )
        for rank in (0, 1)
    ]
    first, second = (child.wait() for child in pair)
    assert first.exit_code == second.exit_code == 0, first.stderr + second.stderr
    assert "step 15: the loss is not finite; back to step 10" in first.stderr
    state = runs.newest(out)["training"]
    assert (state["step"], state["salt"]) == (20, 1)
    assert all(bool(tensor.isfinite().all()) for tensor in state["network"].values())


def test_the_batch_must_divide(hr: Path, tmp_path: Path) -> None:
    run = runs.command(hr, tmp_path / "run", config=runs.config(batch=3))
    outcomes = [child.wait() for child in start_pair(run, tmp_path / "logs")]
    assert [outcome.exit_code for outcome in outcomes] == [1, 1]
    assert "batch 3 cannot be shared by 2 processes" in outcomes[0].stderr
    assert not CheckpointFolder(tmp_path / "run" / "checkpoints").files()
