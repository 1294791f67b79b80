"""Ctrl-C, SIGTERM and SIGHUP in a batch, once and twice; several batches at once (30, 31, 32)."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.batching.files import picture
from tests.cli.test_upscale import write_weights
from tests.faults.programs import start

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")

PHOTOS = 12


@pytest.fixture(scope="module")
def x2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "x2.safetensors", 2)


def photos(folder: Path, side: int) -> Path:
    for number in range(PHOTOS):
        picture(folder / "in" / f"{number:02}.png", (side, side), seed=number)
    return folder


def batch(folder: Path, x2: Path, *more: object) -> "subprocess.Popen[str]":
    arguments = ["batch", "in", "-o", "out", "-w", x2, "-d", "cpu", "--tile", "64", *more]
    return start(*arguments, cwd=folder)


def wait_for(process: "subprocess.Popen[str]", event: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == event:
            return
    raise AssertionError(f"the batch ended before '{event}'")


def check_outputs(folder: Path, side: int) -> int:
    """Everything under the final names is whole, and there is nothing else."""
    outputs = list((folder / "out").iterdir())
    for output in outputs:
        with Image.open(output) as image:
            image.load()
            assert image.size == (2 * side, 2 * side)
    assert len(list((folder / "in").iterdir())) == PHOTOS
    return len(outputs)


@pytest.mark.parametrize(
    ("signum", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "hung up"),
    ],
)
def test_one_signal_ends_the_batch_in_good_order(
    signum: signal.Signals, code: int, word: str, tmp_path: Path, x2: Path
) -> None:
    process = batch(photos(tmp_path, 300), x2, "--json", "--report", "rows.csv")
    wait_for(process, "done")
    process.send_signal(signum)
    sent = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert time.monotonic() - sent < 4  # 2 s and a busy machine
    done = check_outputs(tmp_path, 300)
    assert err == f"dcls: {word}: {done} done, {PHOTOS - done} left\n"
    summary = json.loads(out.splitlines()[-1])
    assert (summary["event"], summary["done"], summary["left"]) == ("summary", done, PHOTOS - done)
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == PHOTOS + 1


def test_a_second_signal_ends_it_at_once(tmp_path: Path, x2: Path) -> None:
    process = batch(photos(tmp_path, 500), x2, "--json")
    wait_for(process, "tile")
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - sent < 2
    check_outputs(tmp_path, 500)


def test_batches_side_by_side_on_one_folder(tmp_path: Path, x2: Path) -> None:
    photos(tmp_path, 40)
    running = [batch(tmp_path, x2) for _ in range(3)]
    told = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], told
    assert check_outputs(tmp_path, 40) == PHOTOS
    alone = batch(tmp_path, x2, "--overwrite", "-o", tmp_path / "alone")
    alone.communicate(timeout=120)
    for path in (tmp_path / "alone").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
