"""Limits of the machine and of containers, as the kernel writes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dcls_cli import machine


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "9900000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_processors_of_a_container(
    files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, files)
    monkeypatch.setattr(machine, "_GROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert machine.usable_processors() == expected


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "files",
    [
        {"memory.max": "5000000", "memory.current": "1000000"},
        {"memory/memory.limit_in_bytes": "5000000", "memory/memory.usage_in_bytes": "1000000"},
    ],
)
def test_memory_of_a_container(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_GROUPS", tmp_path)
    (tmp_path / "memory.max").write_text("max")
    assert machine.free_memory_bytes() > 5_000_000
    _write(tmp_path, files)
    assert machine.free_memory_bytes() == 4_000_000
    version = "memory/" if "memory.max" not in files else ""
    name = "total_inactive_file" if version else "inactive_file"
    stat = f"file 900000\nactive_file 200000\n{name} 700000\nshmem 5\n"
    _write(tmp_path, {f"{version}memory.stat": stat})
    assert machine.free_memory_bytes() == 4_700_000


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS")
def test_a_limit_of_addresses_is_a_limit_of_memory() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30));"
        "from dcls_cli.machine import free_memory_bytes as free; before = free();"
        "kept = bytearray(2**28); print(before, before - free())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, taken = map(int, done.stdout.split())
    assert 2**29 < before < 2**30
    assert abs(taken - 2**28) < 2**24


def test_restoring_does_not_load_the_compiler() -> None:
    """It takes as long to load as all the rest: with released weights, and a tile."""
    code = (
        "import sys; from dcls_cli import example; from dcls_cli.models import releases; "
        "from dcls_cli.backends.loading import load_backend; lr = example.pixels(24, 24); "
        "backend = load_backend(releases.location(releases.RELEASES[0]), 'cpu', engine='torch'); "
        "backend.restore(lr[None], backend.estimate(lr)); print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(("usable", "expected"), [(2, "2"), (8, None)])
def test_pytorch_gets_as_many_threads_as_processors_may_be_used(
    usable: int, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 8 that are shown; what the user has set stays."""
    monkeypatch.setattr(machine, "_shown_processors", lambda: 8)
    monkeypatch.setattr(machine, "usable_processors", lambda: usable)
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    machine.prepare_pytorch()
    assert os.environ.get("OMP_NUM_THREADS") == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    machine.prepare_pytorch()
    assert os.environ["OMP_NUM_THREADS"] == "5"
