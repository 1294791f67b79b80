"""Figures as PNG files; curves against the width of the blur, as in Fig. 5 of the paper."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dcls_cli.files.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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


#: Paul Tol's bright scheme: told apart by people of every colour vision, and by their markers.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
MARKERS = "osD^vPX"


def draw_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    levels: Mapping[str, float] | None = None,
) -> bytes:
    """Draw PSNR over the width of the blur.

    Returns:
        A PNG file.
    """
    figure = new_figure(7.2, 4.4)
    axes: Axes = figure.subplots()
    for index, (name, points) in enumerate(curves.items()):
        widths, values = zip(*points, strict=True)
        axes.plot(
            widths,
            values,
            label=name,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            markersize=4,
        )
    for name, value in (levels or {}).items():
        axes.axhline(value, color="0.6", linewidth=0.8, linestyle="--")
        axes.annotate(
            f"{name}: published mean",
            (0.995, value),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=7,
            color="0.35",
        )
    axes.set(xlabel="width of the blur, HR pixels", ylabel="PSNR Y, dB", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DOTS_PER_INCH)
    return content.getvalue()
