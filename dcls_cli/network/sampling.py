"""Windows of an image that go through the network together; pure geometry, without PyTorch.

The means of the channel attention depend on each other, block after block, so no window can be
finished before the next one. All of a small image goes at once, of a large one a sample.
"""

import math
from dataclasses import dataclass
from itertools import product

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
class Joint:
    """Windows of one size.

    Attributes:
        windows: rows and columns of each in the image.
        rows, columns: what of a window counts; the rest is its halo.
    """

    windows: tuple[tuple[slice, slice], ...]
    rows: slice
    columns: slice


def whole(height: int, width: int) -> Joint:
    """An image as one window."""
    rows, columns = slice(0, height), slice(0, width)
    return Joint(((rows, columns),), rows, columns)


def joint(height: int, width: int) -> Joint:
    """The whole of a small image, or a sample of a large one, spread evenly over it."""
    if height * width <= JOINT_PIXELS and max(height, width) <= JOINT_SIDE_PX:
        return whole(height, width)
    side = SAMPLE_WINDOW_PX + 2 * SAMPLE_HALO_PX
    # Windows are as high or as wide as an image of extreme shape, and then all of that counts.
    tall, wide = min(side, height), min(side, width)
    rows = max(1, round(math.sqrt(SAMPLE_WINDOWS * height / width)))
    rows = min(rows, SAMPLE_WINDOWS, -(-height // tall))
    columns = SAMPLE_WINDOWS // rows
    places = product(_spread(height - tall, rows), _spread(width - wide, columns))
    windows = tuple((slice(top, top + tall), slice(left, left + wide)) for top, left in places)
    return Joint(windows, _core(tall, side), _core(wide, side))


def _core(length: int, side: int) -> slice:
    """What counts along an axis of a window: not the halo, which only full windows have."""
    return slice(SAMPLE_HALO_PX, length - SAMPLE_HALO_PX) if length == side else slice(0, length)


def _spread(last: int, count: int) -> list[int]:
    """`count` places from 0 to `last`, in the middles of equal parts."""
    return [round((index + 0.5) * last / count) for index in range(count)]
