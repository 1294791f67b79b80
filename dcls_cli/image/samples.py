"""Samples as a decoder leaves them, before they become a photo."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples:
    """Pixels of a file, and what was done to them.

    Attributes:
        values: (H, W, C) uint8, uint16 or float32: grey, grey and alpha, RGB, or RGBA (C = 1..4);
            alpha is not multiplied into the colours.
        white: value of a full sample.
        bit_depth: 8 or 16, with which they should be written.
        is_srgb: whether the colours have been converted to sRGB, so that the file's colour profile
            no longer describes them.
        notes: what was changed, a sentence each.
    """

    values: np.ndarray
    white: float
    bit_depth: int
    is_srgb: bool = False
    notes: tuple[str, ...] = ()


def straight(colour: np.ndarray, alpha: np.ndarray, white: int) -> np.ndarray:
    """Divide colours by the alpha that is multiplied into them.

    Args:
        colour: (H, W, 1 or 3) integers.
        alpha: (H, W, 1) of the same type.
        white: value of a full sample.

    Returns:
        (H, W, 2 or 4): both together, of the same type; black where nothing is visible.
    """
    share = np.maximum(alpha, 1).astype(np.float32) / np.float32(white)
    divided = np.rint(colour / share).clip(0, white).astype(colour.dtype)
    return np.concatenate([divided, alpha], axis=2)
