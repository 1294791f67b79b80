"""Read every file of suites of hostile images and tabulate what comes of it: docs/formats.md.

    git clone --depth 1 https://github.com/image-rs/image-png suites/image-png    # and others
    python docs/measure_corpus.py suites/ --rows rows.jsonl

Each folder within `suites/` is a suite. A file is read, of any kind, as `dcls upscale` reads it, in
a worker process that is given up after a minute. `--rows` keeps what was said about each.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

#: A file that takes longer counts as one that hangs.
PATIENCE_S = 60

#: A worker of this size is replaced, so that each file's memory shows.
WORKER_BYTES = 1.5e9

OUTCOMES = ("read", "refused", "exception", "crash", "hang", "chatter")


class Row(NamedTuple):
    """What became of a file; `said` is what is known of a photo, or why there is none."""

    suite: str
    file: str
    outcome: str
    said: str
    seconds: float
    peak_bytes: int


def attempt(path: str) -> tuple[str, str]:
    """Read a file and say what happened."""
    from dcls_cli.errors import ImageError
    from dcls_cli.image import read

    try:
        photo = read(Path(path))
    except ImageError as error:
        return ("refused" if len(str(error).splitlines()) == 1 else "exception"), str(error)
    except BaseException:
        return "exception", traceback.format_exc()
    shape = "x".join(map(str, photo.samples.shape))
    return "read", f"{photo.format} {shape} {photo.samples.dtype} {' '.join(photo.notes)}"


def work(files: Connection) -> None:
    """Read the files that arrive; what libraries print is looked at, too."""
    import warnings

    warnings.simplefilter("ignore")  # as the command does
    with tempfile.TemporaryFile() as printed:
        for number in (1, 2):
            os.dup2(printed.fileno(), number)
        while path := files.recv():
            before = os.fstat(printed.fileno()).st_size
            started = time.monotonic()
            outcome, said = attempt(path)
            seconds = time.monotonic() - started
            if os.fstat(printed.fileno()).st_size > before:
                outcome = "chatter"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            files.send((outcome, said, seconds, peak))


class Worker:
    """A process that reads files, restarted after a file that has ended it."""

    def __init__(self) -> None:
        """Start none yet."""
        self._process: multiprocessing.Process | None = None

    def read(self, path: Path) -> tuple[str, str, float, int]:
        """Outcome, what was said, seconds and peak memory."""
        if self._process is None:
            self._files, theirs = multiprocessing.Pipe()
            self._process = multiprocessing.Process(target=work, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        self._files.send(str(path))
        if not self._files.poll(PATIENCE_S):
            self.end()
            return "hang", f"longer than {PATIENCE_S} s", float(PATIENCE_S), 0
        try:
            row = self._files.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self.end()
            return "crash", f"exit code {code}", 0.0, 0
        if row[3] > WORKER_BYTES:
            self.end()
        return row

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def rows(suites: Path) -> Iterator[Row]:
    """Read all files of all suites."""
    worker = Worker()
    for suite in sorted(path for path in suites.iterdir() if path.is_dir()):
        for path in sorted(suite.rglob("*")):
            if path.is_file() and ".git" not in path.relative_to(suite).parts:
                yield Row(suite.name, str(path.relative_to(suite)), *worker.read(path))
    worker.end()


def main() -> int:
    """Print the table; 1 if anything is neither read nor refused in one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", type=Path)
    parser.add_argument("--rows", type=Path, help="JSON lines, one for each file")
    given = parser.parse_args()
    found: list[Row] = []
    for row in rows(given.suites):
        found.append(row)
        if row.outcome not in OUTCOMES[:2]:
            print(f"{row.outcome}: {row.suite}/{row.file}: {row.said}", file=sys.stderr)
    if given.rows:
        given.rows.write_text("".join(json.dumps(row._asdict()) + "\n" for row in found))
    print("| suite | files |", " | ".join(OUTCOMES), "| slowest, s |")
    print("| --- " * (len(OUTCOMES) + 3) + "|")
    for suite in sorted({row.suite for row in found}) + ["all"]:
        of_it = [row for row in found if suite in (row.suite, "all")]
        counts = [sum(row.outcome == outcome for row in of_it) for outcome in OUTCOMES]
        slowest = max(row.seconds for row in of_it)
        print(f"| {suite} | {len(of_it)} |", " | ".join(map(str, counts)), f"| {slowest:.1f} |")
    print(f"\nmost memory: {max(row.peak_bytes for row in found) / 1e9:.2f} GB")
    return int(any(row.outcome not in OUTCOMES[:2] for row in found))


if __name__ == "__main__":
    sys.exit(main())
