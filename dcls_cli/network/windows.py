"""Windows whose pools add up to those of an image; pure geometry, without PyTorch."""

from dataclasses import dataclass

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

    Args:
        interval: of an axis.
        length: of that axis, pixels.
        margin: as of `intervals`.
        count: bins along the axis.
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
