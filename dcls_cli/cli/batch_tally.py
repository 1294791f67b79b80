"""What a batch has done, told as it happens, and at its end in one line, event and report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcls_cli.cli import console
from dcls_cli.cli.results import Result
from dcls_cli.cli.signals import WORDS
from dcls_cli.errors import DclsError, ImageError, UsageError

#: Failed photos that are named at the end.
LISTED = 20

#: Lines after which the first ones are no longer in sight.
SCROLLED = 20


class BatchTally:
    """Counts and remembers what became of each photo.

    Attributes:
        left_out: number of files that are no inputs, by reason.
        done: photos restored.
        skipped: photos whose output was there.
        left: photos that were not reached.
        codes: exit codes of the failures.
    """

    def __init__(self, *, json: bool, fail_fast: bool, report: Path | None) -> None:
        """Nothing is done yet.

        Args:
            json: tell everything as events too.
            fail_fast: whether the first failure ends the batch.
            report: file of the report.
        """
        self.json = json
        self.left_out: Mapping[str, int] = {}
        self.done = self.skipped = self.left = 0
        self.codes: list[int] = []
        self._fail_fast = fail_fast
        self._report = report
        self._rows: list[dict[str, Any]] = []
        self._failed: list[Path] = []

    @property
    def must_end(self) -> bool:
        """Whether a failure ends the batch."""
        return self._fail_fast and bool(self.codes)

    def add(self, result: Result) -> None:
        """Count a photo that is done and reported elsewhere."""
        self.done += 1
        self._row(result.input, result.output, "done", **result.record())

    def fail(self, source: Path, output: Path | None, error: DclsError) -> None:
        """Tell why a photo has no output."""
        named = isinstance(error, ImageError | UsageError)  # these name their file themselves
        text = console.reason(error, None if named else source)
        console.fault(text)
        self._failed.append(source)
        self.codes.append(error.exit_code)
        if self.json:
            console.event("error", input=source, message=text, exit_code=error.exit_code)
        self._row(source, output, "failed", message=console.visible(text))

    def skip(self, source: Path, output: Path) -> None:
        """Count a photo whose output is there."""
        self.skipped += 1
        if self.json:
            console.event("skip", input=source, output=output)
        self._row(source, output, "skipped")

    def leave(self, source: Path, output: Path) -> None:
        """Count a photo that is not reached."""
        self.left += 1
        self._row(source, output, "left")

    def conclude(self, ended_by: int | None, **measured: Any) -> int:  # noqa: ANN401 - JSON
        """Tell the sum, and write the report.

        Args:
            ended_by: exit code of the signal that ended the batch, if one did.
            measured: further fields of the event.

        Returns:
            The exit code: 0 if no photo has failed; 1; or the one of all failures, if nothing was
            done.

        Raises:
            DclsError: the report cannot be written.
        """
        counts = {"done": self.done, "failed": len(self.codes), "skipped": self.skipped}
        if self.json:
            console.event(
                "summary", **counts, left=self.left, left_out=dict(self.left_out), **measured
            )
        self._list_failed()
        if ended_by is not None:
            console.fault(
                f"{WORDS[ended_by]}: {self.done} done, {self.left} left; "
                "the same command goes on with the rest"
            )
        else:
            console.note(self._sentence(counts))
        if self._report is not None:
            from dcls_cli.batching.report import write_report

            write_report(self._rows, self._report)
        if not self.codes:
            return 0
        alone = self.done + self.skipped == 0 and len(set(self.codes)) == 1
        return self.codes[0] if alone else 1

    def _list_failed(self) -> None:
        """Name what has failed once more where the messages have scrolled away."""
        if self.done + len(self._failed) < SCROLLED:
            return
        for source in self._failed[:LISTED]:
            console.note(f"failed: {source}")
        if len(self._failed) > LISTED:
            console.note(f"failed: {len(self._failed) - LISTED} more; --report FILE lists all")

    def forecast(self, to_do: int, sentence: str, /, **measured: Any) -> None:  # noqa: ANN401
        """Tell what would be done, and what it would take.

        Args:
            to_do: photos that would be restored.
            sentence: what they would take.
            measured: the same, further fields of the event.
        """
        failed = len(self.codes)
        if self.json:
            counts = {"to_do": to_do, "failed": failed, "skipped": self.skipped, "left": self.left}
            console.event("summary", **counts, left_out=dict(self.left_out), **measured)
        said = {"to do": to_do, "would fail": failed, "done already": self.skipped}
        console.note(self._sentence(said) + (f"; {sentence}" if sentence else ""))

    def _sentence(self, counts: Mapping[str, int]) -> str:
        parts = [f"{count} {what}" for what, count in counts.items()]
        if self.left:
            parts.append(f"{self.left} left")
        text = ", ".join(parts)
        if self.left_out:
            reasons = ", ".join(f"{count} {why}" for why, count in sorted(self.left_out.items()))
            text += f"; files left out: {reasons}"
        return text

    def _row(self, source: Path, output: Path | None, status: str, /, **fields: Any) -> None:  # noqa: ANN401
        if self._report is not None:
            self._rows.append({**fields, "input": source, "output": output, "status": status})
