"""The real program in processes of its own, which can be killed, and small disks of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import dcls_cli

PROGRAM = [sys.executable, "-c", "from dcls_cli.cli.app import main; main()"]

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(dcls_cli.__file__).parents[1]),
    "OMP_NUM_THREADS": "1",
}


def start(*arguments: object, **options: object) -> "subprocess.Popen[str]":
    """Start `dcls` with its streams as text."""
    given = {
        "env": ENVIRONMENT,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        **options,
    }
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], **given)


def dcls(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    """Run `dcls` to its end."""
    with start(*arguments, **options) as process:
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system in memory; the test is skipped where it cannot be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """Remount a small disk."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
