"""Arrays in, arrays of the same kind out."""

import numpy as np

from dcls_cli.errors import ImageError
from dcls_cli.image.photo import Photo
from dcls_cli.image.picture import Picture, collect
from dcls_cli.image.transparency import without_hidden_colours

#: A float sample may be this far outside [0, 1], as rounding leaves it, and is clipped.
FLOAT_TOLERANCE = 1e-3

#: Lengths of the third axis, if there is one.
_CHANNELS = ((), (1,), (2,), (3,), (4,))


def from_array(array: np.ndarray) -> Photo:
    """Take an array for a photo.

    Args:
        array: uint8, uint16, or floating point in [0, 1]; (H, W) or (H, W, 1) grey, (H, W, 2) grey
            and alpha, (H, W, 3) RGB, (H, W, 4) RGB and alpha; gamma-encoded as in image files.

    Raises:
        ImageError: another shape, type or range.
    """
    if array.ndim not in (2, 3) or 0 in array.shape or array.shape[2:] not in _CHANNELS:
        raise ImageError(f"expected an array of (H, W) or (H, W, 1 to 4), got {array.shape}")
    if array.shape[2:] in ((2,), (4,)):
        array = without_hidden_colours(array)
    if array.dtype in (np.uint8, np.uint16):
        return Photo.from_samples(array, np.iinfo(array.dtype).max, 8 * array.itemsize)
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"expected an array of uint8, uint16 or floats, got {array.dtype}")
    low, high = float(array.min()), float(array.max())  # both NaN if any value is
    if not (low >= -FLOAT_TOLERANCE and high <= 1 + FLOAT_TOLERANCE):
        raise ImageError(
            f"expected floats in [0, 1], got {low:g} to {high:g}; divide by the value of white"
        )
    return Photo.from_samples(array.clip(0, 1), 1, 16)


def to_array(picture: Picture, like: np.ndarray) -> np.ndarray:
    """Give a picture back in the type and layout of the array that it came from.

    Args:
        picture: made from `like`, at any size.
        like: what `from_array` was given.

    Returns:
        (H, W) or (H, W, C) of the same type and channels as `like`; integers are rounded to the
        nearest, ties to even, floats are clipped to [0, 1].

    Raises:
        ImageError: a value is not finite.
    """
    floats = np.issubdtype(like.dtype, np.floating)
    samples = collect(picture, np.dtype(np.float32) if floats else like.dtype)
    return samples.astype(like.dtype, copy=False).reshape(*samples.shape[:2], *like.shape[2:])
