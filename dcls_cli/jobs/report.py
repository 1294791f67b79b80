"""What became of the photos of a request: counts, the exit code that follows, rows of a table."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dcls_cli.errors import BackendError, DclsError, UsageError, WeightsError
from dcls_cli.files.addresses import Address, Location
from dcls_cli.files.atomic import printable, write_bytes
from dcls_cli.files.remote import check_writable, put_bytes
from dcls_cli.jobs.events import Event, Failed, Finished, Left, Skipped, Task

SUFFIXES = (".jsonl", ".csv")

#: The columns; `status` is done, failed, skipped or left.
COLUMNS = (
    "input",
    "output",
    "status",
    "message",
    "width",
    "height",
    "seconds",
    "model",
    "weights_sha256",
    "reason",
    "device",
    "precision",
    "scale",
    "tiles",
    "kernel_known",
    "kernel_space",
    "kernel_width_px",
    "fidelity",
    "consistency_before_db",
    "consistency_db",
    "notes",
)


class Tally:
    """Counts and remembers what became of each photo.

    Attributes:
        done: photos restored.
        skipped: photos whose output existed.
        made_otherwise: those of them whose output was made with other options.
        differing: the names of these options.
        outdated: those of them whose output was made with these options by other weights.
        left: photos that were not reached.
        errors: of the photos that failed, in order.
        failed: these photos, and folders that could not be looked into.
        rows: one for each photo, of the columns above, in the order of the events; none where they
            are not kept.
    """

    def __init__(self, *, keep_rows: bool = False) -> None:
        """Nothing has happened yet; of a million photos, rows would take a gigabyte."""
        self._keep_rows = keep_rows
        self.done = self.skipped = self.left = self.made_otherwise = self.outdated = 0
        self.differing: set[str] = set()
        self.errors: list[DclsError] = []
        self.failed: list[Location] = []
        self.rows: list[dict[str, Any]] = []

    def take(self, event: Event) -> None:
        """Count an event."""
        match event:
            case Finished(task, outcome):
                self.done += 1
                self._row(task, "done", **outcome.record())
            case Skipped(task, differing, outdated):
                self.skipped += 1
                self.differing.update(differing)
                self.made_otherwise += bool(differing)
                self.outdated += outdated and not differing
                self._row(task, "skipped", message=message_of(differing, outdated=outdated))
            case Left(task):
                self.left += 1
                self._row(task, "left")
            case Failed(source, error, task):
                self.errors.append(error)
                self.failed.append(source)
                output = None if task is None else task.output
                message = printable(event.message)
                row = {"input": source, "output": output, "status": "failed", "message": message}
                if self._keep_rows:
                    self.rows.append(row)

    @property
    def fatal(self) -> DclsError | None:
        """What makes every photo fail: the network or the engine cannot be used."""
        unusable = (WeightsError, BackendError)
        return next((error for error in self.errors if isinstance(error, unusable)), None)

    def exit_code(self) -> int:
        """0 if nothing failed; the failures' own code if nothing was done; otherwise 1."""
        if not self.errors:
            return 0
        codes = {error.exit_code for error in self.errors}
        return codes.pop() if self.done + self.skipped == 0 and len(codes) == 1 else 1

    def _row(self, task: Task, status: str, **fields: object) -> None:
        if self._keep_rows:
            paths = {"input": task.source, "output": task.output}
            self.rows.append({**fields, **paths, "status": status})


def message_of(differing: Iterable[str], *, outdated: bool = False) -> str | None:
    """Describe how an output was made with other options or weights; None if it was not."""
    names = ", ".join("--" + name.replace("_", "-") for name in sorted(differing))
    if names:
        return f"made with other options ({names})"
    return "made by other weights" if outdated else None


def check_report(path: Location, *, dry_run: bool = False) -> None:
    """Refuse a name that says neither JSON lines nor CSV, and what cannot be reported or written.

    Raises:
        UsageError: see above.
        DclsError: the store cannot be reached or written.
    """
    if dry_run:
        raise UsageError("--report and --dry-run exclude each other; give one of them")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{printable(path)}: --report writes {' or '.join(SUFFIXES)}")
    if isinstance(path, Address):
        check_writable(path)


def write_report(rows: Sequence[Mapping[str, Any]], path: Location) -> None:
    """Write a report, in place of an older one.

    Raises:
        DclsError: it cannot be written.
    """
    lines = _csv(rows) if path.suffix.lower() == ".csv" else _json_lines(rows)
    content = lines.encode("utf-8", "backslashreplace")
    if isinstance(path, Address):
        put_bytes(content, path)
        return
    try:
        write_bytes(content, path, overwrite=True)
    except OSError as error:
        raise DclsError(f"{printable(path)}: cannot be written: {error.strerror}") from error


def _json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(
        json.dumps({name: row.get(name) for name in COLUMNS}, default=str) + "\n" for row in rows
    )


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", restval="")
    writer.writeheader()
    for row in rows:
        notes = " ".join(row.get("notes", ()))
        writer.writerow({**row, "notes": notes})
    return file.getvalue()
