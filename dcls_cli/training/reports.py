"""What a run reports to its observers, and its JSONL log."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from dcls_cli.errors import TrainingError
from dcls_cli.files.atomic import atomic_write


@dataclass(frozen=True)
class WindowReport:
    """Means over the last window of steps.

    Attributes:
        step: steps so far.
        progress: share of the run behind it, 0 to 1.
        elapsed_s: seconds of training so far, interruptions left out.
        image_loss: mean L1.
        kernel_loss: L1 summed over the kernel's taps, 0 to 2.
        gradient_norm: of the restorer, before clipping.
        learning_rate: of the last step.
        patches_per_s: over all processes.
    """

    step: int
    progress: float
    elapsed_s: float
    image_loss: float
    kernel_loss: float
    gradient_norm: float
    learning_rate: float
    patches_per_s: float


@dataclass(frozen=True)
class ValidationReport:
    """Gaussian8 figures of the averaged weights.

    Attributes:
        step: steps so far.
        elapsed_s: seconds of training so far.
        psnr_y_db: mean over images and the eight blur widths.
        psnr_y_db_by_sigma: mean over images for each width.
        best: no validation before was higher.
    """

    step: int
    elapsed_s: float
    psnr_y_db: float
    psnr_y_db_by_sigma: tuple[float, ...]
    best: bool


@dataclass(frozen=True)
class RollbackReport:
    """A window that was undone.

    Attributes:
        step: the step at which it was noticed.
        back_to: the step that training goes on from.
        reason: what was seen.
        learning_rate_factor: what the schedule is multiplied by from now on.
    """

    step: int
    back_to: int
    reason: str
    learning_rate_factor: float


Report = WindowReport | ValidationReport | RollbackReport


class Observer(Protocol):
    """Watches a run; the command line draws, the log writes."""

    def on_report(self, report: Report) -> None:
        """Something happened."""

    def on_warning(self, message: str) -> None:
        """Something is odd; training goes on."""


class JsonlLog:
    """One JSON object a line: `{"event": "window", "step": ..., ...}`."""

    _EVENTS = {WindowReport: "window", ValidationReport: "validation", RollbackReport: "rollback"}

    def __init__(self, path: Path, step: int) -> None:
        """Continue a log after `step`: later lines belong to a part of the run that was lost.

        Raises:
            TrainingError: the log cannot be written.
        """
        self.path = path
        records = [record for record in read_log(path) if int(str(record["step"])) <= step]
        content = "".join(json.dumps(record) + "\n" for record in records).encode()
        try:
            atomic_write(path, lambda file: file.writelines([content]), overwrite=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def on_report(self, report: Report) -> None:
        """Append one line.

        Raises:
            TrainingError: the line cannot be written.
        """
        line = json.dumps({"event": self._EVENTS[type(report)], **asdict(report)})
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def on_warning(self, message: str) -> None:
        """Warnings are for people; the log holds figures."""

    def _unwritable(self, error: OSError) -> TrainingError:
        return TrainingError(
            f"{self.path}: the log cannot be written ({error.strerror or error}); "
            "checkpoints are whole, free some space and resume"
        )


def read_log(path: Path) -> list[dict[str, object]]:
    """Records of a log, up to the first line that a killed process left unfinished."""
    records: list[dict[str, object]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except (json.JSONDecodeError, RecursionError):
                break
            if not isinstance(record, dict) or "step" not in record:
                break
            records.append(record)
    return records
