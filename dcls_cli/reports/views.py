"""Before and after: the whole picture if it is small, else a preview and squares pixel by pixel."""

from dataclasses import dataclass

import numpy as np

from dcls_cli.backends import Raster
from dcls_cli.reports.pictures import Picture, bicubic, encode, to_levels
from dcls_cli.reports.regions import most_detailed, reduced

#: Results of at most this side, pixels, are shown whole and pixel by pixel.
WHOLE_PX = 640

#: Larger ones are scaled down to at most this side for a preview.
PREVIEW_PX = 1024

#: Side of the squares that are shown pixel by pixel, about, pixels of the result.
SQUARE_PX = 320

SQUARES = 3

#: Input pixels around a square that its bicubic enlargement looks at.
_MARGIN = 4


@dataclass(frozen=True)
class View:
    """One comparison.

    Attributes:
        before: the input, enlarged by bicubic interpolation.
        after: the result, of the same size.
        caption: what is seen.
        exact: whether each pixel is one of the result, without loss.
    """

    before: Picture
    after: Picture
    caption: str
    exact: bool


def views(lr: np.ndarray | Raster, sr: np.ndarray | Raster, scale: int) -> list[View]:
    """Choose what to show.

    Args:
        lr: the input, (3, H, W) in [0, 1].
        sr: the result, (3, scale H, scale W).
        scale: of the result.
    """
    _, height, width = sr.shape
    if max(height, width) <= WHOLE_PX:
        before = bicubic(_levels(lr[:, : lr.shape[1], : lr.shape[2]]), width, height)
        after = _levels(sr[:, :height, :width])
        return [View(encode(before), encode(after), "The whole picture, pixel by pixel.", True)]
    side = SQUARE_PX // scale
    places = most_detailed(lr, side, SQUARES)
    return [_preview(lr, sr, scale), *(_square(lr, sr, scale, place, side) for place in places)]


def thumbnail(lr: np.ndarray | Raster) -> Picture:
    """The input, scaled down to at most `SQUARE_PX`."""
    factor = -(-max(lr.shape[1:]) // SQUARE_PX)
    return encode(_levels(reduced(lr, factor)))


def _preview(lr: np.ndarray | Raster, sr: np.ndarray | Raster, scale: int) -> View:
    factor = -(-max(sr.shape[1:]) // PREVIEW_PX)
    after = _levels(reduced(sr, factor))
    height, width = after.shape[:2]
    before = bicubic(_levels(reduced(lr, max(factor // scale, 1))), width, height)
    text = f"The whole picture, scaled down to 1/{factor} of its width (a JPEG preview)."
    return View(encode(before, lossy=True), encode(after, lossy=True), text, False)


def _square(
    lr: np.ndarray | Raster,
    sr: np.ndarray | Raster,
    scale: int,
    place: tuple[int, int],
    side: int,
) -> View:
    top, left = place
    rows, columns = (
        slice(max(first - _MARGIN, 0), min(first + side + _MARGIN, length))
        for first, length in zip(place, lr.shape[1:], strict=True)
    )
    near = _levels(lr[:, rows, columns])
    enlarged = bicubic(near, near.shape[1] * scale, near.shape[0] * scale)
    above, before = (top - rows.start) * scale, (left - columns.start) * scale
    count = side * scale
    cut = enlarged[above : above + count, before : before + count]
    top, left = top * scale, left * scale
    after = _levels(sr[:, top : top + count, left : left + count])
    text = (
        f"Pixel by pixel: {count} x {count} pixels of the output, {left} from the left, {top} "
        "from the top; one of the places with the most detail."
    )
    return View(encode(cut), encode(after), text, True)


def _levels(image: np.ndarray) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8."""
    return np.ascontiguousarray(to_levels(image).transpose(1, 2, 0))
