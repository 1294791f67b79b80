"""SIGKILL at any moment of a batch: nothing is half-written, and the next run ends it (29).

`DCLS_KILLS` sets how often, `DCLS_FIGURES` a file for the figures.
"""

import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from dcls_cli.files import temporaries
from tests.faults.programs import Nursery, Running
from tests.jobs.files import picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals are POSIX"),
]

PHOTOS = 40
JOBS = 3  # as a batch has by default
KILLS = int(os.environ.get("DCLS_KILLS", "60"))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not temporaries.is_temporary(path.name)
    }


def leftovers(folder: Path) -> int:
    return sum(temporaries.is_temporary(path.name) for path in folder.iterdir())


def restored(process: Running) -> set[str]:
    """Photos of which the engine has finished all tiles, as far as it was told."""
    return {
        Path(told["input"]).stem
        for told in process.events()
        if told["event"] == "tile" and told["done"] == told["total"]
    }


def kill_at_a_save(process: Running, out: Path, draw: random.Random) -> None:
    """Kill it while it writes one of its outputs, or just before or after that."""
    save = draw.randrange(PHOTOS - 1)
    seen: set[str] = set()
    until = time.monotonic() + 60
    while len(seen) <= save and time.monotonic() < until:
        if out.exists():
            seen |= {name for name in os.listdir(out) if temporaries.is_temporary(name)}  # noqa: PTH208
    time.sleep(draw.choice((0, 0, 0.0005, 0.001, 0.002)))
    os.kill(process.pid, signal.SIGKILL)


def test_a_batch_that_is_killed_anywhere_loses_nothing(
    tmp_path: Path, x2: Path, nursery: Nursery
) -> None:
    for number in range(PHOTOS):
        picture(tmp_path / "in" / f"{number:02}.png", (96, 96), seed=number)
    inputs = digests(tmp_path / "in")

    def start(out: str) -> Running:
        options = ["-w", x2, "-d", "cpu", "--precision", "fp32", "--tile", "64", "--json"]
        options += ["-j", JOBS]
        return nursery.start("batch", "in", "-o", out, *options, cwd=tmp_path)

    assert start("warm").wait() == 0
    began = time.monotonic()
    assert start("reference").wait() == 0
    seconds = time.monotonic() - began
    reference = digests(tmp_path / "reference")
    draw = random.Random(0)
    figures = {"kills": 0, "at_a_save": 0, "half_written": 0, "with_leftovers": 0, "redone": 0}
    for attempt in range(2 * KILLS):
        if figures["kills"] == KILLS:
            break
        out = tmp_path / f"out{attempt}"
        process = start(out.name)
        at_a_save = attempt % 3 == 0
        if at_a_save:
            kill_at_a_save(process, out, draw)
        else:
            time.sleep(draw.uniform(0, seconds))
            os.kill(process.pid, signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL  # or it was done before
        figures["kills"] += killed
        figures["at_a_save"] += killed and at_a_save
        before = digests(out) if out.exists() else {}
        figures["half_written"] += sum(reference[name] != sha for name, sha in before.items())
        figures["with_leftovers"] += out.exists() and leftovers(out) > 0
        redone = len({name for name in restored(process) if f"{name}_x2.png" not in before})
        figures["redone"] = max(figures["redone"], redone)
        again = start(out.name)
        assert again.wait() == 0
        summary = again.events()[-1]
        assert (summary["done"], summary["skipped"]) == (PHOTOS - len(before), len(before))
        assert digests(out) == reference
        assert leftovers(out) == 0
        assert digests(tmp_path / "in") == inputs
    if "DCLS_FIGURES" in os.environ:
        Path(os.environ["DCLS_FIGURES"]).write_text(json.dumps(figures))
    assert figures["half_written"] == 0
    assert figures["redone"] <= JOBS  # each may have a photo that is restored and not written yet
    assert figures["kills"] == KILLS
