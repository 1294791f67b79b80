"""The blur of a picture that has none: what a network answers where nothing was blurred."""

from functools import lru_cache

import numpy as np
from PIL import Image

from dcls_cli.backends import Backend, Blur

#: Side of the reference, LR pixels.
_SIDE_PX = 96

_DISCS = 1200


def narrow_blur(backend: Backend) -> Blur:
    """Kernel and P that a network gives a sharp picture, which it restores without stripes.

    Both follow from one code, and a kernel with the P of another code oscillates: so they are
    estimated, from a picture that is known to be sharp, instead of being written down.

    Raises:
        DclsError: the estimate is not finite.
    """
    return backend.estimate(reference(backend.config.scale), tiled=False)


@lru_cache(maxsize=4)
def reference(scale: int) -> np.ndarray:
    """Grey discs over each other, drawn sharp and reduced: (3, 96, 96) float32 in [0, 1].

    Edges of all directions and contrasts, as in the dead-leaves model of natural images (Lee,
    Mumford and Huang, 2001).

    Args:
        scale: factor by which it is reduced, with Pillow's antialiased bicubic.
    """
    random = np.random.RandomState(3)
    side = _SIDE_PX * scale
    sharp = np.zeros((side, side), np.uint8)
    for _ in range(_DISCS):
        column, row = random.randint(0, side, 2)
        radius = scale * (1 + 15 * random.rand() ** 3)
        level = random.randint(20, 236)
        rows = slice(max(int(row - radius), 0), int(row + radius) + 1)
        columns = slice(max(int(column - radius), 0), int(column + radius) + 1)
        part = sharp[rows, columns]
        down, across = np.ogrid[: part.shape[0], : part.shape[1]]
        inside = (down + rows.start - row) ** 2 + (across + columns.start - column) ** 2
        part[inside < radius**2] = level
    small = Image.fromarray(sharp).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC)
    plane = np.asarray(small, np.float32) / 255
    return np.repeat(plane[None], 3, axis=0)
