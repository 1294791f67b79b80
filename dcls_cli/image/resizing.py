"""A picture of another size, made row by row while it is written."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dcls_cli.image.photo import DerivedPicture, quantise

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
class Resized(DerivedPicture):
    """A picture at another size, by a Lanczos-3 filter in floating point; it is a `Picture`.

    The filter is as wide as the sparser of the two grids demands, so that a smaller picture has no
    aliases.

    Attributes:
        picture: what is resized, in the values of its file: not in linear light.
        width: of the result, pixels.
        height: of the result, pixels.
    """

    width: int
    height: int

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
    """Weigh samples by their distance from each new one."""
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
class OutputSize:
    """The size that outputs shall have: so many times that of the photo, or so many pixels.

    Attributes:
        factor: times the size of the photo, where no pixels are given.
        width: pixels.
        height: pixels; with a width the picture fits into both.
        longest_side: pixels, of the longer of both, instead of the other two.
        stretch: whether a width and a height are both kept, whatever the proportions.
    """

    factor: float = 1.0
    width: int | None = None
    height: int | None = None
    longest_side: int | None = None
    stretch: bool = False

    @property
    def in_pixels(self) -> bool:
        """Whether pixels are given."""
        return any((self.width, self.height, self.longest_side))

    @property
    def label(self) -> str:
        """For the names of outputs: x4, x1.5, w1920, h1080, 1920x1080 or max3840."""
        if self.longest_side:
            return f"max{self.longest_side}"
        if self.width and self.height:
            return f"{self.width}x{self.height}"
        if self.width or self.height:
            return f"w{self.width}" if self.width else f"h{self.height}"
        return f"x{self.factor:g}"

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what a photo of this size becomes, each at least 1."""
        if self.width and self.height and self.stretch:
            return self.width, self.height
        if self.longest_side:
            factor = self.longest_side / max(width, height)
        elif self.in_pixels:
            wanted = ((self.width, width), (self.height, height))
            factor = min(after / before for after, before in wanted if after)
        else:
            factor = self.factor
        return max(round(width * factor), 1), max(round(height * factor), 1)

    def factor_of(self, width: int, height: int) -> float:
        """How many times larger a photo of this size becomes, in the direction where it is more."""
        if not self.in_pixels:
            return self.factor
        wide, high = self.of(width, height)
        return max(wide / width, high / height)
