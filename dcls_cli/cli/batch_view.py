"""What a batch shows while it runs: bars on a terminal, or events."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.text import Text

from dcls_cli.cli import console
from dcls_cli.cli.results import Result, line, tell

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
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._json = json
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console.err,
            disable=not console.err.is_terminal or (json and console.out.is_terminal),
            transient=True,
        )
        self._batch = self._bar.add_task("photos", total=total)
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
        name = console.visible(item.source.name)
        self._tasks[item.output] = self._bar.add_task(name, total=None)

    def step(self, item: "Item", done: int, total: int) -> None:
        """Show that a tile is restored."""
        self._bar.update(self._tasks[item.output], completed=done, total=total)
        if self._json:
            console.event("tile", input=item.source, done=done, total=total)

    def end(self, item: "Item") -> None:
        """Show that a photo is done, one way or the other."""
        task = self._tasks.pop(item.output, None)
        if task is not None:
            self._bar.remove_task(task)
        self._bar.advance(self._batch)

    def tell(self, result: Result) -> None:
        """Print a result; above the bars, if it goes to the terminal that shows them."""
        if self._bar.disable or self._json or not console.out.is_terminal:
            tell(result, json=self._json)
            return
        for text in result.notes:
            console.note(f"{result.input}: {text}")
        console.err.print(Text(console.visible(line(result))))
