"""A picture of another size, made row by row while it is written."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dcls_cli.image.picture import Carried, Picture, quantise

#: Zeros of the sinc on either side: Lanczos-3.
_LOBES = 3

_FLOATS = np.dtype(np.float32)


class _Axis(NamedTuple):
    """How the samples along one axis are made of those before.

    Attributes:
        first: (n,) first sample that each new one is made of.
        weights: (n, k) of the samples from there on; they sum to 1.
    """

    first: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Resized:
    """A picture at another size, by a Lanczos-3 filter in floating point; it is a `Picture`.

    The filter is as wide as the sparser of the two grids demands, so that a smaller picture has no
    aliases.

    Attributes:
        picture: what is resized, in the values of its file: not in linear light.
        width: of the result, pixels.
        height: of the result, pixels.
    """

    picture: Picture
    width: int
    height: int

    @property
    def channels(self) -> int:
        """As the picture has them."""
        return self.picture.channels

    @property
    def bit_depth(self) -> int:
        """As the picture has it."""
        return self.picture.bit_depth

    @property
    def carried(self) -> Carried:
        """The picture's metadata."""
        return self.picture.carried

    def bands(self, dtype: np.dtype) -> Generator[np.ndarray, None, None]:
        """Resize the rows as they come; see `Picture`."""
        across = _axis(self.picture.width, self.width)
        down = _axis(self.picture.height, self.height)
        reach = down.weights.shape[1]
        rows = np.empty((0, self.width, self.channels), np.float32)
        top = done = 0  # number of the first row in `rows`; of the next one to make
        with closing(self.picture.bands(_FLOATS)) as bands:
            for band in bands:
                rows = np.concatenate([rows, _mixed(band, across, axis=1)])
                ready = int(np.searchsorted(down.first, top + len(rows) - reach, side="right"))
                if ready > done:
                    part = _Axis(down.first[done:ready] - top, down.weights[done:ready])
                    yield quantise(_mixed(rows, part, axis=0), dtype)
                    done = ready
                if done < self.height:
                    unneeded = int(down.first[done]) - top
                    rows, top = rows[unneeded:], top + unneeded


def _axis(before: int, after: int) -> _Axis:
    """Weigh samples by their distance from each new one.

    Args:
        before: samples that there are.
        after: samples that there shall be.
    """
    step = before / after
    stretch = max(step, 1.0)
    centres = (np.arange(after) + 0.5) * step - 0.5
    taps = min(2 * int(np.ceil(_LOBES * stretch)) + 1, before)
    first = np.floor(centres - _LOBES * stretch).astype(int) + 1
    first = np.clip(first, 0, before - taps)
    places = first[:, None] + np.arange(taps)
    distance = (places - centres[:, None]) / stretch
    weights = np.sinc(distance) * np.sinc(distance / _LOBES) * (np.abs(distance) < _LOBES)
    return _Axis(first, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def _mixed(values: np.ndarray, axis_of: _Axis, *, axis: int) -> np.ndarray:
    """Make new samples along an axis of (H, W, C)."""
    shape = [1, 1, 1]
    shape[axis] = -1
    mixed: np.ndarray | None = None
    for tap in range(axis_of.weights.shape[1]):
        weight = axis_of.weights[:, tap].reshape(shape)
        if not weight.any():
            continue
        part = values.take(axis_of.first + tap, axis=axis)
        part *= weight
        mixed = part if mixed is None else np.add(mixed, part, out=mixed)
    assert mixed is not None  # weights sum to 1
    return mixed


@dataclass(frozen=True, kw_only=True)
class TargetSize:
    """The size that outputs shall have.

    Attributes:
        width: pixels; None: by the height, with the same proportions.
        height: pixels; None: by the width.
        longest_side: pixels, of the longer of both, instead of the other two.
    """

    width: int | None = None
    height: int | None = None
    longest_side: int | None = None

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height for a picture of this width and height, each at least 1."""
        if self.width and self.height:
            return self.width, self.height
        if self.longest_side:
            factor = self.longest_side / max(width, height)
        elif self.width:
            factor = self.width / width
        elif self.height:
            factor = self.height / height
        else:
            return width, height
        return max(round(width * factor), 1), max(round(height * factor), 1)
