"""The real program in processes of its own, which can be killed, and small disks of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

import dcls_cli

PROGRAM = [sys.executable, "-c", "from dcls_cli.cli.app import main; main()"]

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(dcls_cli.__file__).parents[1]),
    "OMP_NUM_THREADS": "1",
}

#: Imports what takes seconds, then makes a child for each line that it reads: the program, with
#: arguments, folder and streams of its own. A line that is a number waits for that child.
NURSERY = """
import json, os, sys
import torch, typer, rich.progress
import dcls_cli.backends.pytorch, dcls_cli.cli.photo_views, dcls_cli.image, dcls_cli.jobs.pool
import dcls_cli.jobs.plan, dcls_cli.jobs.forecast, dcls_cli.upscaling, imagecodecs
from dcls_cli.cli.app import main
for line in sys.stdin:
    job = json.loads(line)
    if isinstance(job, int):
        print(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]), flush=True)
        continue
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    os.chdir(job["cwd"])
    for name, number in ((job["in"], 0), (job["out"], 1), (job["err"], 2)):
        file = os.open(name, os.O_RDWR | (number and os.O_CREAT | os.O_TRUNC), 0o666)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["dcls", *job["arguments"]]
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code or 0)
"""


class Running:
    """A program that a nursery has started."""

    def __init__(self, nursery: "Nursery", pid: int, out: Path, err: Path) -> None:
        """Know the process and the files of its streams."""
        self.pid, self.out, self.err = pid, out, err
        self._nursery = nursery

    def wait(self) -> int:
        """Wait for its end; the exit code, negative for the signal that killed it."""
        return int(self._nursery.ask(self.pid))

    def events(self) -> list[dict[str, Any]]:
        """What it has said so far with `--json`."""
        if not self.out.exists():  # it has not begun
            return []
        whole, _, _ = self.out.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def wait_for(self, event: str) -> None:
        """Wait until it tells of an event."""
        until = time.monotonic() + 600
        while not any(told["event"] == event for told in self.events()):
            assert time.monotonic() < until, (self.out.read_text(), self.err.read_text())
            time.sleep(0.005)


class Nursery:
    """Starts `dcls` in a few milliseconds instead of seconds: forks of a process that has it."""

    def __init__(self, folder: Path) -> None:
        """Keep the streams of programs in a folder."""
        self._folder = folder
        self._count = 0

    def __enter__(self) -> Self:
        """Import everything."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.communicate()

    def start(self, *arguments: object, cwd: Path, stdin: Path | None = None) -> Running:
        """Start `dcls`, with a file as its stdin."""
        self._count += 1
        out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
        given = str(stdin or os.devnull)
        job = {"arguments": list(map(str, arguments)), "cwd": str(cwd), "in": given}
        pid = int(self.ask({**job, "out": str(out), "err": str(err)}))
        return Running(self, pid, out, err)

    def ask(self, job: object) -> str:
        """Say a line, hear a line."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


def dcls(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":  # noqa: ANN401
    """Run `dcls` in an interpreter of its own."""
    given = {"env": ENVIRONMENT, "capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run([*PROGRAM, *map(str, arguments)], check=False, **given)


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
