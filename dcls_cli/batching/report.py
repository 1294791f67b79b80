"""One row for each photo of a batch, as a table or as JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from dcls_cli.atomic import atomic_write, printable
from dcls_cli.errors import DclsError, UsageError

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
    "reason",
    "device",
    "precision",
    "scale",
    "tiles",
    "kernel_known",
    "kernel_space",
    "kernel_width_px",
    "notes",
)


def check_report(path: Path) -> None:
    """Refuse a name that says neither JSON lines nor CSV.

    Raises:
        UsageError: see above.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{printable(path)}: --report writes {' or '.join(SUFFIXES)}")


def write_report(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a report, in place of an older one.

    Raises:
        DclsError: it cannot be written.
    """
    lines = _csv(rows) if path.suffix.lower() == ".csv" else _json_lines(rows)
    content = lines.encode("utf-8", "backslashreplace")

    def write(file: BinaryIO) -> None:
        file.write(content)

    try:
        atomic_write(path, write, overwrite=True)
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
