"""Parts and reductions of photos that are read in windows, so that none must fit into memory."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from dcls_cli.backends import Raster

#: About the side of a window, pixels.
WINDOW_PX = 256


def windows(height: int, width: int, step: int) -> Iterator[tuple[slice, slice]]:
    """Cover an image with windows whose sides are at most `step` pixels."""
    for top, left in product(range(0, height, step), range(0, width, step)):
        yield slice(top, min(top + step, height)), slice(left, min(left + step, width))


def reduced(image: np.ndarray | Raster, factor: int) -> np.ndarray:
    """Mean of each block of factor x factor pixels; the last ones of a row may be smaller.

    Args:
        image: (C, H, W), read in windows.
        factor: at least 1.

    Returns:
        (C, ceil(H / factor), ceil(W / factor)) float32.
    """
    channels, height, width = image.shape
    result = np.empty((channels, -(-height // factor), -(-width // factor)), np.float32)
    step = factor * max(WINDOW_PX // factor, 1)
    for rows, columns in windows(height, width, step):
        means = block_means(image[:, rows, columns], factor)
        top, left = rows.start // factor, columns.start // factor
        result[:, top : top + means.shape[1], left : left + means.shape[2]] = means
    return result


def block_means(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean of each block: (C, H, W) -> (C, ceil(H / factor), ceil(W / factor))."""
    sums = image.astype(np.float64)
    counts = np.ones((1, *image.shape[1:]))
    for axis in (1, 2):
        starts = np.arange(0, image.shape[axis], factor)
        sums = np.add.reduceat(sums, starts, axis=axis)
        counts = np.add.reduceat(counts, starts, axis=axis)
    return np.asarray(sums / counts)


def most_detailed(image: np.ndarray | Raster, side: int, count: int) -> list[tuple[int, int]]:
    """Squares of an image in which neighbouring pixels differ most.

    Args:
        image: (3, H, W), read in windows.
        side: of the squares, pixels; they lie on a grid of this step.
        count: squares, fewer where the image has fewer.

    Returns:
        Top and left of each, the most detailed first.
    """
    _, height, width = image.shape
    found = []
    for rows, columns in windows(height, width, side):
        if rows.stop - rows.start < side or columns.stop - columns.start < side:
            continue
        grey = image[:, rows, columns].astype(np.float64).mean(axis=0)
        energy = float(np.square(np.diff(grey, axis=0)).sum() + np.square(np.diff(grey)).sum())
        found.append((-energy, rows.start, columns.start))
    return [(top, left) for _, top, left in sorted(found)[:count]]
