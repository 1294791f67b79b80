"""Curves of a figure against the width of the blur, as in Fig. 5 of the paper."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from dcls_cli.reports.figures import DOTS_PER_INCH, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Paul Tol's bright scheme: told apart by people of every colour vision, and by their markers.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
MARKERS = "osD^vPX"


def draw_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    levels: Mapping[str, float] | None = None,
) -> bytes:
    """Draw PSNR over the width of the blur.

    Args:
        curves: (width in HR pixels, PSNR in dB) of each method, widths ascending.
        title: of the figure.
        levels: published means, which are drawn as lines across.

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
