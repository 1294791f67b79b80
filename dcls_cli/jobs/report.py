"""What became of the photos of a request: counts, the exit code that follows, rows of a table."""

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from dcls_cli.errors import BackendError, DclsError, UsageError, WeightsError
from dcls_cli.files import platforms, temporaries
from dcls_cli.files.addresses import Address, Location
from dcls_cli.files.atomic import atomic_write, printable
from dcls_cli.files.remote import check_writable, put
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
    """

    def __init__(self, report: "Report | None" = None) -> None:
        """Nothing has happened yet; a report gets a row for each photo."""
        self._report = report
        self.done = self.skipped = self.left = self.made_otherwise = self.outdated = 0
        self.differing: set[str] = set()
        self.errors: list[DclsError] = []
        self.failed: list[Location] = []

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
                self._add(row)

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
        self._add({**fields, "input": task.source, "output": task.output, "status": status})

    def _add(self, row: Mapping[str, Any]) -> None:
        if self._report is not None:
            self._report.add(row)


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


class Report:
    """A row of the columns above for each photo, in a temporary file until the batch has ended."""

    def __init__(self, path: Location) -> None:
        """Begin a report that will be written to a file or an object.

        Raises:
            DclsError: there is no room for it.
        """
        self._path = path
        with self._writing():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - ends with this object
            is_csv = path.suffix.lower() == ".csv"
            # Excel of Windows takes a table for one in the code page unless a mark says UTF-8.
            encoding = "utf-8-sig" if is_csv and platforms.ON_WINDOWS else "utf-8"
            self._text = io.TextIOWrapper(
                self._file, encoding, errors="backslashreplace", newline="", write_through=True
            )
            self._csv: csv.DictWriter[str] | None = None
            if is_csv:
                self._csv = csv.DictWriter(self._text, COLUMNS, extrasaction="ignore", restval="")
                self._csv.writeheader()

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row.

        Raises:
            DclsError: there is no room for it.
        """
        with self._writing():
            if self._csv is not None:
                self._csv.writerow({**row, "notes": " ".join(row.get("notes", ()))})
                return
            line = json.dumps({name: row.get(name) for name in COLUMNS}, default=str)
            self._text.write(f"{line}\n")

    def write(self) -> None:
        """Give all rows the name of the report, in place of an older one.

        Raises:
            DclsError: it cannot be written.
        """

        def copy(file: BinaryIO) -> None:
            self._file.seek(0)
            shutil.copyfileobj(self._file, file)

        with self._writing():
            self._text.flush()
            if not isinstance(self._path, Address):
                atomic_write(self._path, copy, overwrite=True)
                return
            with temporaries.folder() as folder:
                whole = folder / "report"
                with whole.open("wb") as file:
                    copy(file)
                put(whole, self._path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DclsError(
                f"{printable(self._path)}: cannot be written: {error.strerror}"
            ) from error
