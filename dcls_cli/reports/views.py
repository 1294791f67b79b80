"""Before and after: the whole picture if it is small, else a preview and squares pixel by pixel.

Photos are read in windows, so that none must fit into memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from dcls_cli.backends import Raster
from dcls_cli.reports.pictures import Picture, bicubic, encode, to_levels

#: About the side of a window, pixels.
WINDOW_PX = 256


def windows(height: int, width: int, step: int) -> Iterator[tuple[slice, slice]]:
    """Cover an image with windows whose sides are at most `step` pixels."""
    for top, left in product(range(0, height, step), range(0, width, step)):
        yield slice(top, min(top + step, height)), slice(left, min(left + step, width))


def reduced(image: np.ndarray | Raster, factor: int) -> np.ndarray:
    """Mean of each block of factor x factor pixels of an image (C, H, W) that is read in windows.

    The last ones of a row may be smaller: (C, ceil(H / factor), ceil(W / factor)) float32.
    """
    channels, height, width = image.shape
    result = np.empty((channels, -(-height // factor), -(-width // factor)), np.float32)
    step = factor * max(WINDOW_PX // factor, 1)
    for rows, columns in windows(height, width, step):
        means = block_means(image[:, rows, columns], factor)
        top, left = rows.start // factor, columns.start // factor
        result[:, top : top + means.shape[1], left : left + means.shape[2]] = means
    return result


def block_means(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean of each block: (C, H, W) -> (C, ceil(H / factor), ceil(W / factor))."""
    sums = image.astype(np.float64)
    counts = np.ones((1, *image.shape[1:]))
    for axis in (1, 2):
        starts = np.arange(0, image.shape[axis], factor)
        sums = np.add.reduceat(sums, starts, axis=axis)
        counts = np.add.reduceat(counts, starts, axis=axis)
    return np.asarray(sums / counts)


def most_detailed(image: np.ndarray | Raster, side: int, count: int) -> list[tuple[int, int]]:
    """Squares of an image in which neighbouring pixels differ most: top and left, the best first.

    They lie on a grid of `side` pixels; an image may have fewer than `count`.
    """
    _, height, width = image.shape
    found = []
    for rows, columns in windows(height, width, side):
        if rows.stop - rows.start < side or columns.stop - columns.start < side:
            continue
        grey = image[:, rows, columns].astype(np.float64).mean(axis=0)
        energy = float(np.square(np.diff(grey, axis=0)).sum() + np.square(np.diff(grey)).sum())
        found.append((-energy, rows.start, columns.start))
    return [(top, left) for _, top, left in sorted(found)[:count]]


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
    """Choose what to show."""
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
