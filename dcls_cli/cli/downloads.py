"""Find the weights of a model, and show a download while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcls_cli.cli import console
from dcls_cli.config import ModelConfig
from dcls_cli.errors import UsageError
from dcls_cli.models.hub import Listener, find

DEFAULT_SCALE = 4


def find_model(model: str | int) -> Path:
    """The weight file of a model, as `hub.find`; a download is shown on stderr.

    Raises:
        UsageError: unknown or impossible name.
        WeightsError: no such weights, damaged ones, or the Hub does not give them.
    """
    with shown_download(str(model)) as listener:
        return find(model, listener)


def choose_weights(
    model: str | None, weights: Path | None, factor: float | None
) -> tuple[Path, ModelConfig]:
    """Find the weight file and its configuration without loading it.

    Raises:
        UsageError: options that contradict each other, or an unknown model.
        WeightsError: there are no such weights, or the file is none.
    """
    from dcls_cli.config import scale_for
    from dcls_cli.graphs import SUFFIX, graph_info
    from dcls_cli.models.weights import read_metadata

    if model is not None and weights is not None:
        raise UsageError("--model and --weights exclude each other; give one of them")
    usual = DEFAULT_SCALE if factor is None else scale_for(factor)
    path = weights or find_model(model if model is not None else usual)
    config = graph_info(path).config if path.suffix == SUFFIX else read_metadata(path)[0]
    if factor is not None and factor > config.scale:
        raise UsageError(
            f"-s {factor:g}: {console.visible(model or path)} up-scales x{config.scale}; "
            f"give -s {config.scale} or less, or other weights"
        )
    return path, config


@contextmanager
def shown_download(name: str) -> Iterator[Listener]:
    """Show a bar on a terminal, and a note after a download; without one, nothing."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(
        *columns,
        TransferSpeedColumn(),
        console=console.err,
        disable=not console.shows_progress(),
        transient=True,
    ) as bar:
        task = bar.add_task(console.visible(name), total=None, visible=False)

        size = 0

        def progress(received: int, total: int | None) -> None:
            nonlocal size
            size = received
            bar.update(task, completed=received, total=total, visible=True)

        yield Listener(note=console.note, progress=progress)
    if size:
        console.note(f"{name}: downloaded, {size / 1e6:.1f} MB")
