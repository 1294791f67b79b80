"""Details side by side with the kernels inset, as in Figs. 6-9 of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcls_cli.reports.pictures import enlarge, to_levels

GAP_PX = 6
TITLE_PX = 34
FONT_PX = 13
#: Side of an inset kernel over the side of its panel.
INSET = 0.3
_INK = (28, 28, 28)
_FRAME = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Panel:
    """One detail.

    Attributes:
        title: up to two lines.
        levels: (H, W, 3) uint8; all panels of a montage have one size.
        kernel: (k, k), inset at the top left, or None.
    """

    title: str
    levels: np.ndarray
    kernel: np.ndarray | None = None


def montage(rows: Sequence[Sequence[Panel]]) -> np.ndarray:
    """Put rows of panels onto one sheet, pixel by pixel: (H, W, 3) uint8."""
    height, width = rows[0][0].levels.shape[:2]
    columns = max(map(len, rows))
    across, down = width + GAP_PX, height + TITLE_PX + GAP_PX
    sheet = Image.new("RGB", (columns * across - GAP_PX, len(rows) * down - GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_PX)
    for top, row in enumerate(rows):
        for left, panel in enumerate(row):
            place = (left * across, top * down)
            draw.multiline_text((place[0] + 2, place[1] + 1), panel.title, _INK, font, spacing=2)
            picture = Image.fromarray(with_inset(panel.levels, panel.kernel))
            sheet.paste(picture, (place[0], place[1] + TITLE_PX))
    return np.asarray(sheet)


def with_inset(levels: np.ndarray, kernel: np.ndarray | None) -> np.ndarray:
    """A picture with a kernel, white its largest tap, framed in its top left corner."""
    if kernel is None:
        return levels
    grey = to_levels(kernel / max(float(kernel.max()), 1e-12))
    factor = max(1, round(INSET * min(levels.shape[:2]) / len(kernel)))
    grey = enlarge(grey, factor)[: levels.shape[0] - 1, : levels.shape[1] - 1]
    framed = levels.copy()
    height, width = grey.shape
    framed[: height + 1, : width + 1] = _FRAME
    framed[:height, :width] = grey[..., None]
    return framed
