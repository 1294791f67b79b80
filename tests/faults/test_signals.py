"""Ctrl-C, SIGTERM and SIGHUP in a batch, once and twice; several batches at once (30, 31, 32)."""

import os
import signal
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.faults.programs import Nursery, Running
from tests.jobs.files import picture
from tests.pace import stretched

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")

PHOTOS = 12


def photos(folder: Path, side: int) -> Path:
    for number in range(PHOTOS):
        picture(folder / "in" / f"{number:02}.png", (side, side), seed=number)
    return folder


def batch(nursery: Nursery, folder: Path, x2: Path, *more: object) -> Running:
    arguments = ["batch", "in", "-w", x2, "-d", "cpu", "--json", *more]
    return nursery.start(*arguments, cwd=folder)


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
    "end",
    [
        ("SIGINT", 130, "interrupted"),
        ("SIGTERM", 143, "terminated"),
        ("SIGHUP", 129, "hung up"),
    ],
)
def test_one_signal_ends_the_batch_in_good_order(
    end: tuple[str, int, str], tmp_path: Path, x2: Path, nursery: Nursery
) -> None:
    name, code, word = end
    options = ["-o", "out", "--tile", "64", "--report", "rows.csv"]
    process = batch(nursery, photos(tmp_path, 200), x2, *options)
    process.wait_for("done")
    os.kill(process.pid, getattr(signal, name))
    sent = time.monotonic()
    assert process.wait() == code
    assert time.monotonic() - sent < stretched(8)  # 2 s, and four times as much for a busy machine
    done = check_outputs(tmp_path, 200)
    told = f"dcls: {word}: {done} done, {PHOTOS - done} left; "
    assert process.err.read_text() == f"{told}run the same command again for the rest\n"
    summary = process.events()[-1]
    assert (summary["event"], summary["done"], summary["left"]) == ("summary", done, PHOTOS - done)
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == PHOTOS + 1


def test_a_second_signal_ends_it_at_once(tmp_path: Path, x2: Path, nursery: Nursery) -> None:
    process = batch(nursery, photos(tmp_path, 400), x2, "-o", "out", "--tile", "0")
    process.wait_for("start")
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    sent = time.monotonic()
    assert process.wait() == 130
    assert time.monotonic() - sent < stretched(2)
    check_outputs(tmp_path, 400)


def test_batches_side_by_side_on_one_folder(tmp_path: Path, x2: Path, nursery: Nursery) -> None:
    photos(tmp_path, 40)
    running = [batch(nursery, tmp_path, x2, "-o", "out") for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert check_outputs(tmp_path, 40) == PHOTOS
    assert batch(nursery, tmp_path, x2, "-o", "alone").wait() == 0
    for path in (tmp_path / "alone").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
