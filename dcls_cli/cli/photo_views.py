"""What is shown of photos while they are restored: bars on a terminal, lines, or NDJSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from rich.text import Text

from dcls_cli.cli import console
from dcls_cli.cli.signals import WORDS
from dcls_cli.files.remote import is_there
from dcls_cli.jobs.events import (
    Event,
    Failed,
    Finished,
    Left,
    Noted,
    Outcome,
    Skipped,
    Started,
    Stepped,
    Task,
)
from dcls_cli.jobs.report import message_of

if TYPE_CHECKING:
    from rich.progress import TaskID

    from dcls_cli.files.addresses import Location
    from dcls_cli.jobs.events import Named
    from dcls_cli.jobs.forecast import BatchForecast, Forecast, Sized
    from dcls_cli.jobs.report import Tally

#: Failed photos that are named at the end.
LISTED = 20

#: Lines after which the first ones are no longer in sight.
SCROLLED = 20


class PhotoView:
    """A bar for a batch and one for each photo in work; nothing where stderr is no terminal."""

    def __init__(self, total: int | None, *, json: bool) -> None:
        """Show photos.

        Args:
            total: photos of a batch, which has a bar of its own; None without one.
            json: print events.
        """
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._json = json
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True),
            console=console.err,
            disable=not console.shows_progress() or (json and console.out.is_terminal),
            transient=True,
        )
        self._total, self._ended = total, 0
        if total is not None:
            self._batch = self._bar.add_task(f"0 of {total} photos", total=total)
        self._bars: dict[Location, TaskID] = {}
        self._explained: set[str] = set()

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bars."""
        self._bar.stop()

    def take(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Noted():
                console.note(event)
            case Started():
                self._start(event)
            case Stepped(task, done, total):
                text = f"{_name(task)}: {_in_words(done, total)}"
                bar = self._bars[task.output]
                self._bar.update(bar, completed=done, total=total, description=text)
                if self._json and done:
                    console.event("tile", input=task.source, done=done, total=total)
            case Finished(task, outcome):
                self._end(task)
                self._print(outcome)
            case Skipped(task, differing, outdated):
                self._end(task)
                if self._json:
                    paths = {"input": task.source, "output": task.output}
                    message = message_of(differing, outdated=outdated)
                    console.event("skip", **paths, message=message)
            case Failed(source, error, task):
                self._end(task)
                console.fault(event.message)
                if self._json:
                    code, text = error.exit_code, event.message
                    console.event("error", input=source, message=text, exit_code=code)
            case Left():
                pass

    def _start(self, event: Started) -> None:
        task, network = event.task, event.network
        if self._json:
            console.event(
                "start",
                input=task.source,
                output=task.output,
                model=network.name,
                reason=network.reason,
            )
        else:
            self.explain(task.source, network)
        text = f"{_name(task)}: finding the blur"
        self._bars[task.output] = self._bar.add_task(text, total=None)

    def explain(self, source: "Location", network: "Named") -> None:
        """Say why the rule chose a network, for the first photo that gets it."""
        if network.reason is not None and network.name not in self._explained:
            self._explained.add(network.name)
            console.note(f"{source}: {network.name}, because {network.reason}")

    def _end(self, task: Task | None) -> None:
        """Show that no more is done about a photo."""
        bar = None if task is None else self._bars.pop(task.output, None)
        if bar is not None:
            self._bar.remove_task(bar)
        if self._total is not None:
            self._ended += 1
            text = f"{self._ended} of {self._total} photos"
            self._bar.update(self._batch, completed=self._ended, description=text)

    def _print(self, outcome: Outcome) -> None:
        """Print a result; above the bars, if it goes to the terminal that shows them."""
        for text in outcome.notes:
            console.note(f"{outcome.input}: {text}")
        if self._json:
            console.event("done", **outcome.record())
        elif str(outcome.output) == "-":  # stdout has the photo itself
            console.note(line(outcome))
        elif self._bar.disable or not console.out.is_terminal:
            console.written(line(outcome))
        else:
            console.err.print(Text(console.visible(line(outcome))))


def _name(task: Task) -> str:
    return console.visible(task.source.name)


def _in_words(done: int, total: int) -> str:
    """What is being done while tiles are restored."""
    return "restoring" if total == 1 else f"restoring {done} of {total} tiles"


def line(outcome: Outcome) -> str:
    """A result in one line; all of it with `-v`."""
    short = (
        f"{outcome.output}  {outcome.width}x{outcome.height}  {outcome.seconds:.1f} s  "
        f"{outcome.model}"
    )
    if not console.verbosity.verbose:
        return short
    pixels = {"hr": "output", "lr": "input"}[outcome.kernel_space]
    tiles = f"{outcome.tiles} tile{'s' * (outcome.tiles != 1)}"
    return (
        f"{short}  {outcome.device} {outcome.precision}  {tiles}  "
        f"blur {outcome.kernel_width_px:.2f} {pixels} px wide"
    )


def print_summary(
    tally: "Tally",
    left_out: Mapping[str, int],
    *,
    json: bool,
    ended_by: int | None,
    **measured: Any,  # noqa: ANN401 - JSON
) -> None:
    """Print the sum of a batch.

    Args:
        tally: what became of the photos.
        left_out: number of files that are no inputs, by reason.
        json: print an event too.
        ended_by: exit code of the signal that ended the batch, if one did.
        measured: further fields of the event.
    """
    counts = {"done": tally.done, "failed": len(tally.errors), "skipped": tally.skipped}
    if json:
        console.event("summary", **counts, left=tally.left, left_out=dict(left_out), **measured)
    _list_failed(tally)
    if ended_by is not None:
        console.fault(
            f"{WORDS[ended_by]}: {tally.done} done, {tally.left} left; "
            "run the same command again for the rest"
        )
    else:
        console.note(_sentence(counts, tally.left, left_out))
    _warn_of_others(tally)


def _warn_of_others(tally: "Tally") -> None:
    """Say that outputs are not those of this command."""
    if tally.made_otherwise:
        console.fault(
            f"{tally.made_otherwise} of the skipped outputs were {message_of(tally.differing)}; "
            "--redo-changed replaces them"
        )
    if tally.outdated:
        console.fault(
            f"{tally.outdated} of the skipped outputs were made by other weights; "
            "--redo-older replaces them"
        )


def _list_failed(tally: "Tally") -> None:
    """Name what has failed once more where the messages have scrolled away."""
    if tally.done + len(tally.failed) < SCROLLED:
        return
    for source in tally.failed[:LISTED]:
        console.note(f"failed: {source}")
    if len(tally.failed) > LISTED:
        console.note(f"failed: {len(tally.failed) - LISTED} more; --report FILE lists all")


def _sentence(counts: Mapping[str, int], left: int, left_out: Mapping[str, int]) -> str:
    counted = [f"{count} {what}" for what, count in counts.items()]
    if left:
        counted.append(f"{left} left")
    text = ", ".join(counted)
    if left_out:
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
        text += f"; files left out: {reasons}"
    return text


def print_forecast(found: "Forecast", *, json: bool) -> None:
    """Print what a photo would take."""
    if json:
        console.event("forecast", **asdict(found))
        return
    console.say(
        f"{found.output}  {found.input_width}x{found.input_height} -> "
        f"{found.width}x{found.height}  {found.model}  {found.device} {found.precision}  "
        f"{found.tiles} tile{'s' * (found.tiles > 1)} of {found.tile_px} px  "
        f"memory {_megabytes(found.memory_bytes)} of {_megabytes(found.free_memory_bytes)} free  "
        f"disk {_megabytes(found.disk_bytes)}  about {_time(found.seconds)}"
    )


def print_batch_forecast(
    sized: "list[Sized]",
    found: "BatchForecast | None",
    tally: "Tally",
    left_out: Mapping[str, int],
    *,
    json: bool,
) -> None:
    """Print what would be done with each photo of a batch, and what all would take."""
    for each in sized:
        task = each.task
        replaced = task.replace and is_there(task.output)
        if json:
            console.event(
                "forecast",
                input=task.source,
                output=task.output,
                width=each.width,
                height=each.height,
                replaced=replaced,
            )
            continue
        end = "  replaces the one that is there" if replaced else ""
        console.say(f"{task.output}  {each.width}x{each.height}  from {task.source}{end}")
    failed = len(tally.errors)
    if json:
        counts = {"to_do": len(sized), "failed": failed, "skipped": tally.skipped}
        measured = asdict(found) if found else {}
        console.event("summary", **counts, left=tally.left, left_out=dict(left_out), **measured)
    said = {"to do": len(sized), "would fail": failed, "done already": tally.skipped}
    sums = f"; {_sums(found)}" if found else ""
    console.note(_sentence(said, tally.left, left_out) + sums)
    _warn_of_others(tally)


def _sums(found: "BatchForecast") -> str:
    named = f", {found.renamed} named by stem and suffix" if found.renamed else ""
    several = f"{found.engines} x " if found.engines > 1 else ""
    free, room = "", ""
    if found.free_disk_bytes is not None:
        free = f" of {_megabytes(found.free_disk_bytes)} free"
        room = ", which is too little" if found.disk_bytes > found.free_disk_bytes else ""
    return (
        f"{found.input_pixels / 1e6:.3g} -> {found.output_pixels / 1e6:.3g} megapixels{named}; "
        f"disk about {_megabytes(found.disk_bytes)}{free}{room}; "
        f"memory {_megabytes(found.memory_bytes)} of {_megabytes(found.free_memory_bytes)} free; "
        f"about {_time(found.seconds)} on {several}{found.device} {found.precision}"
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count < 1e10 else f"{count / 1e9:.0f} GB"


def _time(seconds: float) -> str:
    """For people, in the unit that fits."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
