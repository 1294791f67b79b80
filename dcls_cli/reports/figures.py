"""Figures as PNG files."""

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dcls_cli.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 110


def new_figure(width: float, height: float) -> "Figure":
    """A figure with its own canvas: no window system and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_png(figure: "Figure", path: Path) -> None:
    """Write a figure whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """

    def write(file: BinaryIO) -> None:
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH)

    atomic_write(path, write, overwrite=True)
