"""Tiles of an image: where they read, where they count, how their results are joined.

Pure geometry on numpy arrays. Tiles have one size (the image's, where it is smaller) and are spread
evenly. Two neighbours share at least `overlap` pixels; in the middle half of what they are asked to
share one fades into the other, and what lies beyond is context that a tile reads and gives no
result for.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dcls_cli.errors import UsageError

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


def stitch(
    patches: Iterable[tuple[Tile, np.ndarray]], channels: int, height: int, width: int, scale: int
) -> np.ndarray:
    """Join up-scaled tiles; their weights sum to 1 at every pixel.

    Args:
        patches: the tiles of a plan with their results, each (C, scale * h, scale * w) float32;
            read one at a time.
        channels: C.
        height: of the source in pixels.
        width: of the source in pixels.
        scale: up-scaling factor.

    Returns:
        (C, scale * height, scale * width) float32.
    """
    canvas = np.zeros((channels, height * scale, width * scale), np.float32)
    for tile, patch in patches:
        expected = (channels, *(side * scale for side in tile.size))
        if patch.shape != expected:
            raise ValueError(f"a tile's result is {patch.shape}, expected {expected}")
        read = tuple(
            slice((span.target.start - span.start) * scale, (span.target.stop - span.start) * scale)
            for span in (tile.rows, tile.columns)
        )
        written = tuple(slice(part.start * scale, part.stop * scale) for part in tile.target)
        weights = np.outer(tile.rows.weights(scale), tile.columns.weights(scale))
        canvas[(slice(None), *written)] += patch[(slice(None), *read)] * weights
    return canvas
