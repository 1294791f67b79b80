"""A blur that varies over the photo: one for each tile, interpolated between neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dcls_cli.backends import Backend, Blur, Raster
from dcls_cli.tiling import Tile

#: How much a tile, and one beside it, count in the blur that a tile is restored with, an axis.
_NEIGHBOURS = ((-1, 0.25), (0, 0.5), (1, 0.25))

#: Mean square of the differences of neighbouring pixels that rounding to 8 bits leaves: a tile
#: without more shows no blur.
_ROUNDING = 2 / 12 / 255**2


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a raster, itself a raster."""

    raster: Raster
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, h, w)."""
        return 3, self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        """Read a part of the part; see `Raster`."""
        channels, rows, columns = index
        return self.raster[channels, _inside(self.rows, rows), _inside(self.columns, columns)]


def _inside(whole: slice, part: slice) -> slice:
    """A part of a span, in the pixels of what the span is of."""
    start, stop, _ = part.indices(whole.stop - whole.start)
    return slice(whole.start + start, whole.start + stop)


def blur_field(
    photo: Raster, backend: Backend, tiles: Sequence[Tile], whole: Blur
) -> dict[Tile, Blur]:
    """Estimate the blur in every tile and smooth the estimates over neighbouring tiles.

    Each estimate counts by the detail in its tile: a piece of sky does not show how sharp it is.
    What the blur of the whole photo has and that of a tile lacks is taken from the whole.

    Args:
        photo: the colours.
        backend: the network.
        tiles: a plan of the whole photo.
        whole: the blur of the whole photo.

    Raises:
        DclsError: an estimate is not finite.
        OutOfMemoryError: a tile does not fit into memory.
    """
    tops = sorted({tile.rows.start for tile in tiles})
    lefts = sorted({tile.columns.start for tile in tiles})
    places = [(tops.index(tile.rows.start), lefts.index(tile.columns.start)) for tile in tiles]
    blurs: dict[tuple[int, int], Blur] = {}
    details: dict[tuple[int, int], float] = {}
    for tile, place in zip(tiles, places, strict=True):
        window = Window(photo, *tile.source)
        blurs[place] = backend.estimate(window, tiled=False)
        details[place] = _detail(window[:, slice(None), slice(None)])
    if not any(details.values()):
        return dict.fromkeys(tiles, whole)
    return {
        tile: _mixed(_around(place, details), blurs, whole)
        for tile, place in zip(tiles, places, strict=True)
    }


def _around(
    place: tuple[int, int], details: dict[tuple[int, int], float]
) -> dict[tuple[int, int], float]:
    """Weights of the tiles about a place, of sum 1; empty where none has detail."""
    row, column = place
    weights = {
        (row + down, column + across): first * second * details[row + down, column + across]
        for down, first in _NEIGHBOURS
        for across, second in _NEIGHBOURS
        if (row + down, column + across) in details
    }
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items() if weight > 0}


def _mixed(
    weights: dict[tuple[int, int], float], blurs: dict[tuple[int, int], Blur], whole: Blur
) -> Blur:
    """The weighted mean of blurs; the whole photo's without any."""

    def mean(name: str, other: np.ndarray | None) -> np.ndarray | None:
        parts = [(weight, getattr(blurs[place], name)) for place, weight in weights.items()]
        if not parts or parts[0][1] is None:
            return other
        return np.asarray(sum(weight * part for weight, part in parts), np.float32)

    kernel = mean("kernel", whole.kernel)
    assert kernel is not None
    return replace(
        whole,
        kernel=kernel,
        smoothing=mean("smoothing", whole.smoothing),
        noise=mean("noise", whole.noise),
    )


def _detail(window: np.ndarray) -> float:
    """Mean square of the differences between neighbouring pixels, beyond rounding."""
    grey = window.mean(axis=0)
    squares = [float(np.square(np.diff(grey, axis=axis)).mean() or 0) for axis in (0, 1)]
    return max(sum(squares) - _ROUNDING, 0.0)
