"""Tiles of an image: where they read, where they count, how their results are joined.

Pure geometry on numpy arrays. Tiles have one size (the image's, where it is smaller) and are spread
evenly. Two neighbours share at least `overlap` pixels; in the middle half of what they are asked to
share one fades into the other, and what lies beyond is context that a tile reads and gives no
result for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dcls_cli.errors import UsageError

#: Turns joined pixels, (h, w, C) float32, into samples, (h, w, C') of any type.
Finish = Callable[[np.ndarray], np.ndarray]

#: A feather is this part of the overlap; the rest, half on either side, is context.
FEATHER_OF_OVERLAP = 0.5


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in pixels of the source.

    Attributes:
        start, stop: what the tile reads.
        rise: the tile's weight grows from 0 to 1 between these two; equal for a hard edge.
        fall: the weight falls from 1 to 0 between these two.
    """

    start: int
    stop: int
    rise: tuple[int, int]
    fall: tuple[int, int]

    @property
    def source(self) -> slice:
        """What the tile reads."""
        return slice(self.start, self.stop)

    @property
    def target(self) -> slice:
        """Where the tile's weight is not zero."""
        return slice(self.rise[0], self.fall[1])

    def weights(self, scale: int) -> np.ndarray:
        """Weight of each up-scaled pixel of the target, ((target) * scale,) float32 in (0, 1]."""
        target = self.target
        count = (target.stop - target.start) * scale
        centres = target.start + (np.arange(count) + 0.5) / scale
        weights = np.ones(count)
        for (low, high), sign in ((self.rise, 1), (self.fall, -1)):
            if high > low:
                ramp = np.clip((centres - low) / (high - low), 0, 1)
                weights *= ramp if sign > 0 else 1 - ramp
        return weights.astype(np.float32)


@dataclass(frozen=True)
class Tile:
    """A rectangle of the source; rows and columns are independent of each other."""

    rows: Span
    columns: Span

    @property
    def source(self) -> tuple[slice, slice]:
        """What the tile reads: index of (..., H, W)."""
        return self.rows.source, self.columns.source

    @property
    def target(self) -> tuple[slice, slice]:
        """Where the tile counts, in pixels of the source: index of (..., H, W)."""
        return self.rows.target, self.columns.target

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what the tile reads."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def plan(height: int, width: int, tile: int, overlap: int) -> list[Tile]:
    """Cover an image with tiles of one size, row by row.

    Args:
        height: of the image in pixels, at least 1.
        width: of the image in pixels, at least 1.
        tile: width and height of a tile in pixels; 0 for one tile that is the whole image.
        overlap: pixels that neighbours share at least, less than `tile`.

    Raises:
        UsageError: a size that cannot be tiled.
    """
    if height < 1 or width < 1:
        raise UsageError(f"an image of {width}x{height} pixels has nothing to tile")
    if tile < 0 or overlap < 0:
        raise UsageError(f"tile {tile} and overlap {overlap} must not be negative")
    if tile and overlap >= tile:
        raise UsageError(f"overlap {overlap} must be smaller than the tile, {tile}")
    rows = _spans(height, tile or height, overlap)
    columns = _spans(width, tile or width, overlap)
    return [Tile(row, column) for row in rows for column in columns]


def _spans(length: int, tile: int, overlap: int) -> list[Span]:
    """Cover one axis."""
    if length <= tile:
        return [Span(0, length, (0, 0), (length, length))]
    count = math.ceil((length - overlap) / (tile - overlap))
    starts = [(length - tile) * index // (count - 1) for index in range(count)]
    stride = min(after - before for before, after in zip(starts, starts[1:], strict=False))
    feather = min(int(overlap * FEATHER_OF_OVERLAP), stride)
    fades = []
    for before, after in zip(starts, starts[1:], strict=False):
        low = (after + before + tile - feather) // 2
        fades.append((low, low + feather))
    rises = [(0, 0), *fades]
    falls = [*fades, (length, length)]
    return [
        Span(start, start + tile, rise, fall)
        for start, rise, fall in zip(starts, rises, falls, strict=True)
    ]


class Stitcher:
    """Joins the results of tiles, row of tiles by row of tiles; their weights sum to 1.

    Only what fades into the next row of tiles is kept as floats.
    """

    def __init__(self, width: int, scale: int, finish: Finish) -> None:
        """Begin at the top.

        Args:
            width: of the source in pixels.
            scale: up-scaling factor.
            finish: turns joined pixels into samples.
        """
        self._width = width * scale
        self._scale = scale
        self._finish = finish
        self._below = np.empty((0, 0, 0), np.float32)
        self._beside = np.empty((0, 0, 0), np.float32)
        self._done = np.empty((0, 0, 0), np.float32)

    def add(self, tile: Tile, patch: np.ndarray) -> np.ndarray | None:
        """Take the next tile of a plan, in its order.

        Args:
            tile: where.
            patch: its result, (scale * h, scale * w, C) float32; it is written to.

        Returns:
            After the last tile of a row, the rows that no further tile changes, (rows, width, C) of
            what `finish` makes; else None.
        """
        expected = tuple(side * self._scale for side in tile.size)
        if patch.shape[:2] != expected:
            raise ValueError(f"a tile's result is {patch.shape[:2]}, expected {expected}")
        target = self._pixels(tile.columns, tile.columns.target)
        joined = patch[self._pixels(tile.rows, tile.rows.target), target]
        rise, fall = self._fades(tile.columns)
        whole = joined.shape[1] - fall
        weights = tile.columns.weights(self._scale)[:, None]
        joined[:, :rise] *= weights[:rise]
        joined[:, whole:] *= weights[whole:]
        if rise:
            joined[:, :rise] += self._beside
        self._beside = joined[:, whole:].copy()
        left = tile.columns.target.start * self._scale
        self._place(tile.rows, joined[:, :whole], slice(left, left + whole))
        return self._done if left + joined.shape[1] == self._width and not fall else None

    def _place(self, rows: Span, joined: np.ndarray, columns: slice) -> None:
        """Join with the row of tiles above; finish what no row below changes."""
        rise, fall = self._fades(rows)
        whole = joined.shape[0] - fall
        weights = rows.weights(self._scale)[:, None, None]
        joined[:rise] *= weights[:rise]
        joined[whole:] *= weights[whole:]
        if rise:
            joined[:rise] += self._below[:, columns]
        samples = self._finish(joined[:whole])
        if columns.start == 0:
            self._done = np.empty((whole, self._width, samples.shape[2]), samples.dtype)
        self._done[:, columns] = samples
        if fall:
            if self._below.shape[:1] != (fall,):
                self._below = np.empty((fall, self._width, joined.shape[2]), np.float32)
            self._below[:, columns] = joined[whole:]

    def _fades(self, span: Span) -> tuple[int, int]:
        """Pixels of the result in which a span rises and falls."""
        (low, high), (start, stop) = span.rise, span.fall
        return (high - low) * self._scale, (stop - start) * self._scale

    def _pixels(self, span: Span, part: slice) -> slice:
        """A part of a span, in pixels of the tile's result."""
        return slice(
            (part.start - span.start) * self._scale, (part.stop - span.start) * self._scale
        )
