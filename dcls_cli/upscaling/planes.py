"""Planes of values, (..., h, w): what is around each pixel, and larger ones."""

import numpy as np
from PIL import Image


def nearby(values: np.ndarray, reduce: np.ufunc, reach: int) -> np.ndarray:
    """Reduce the square of pixels about each one, cut off at the borders."""
    for axis in (-2, -1):
        length = values.shape[axis]
        moved = np.moveaxis(values, axis, -1)
        result = moved.copy()
        for offset in range(1, min(reach, length - 1) + 1):
            reduce(result[..., offset:], moved[..., :-offset], out=result[..., offset:])
            reduce(result[..., :-offset], moved[..., offset:], out=result[..., :-offset])
        values = np.moveaxis(result, -1, axis)
    return values


def smooth(values: np.ndarray, sigma: float, reach: int) -> np.ndarray:
    """A Gaussian of `reach` taps on each side, the last pixels repeated beyond the borders.

    Args:
        values: (..., h, w).
        sigma: pixels.
        reach: pixels.
    """
    offsets = np.arange(-reach, reach + 1)
    taps = np.exp(-0.5 * (offsets / sigma) ** 2).astype(np.float32)
    taps /= taps.sum()
    for axis in (-2, -1):
        length = values.shape[axis]
        places = np.pad(np.arange(length), reach, mode="edge")
        wide = values.take(places, axis=axis)
        parts = (
            tap * wide.take(range(first, first + length), axis=axis)
            for first, tap in enumerate(taps)
        )
        values = sum(parts, np.zeros((), np.float32))
    return values


def enlarged_by(values: np.ndarray, scale: int, filtered: Image.Resampling) -> np.ndarray:
    """Enlarge planes with one of Pillow's filters: (N, C, h, w) -> (N, C, s h, s w)."""
    size = values.shape[-1] * scale, values.shape[-2] * scale
    planes = values.astype(np.float32).reshape(-1, *values.shape[-2:])
    large = [np.asarray(Image.fromarray(plane).resize(size, filtered)) for plane in planes]
    return np.stack(large).reshape(*values.shape[:2], size[1], size[0])
