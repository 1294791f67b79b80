"""A photo at a glance, before its blur is estimated: where it has detail, and in which colours."""

from dataclasses import dataclass

import numpy as np

from dcls_cli.backends import Raster

#: Side of the blocks that detail is counted in, pixels.
BLOCK_PX = 8

#: Rows that are looked at at a time.
_BAND_PX = 16 * BLOCK_PX

#: A block whose samples differ by less is flat, of full scale: rounding and weak JPEG leave less.
_FLAT = 2.5 / 255

#: A sum of weights that is nothing but rounding.
_NO_SUM = 2e-6

#: A picture of at most the first number of colours, of 8 bits, is drawn; one of the second or more
#: need not be.
_FEW_COLOURS = (64, 128)

#: The grey picture stands for all colours if it has this share of their fine detail.
_GREY_SUFFICES = 0.6


@dataclass(frozen=True, eq=False)
class Survey:
    """A photo at a glance.

    Attributes:
        detail: total variation of each block of 8 x 8 pixels, (rows, columns); full scale is 1.
        flat: share of the blocks that are flat, 0 to 1.
        colours: weights of R, G and B in the direction of colour in which fine detail is
            strongest, of absolute sum 1; None where the grey picture has most of it.
        neutral: whether R = G = B everywhere.
        few_colours: how surely the picture is drawn in a few colours, 0 to 1.
    """

    detail: np.ndarray
    flat: float
    colours: np.ndarray | None
    neutral: bool
    few_colours: float


def survey(photo: Raster) -> Survey:
    """Look at all of a photo once, in bands of rows."""
    _, height, width = photo.shape
    everything, columns = slice(0, 3), slice(0, width)
    fewest, most = _FEW_COLOURS
    detail: list[np.ndarray] = []
    flat: list[np.ndarray] = []
    covariance, neutral = np.zeros((3, 3)), True
    colours = np.zeros(0, np.int32)
    for top in range(0, height, _BAND_PX):
        # One row more, so that no step between rows is lost.
        band = photo[everything, slice(top, min(top + _BAND_PX + 1, height)), columns]
        neutral = neutral and bool((band[0] == band[1]).all() and (band[1] == band[2]).all())
        covariance += _covariance(band)
        steps = _steps(band)
        core = band[:, :_BAND_PX]
        if len(colours) < most:
            colours = np.union1d(colours, _codes(core))
        detail.append(_blocks(steps[: core.shape[1]], np.add))
        flat.append(_flat(core))
    return Survey(
        detail=np.concatenate(detail),
        flat=float(np.concatenate(flat, axis=None).mean()),
        colours=None if neutral else _direction(covariance),
        neutral=neutral,
        few_colours=min(max((most - len(colours)) / (most - fewest), 0.0), 1.0),
    )


def _codes(band: np.ndarray) -> np.ndarray:
    """A number for the colour of each pixel, in 8 bits."""
    red, green, blue = np.rint(band * 255).astype(np.int32)
    return np.asarray(red << 16 | green << 8 | blue)


def _steps(band: np.ndarray) -> np.ndarray:
    """Differences to the pixels below and to the right, all channels: (3, h, w) -> (h, w)."""
    steps = np.zeros(band.shape[1:], np.float32)
    steps[:, :-1] += np.abs(np.diff(band, axis=2)).sum(axis=0)
    steps[:-1] += np.abs(np.diff(band, axis=1)).sum(axis=0)
    return steps


def _flat(band: np.ndarray) -> np.ndarray:
    """Which blocks are flat in all channels."""
    spread = np.stack([_blocks(c, np.maximum) - _blocks(c, np.minimum) for c in band])
    return np.asarray(spread.max(axis=0) < _FLAT)


def _blocks(values: np.ndarray, reduce: np.ufunc) -> np.ndarray:
    """Reduce each block, whole or cut off at the border: (h, w) -> (rows, columns)."""
    rows, columns = (range(0, side, BLOCK_PX) for side in values.shape)
    return np.asarray(reduce.reduceat(reduce.reduceat(values, rows, axis=0), columns, axis=1))


def _covariance(band: np.ndarray) -> np.ndarray:
    """Of the second differences of R, G and B, summed: (3, 3)."""
    total = np.zeros((3, 3))
    for axis in (1, 2):
        fine = np.diff(band, 2, axis=axis).reshape(3, -1)
        total += fine @ fine.T
    return total


def _direction(covariance: np.ndarray) -> np.ndarray | None:
    """The first eigenvector, unless grey has most of the power."""
    power = np.trace(covariance)
    if power == 0 or covariance.sum() / 3 >= _GREY_SUFFICES * power:
        return None
    direction = np.linalg.eigh(covariance)[1][:, -1]
    total = direction.sum()
    # Of two equally bright colours the sum is rounding; any rule will do that is always the same.
    direction *= np.sign(total if abs(total) > _NO_SUM else direction @ (1, 2, 4)) or 1.0
    return np.asarray(direction / np.abs(direction).sum(), np.float32)
