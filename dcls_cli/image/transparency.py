"""Colours under alpha 0: nobody sees them, and no network should."""

import numpy as np

#: Rows that are worked on at a time; even, so that no pair of rows is parted.
_BAND_ROWS = 256


def without_hidden_colours(values: np.ndarray) -> np.ndarray:
    """Give the pixels with alpha 0 the colours of the visible ones beside them.

    Whatever a program has left there would be drawn into the visible pixels at the edges. Each
    hidden pixel becomes the mean of the visible ones in the smallest square of 2, 4, 8, ... pixels
    around it that has any.

    Args:
        values: (H, W, 2 or 4) integers or floats, alpha last, not multiplied into the colours.

    Returns:
        The same array, or a new one if anything had to change; visible pixels are untouched.
    """
    hidden = values[..., -1] == 0
    if not hidden.any() or hidden.all():
        return values
    filled = values.copy()
    mean = _spread(*_half(values))
    for top in range(0, values.shape[0], _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        around = np.repeat(np.repeat(mean[top // 2 : (top + _BAND_ROWS) // 2], 2, 0), 2, 1)
        around = around[: values[rows].shape[0], : values.shape[1]]
        if filled.dtype.kind in "iu":
            around = np.rint(around)
        colour = filled[rows, :, :-1]
        colour[hidden[rows]] = around[hidden[rows]].astype(filled.dtype)
    return filled


def _half(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours of the visible pixels of each 2x2 square, and whether it has any."""
    bands = [
        _pooled(
            values[top : top + _BAND_ROWS, :, :-1].astype(np.float32),
            (values[top : top + _BAND_ROWS, :, -1] > 0).astype(np.float32),
        )
        for top in range(0, values.shape[0], _BAND_ROWS)
    ]
    return np.concatenate([band[0] for band in bands]), np.concatenate([band[1] for band in bands])


def _pooled(colour: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halve height and width: weighted mean colours, and the weights as 0 or 1."""
    padding = [(0, side % 2) for side in weight.shape]
    weight = np.pad(weight, padding)
    colour = np.pad(colour, [*padding, (0, 0)]) * weight[..., None]
    rows, columns = (side // 2 for side in weight.shape)
    total = weight.reshape(rows, 2, columns, 2).sum(axis=(1, 3))
    summed = colour.reshape(rows, 2, columns, 2, -1).sum(axis=(1, 3))
    return summed / np.maximum(total, 1)[..., None], (total > 0).astype(np.float32)


def _spread(colour: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Fill the squares without any visible pixel from squares of twice the size."""
    if visible.all():
        return colour
    coarse = _spread(*_pooled(colour, visible))
    above = np.repeat(np.repeat(coarse, 2, 0), 2, 1)[: colour.shape[0], : colour.shape[1]]
    return np.where(visible[..., None] > 0, colour, above)
