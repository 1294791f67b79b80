"""Windows whose pools add up to those of an image; pure geometry."""

from dataclasses import dataclass

#: Pixels that a window gives to a pool, a side. Larger ones have less halo, smaller ones take less
#: memory: 512 is 6 % of halo, and about 0.3 GB for the paper's estimator.
WINDOW_PX = 512


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
