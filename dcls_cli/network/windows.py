"""Windows of an image whose pools add up to those of the image; pure geometry, without PyTorch.

The means of the channel attention depend on each other, block after block, so no window can be
finished before the next one. There all of a small image goes at once, of a large one a sample.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from dcls_cli.config import ModelConfig

#: Pixels that a window gives to a pool, a side. Larger ones have less halo, smaller ones take less
#: memory: 512 is 6 % of halo, and about 0.3 GB for the paper's estimator.
WINDOW_PX = 512

#: Width of the smoothing filters P, and bins an axis of the pool that they are made from.
SMOOTHING_TAPS = 3

#: Pixels that the three unpadded convolutions before that pool take off each axis.
SMOOTHING_MARGIN = 6


@dataclass(frozen=True)
class Interval:
    """One axis of a window, in pixels of the image.

    Attributes:
        first, last: what it gives to the pool: of the axis less the margin of the layers.
        read: what is read.
        core: the part of what is read that the layers with a margin are given.
    """

    first: int
    last: int
    read: slice
    core: slice


def intervals(length: int, step: int, halo: int, margin: int) -> list[Interval]:
    """Part what is pooled along an axis into intervals of at most `step` pixels.

    Args:
        length: of the axis.
        step: pixels of an interval, at least 1.
        halo: pixels that the layers see on each side.
        margin: pixels that layers without padding take off the axis, the first at its start; an
            axis that is not longer is grown by them to give one pixel.
    """
    pooled = max(length - margin, 1)
    parts = []
    for first in range(0, pooled, step):
        last = min(first + step, pooled)
        start, stop = max(first - halo, 0), min(last + margin + halo, length)
        core = slice(first - start, min(last + margin, length) - start)
        parts.append(Interval(first, last, slice(start, stop), core))
    return parts


def bins(interval: Interval, length: int, margin: int, count: int) -> np.ndarray:
    """Weight of each pixel of an interval in the bins of an adaptive pool: (count, pixels) float64.

    Bin i of n pixels reaches from floor(i n / count) to ceil((i + 1) n / count): neighbours may
    share a pixel. One bin is the mean.
    """
    n = max(length - margin, 1)
    pixel = np.arange(interval.first, interval.last)
    weights = np.empty((count, len(pixel)))
    for i in range(count):
        start, stop = i * n // count, -(-(i + 1) * n // count)
        weights[i] = ((pixel >= start) & (pixel < stop)) / (stop - start)
    return weights


def smoothing_reach(config: ModelConfig) -> int:
    """Pixels on each side that the features see which the smoothing filters are made from.

    Of the first convolution, of two a residual block, and of the linear super-resolver's filter.
    """
    linear = 0 if config.skip == "none" else config.skip_taps // 2
    return 1 + 2 * config.head_blocks + linear


#: An image of at most this many pixels gives its attention means as a whole,
JOINT_PIXELS = 512 * 512

#: if no side is longer: ONNX graphs hold transforms as matrices of a side's square.
JOINT_SIDE_PX = 2048

#: Windows of the sample of a larger image; many small ones show more of it than a few large ones.
SAMPLE_WINDOWS = 32
SAMPLE_WINDOW_PX = 64

#: Of a window of the sample: the network sees far, but hardly uses it (design: 97 dB at 16).
SAMPLE_HALO_PX = 16


@dataclass(frozen=True)
class JointWindows:
    """Windows of one size.

    Attributes:
        windows: rows and columns of each in the image.
        rows, columns: what of a window counts; the rest is its halo.
    """

    windows: tuple[tuple[slice, slice], ...]
    rows: slice
    columns: slice


def one_window(height: int, width: int) -> JointWindows:
    """An image as one window."""
    rows, columns = slice(0, height), slice(0, width)
    return JointWindows(((rows, columns),), rows, columns)


def joint_windows(height: int, width: int) -> JointWindows:
    """The whole of a small image, or a sample of a large one, spread evenly over it."""
    if height * width <= JOINT_PIXELS and max(height, width) <= JOINT_SIDE_PX:
        return one_window(height, width)
    side = SAMPLE_WINDOW_PX + 2 * SAMPLE_HALO_PX
    # Windows are as high or as wide as an image of extreme shape, and then all of that counts.
    tall, wide = min(side, height), min(side, width)
    rows = max(1, round(math.sqrt(SAMPLE_WINDOWS * height / width)))
    rows = min(rows, SAMPLE_WINDOWS, -(-height // tall))
    columns = SAMPLE_WINDOWS // rows
    places = product(_spread(height - tall, rows), _spread(width - wide, columns))
    windows = tuple((slice(top, top + tall), slice(left, left + wide)) for top, left in places)
    return JointWindows(windows, _core(tall, side), _core(wide, side))


def _core(length: int, side: int) -> slice:
    """What counts along an axis of a window: not the halo, which only full windows have."""
    return slice(SAMPLE_HALO_PX, length - SAMPLE_HALO_PX) if length == side else slice(0, length)


def _spread(last: int, count: int) -> list[int]:
    """`count` places from 0 to `last`, in the middles of equal parts."""
    return [round((index + 0.5) * last / count) for index in range(count)]
