"""What a batch shows while it runs: bars on a terminal, or events."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.text import Text

from dcls_cli.cli import console
from dcls_cli.cli.results import Result, line, tell
from dcls_cli.cli.upscale import in_words

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import TaskID

    from dcls_cli.cli.batch_plan import Item
    from dcls_cli.cli.networks import Named


class BatchView:
    """A bar for the batch and one for each photo at work; nothing where stderr is no terminal."""

    def __init__(self, total: int, *, json: bool) -> None:
        """Show a batch of so many photos.

        Args:
            total: photos.
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
        self._batch = self._bar.add_task(f"0 of {total} photos", total=total)
        self._tasks: dict[Path, TaskID] = {}

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bars away."""
        self._bar.stop()

    def start(self, item: "Item", network: "Named") -> None:
        """Show that a photo is restored from now on."""
        if self._json:
            console.event(
                "start",
                input=item.source,
                output=item.output,
                model=network.name,
                reason=network.reason,
            )
        text = f"{_name(item)}: finding the blur"
        self._tasks[item.output] = self._bar.add_task(text, total=None)

    def step(self, item: "Item", done: int, total: int) -> None:
        """Show that a tile is restored."""
        text = f"{_name(item)}: {in_words(done, total)}"
        task = self._tasks[item.output]
        self._bar.update(task, completed=done, total=total, description=text)
        if self._json and done:
            console.event("tile", input=item.source, done=done, total=total)

    def end(self, item: "Item") -> None:
        """Show that a photo is done, one way or the other."""
        task = self._tasks.pop(item.output, None)
        if task is not None:
            self._bar.remove_task(task)
        self._ended += 1
        text = f"{self._ended} of {self._total} photos"
        self._bar.update(self._batch, completed=self._ended, description=text)

    def tell(self, result: Result) -> None:
        """Print a result; above the bars, if it goes to the terminal that shows them."""
        if self._bar.disable or self._json or not console.out.is_terminal:
            tell(result, json=self._json)
            return
        for text in result.notes:
            console.note(f"{result.input}: {text}")
        console.err.print(Text(console.visible(line(result))))


def _name(item: "Item") -> str:
    return console.visible(item.source.name)
