"""What would wait for a GPU, or mix devices, seen without one; see `tests.pretend_gpu`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import pytest

from dcls_cli.training.presets import PRESETS

ROOT = Path(__file__).parents[2]

NETWORKS = ("light", "photo", "paper", "wiener in RGB", "stretch", "interpolation")
CASES = [f"{work} {name}" for work in ("estimate", "restore") for name in NETWORKS]


class Found(TypedDict):
    """error: a traceback; waits: lines of this project, with what waits there."""

    error: str | None
    waits: list[str]


@pytest.fixture(scope="module")
def report() -> dict[str, Found]:
    line = [sys.executable, "-m", "tests.pretend_gpu"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Found] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("case", [*CASES, *(f"train {preset}" for preset in PRESETS)])
def test_no_devices_are_mixed_and_nothing_waits(report: dict[str, Found], case: str) -> None:
    assert report[case]["error"] is None, report[case]["error"]
    assert report[case]["waits"] == []


def test_all_cases_are_looked_at(report: dict[str, Found]) -> None:
    assert list(report) != []
    assert set(report) == {*CASES, *(f"train {preset}" for preset in PRESETS)}
