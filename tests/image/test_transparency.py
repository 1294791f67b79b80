"""What nobody sees of a picture with transparency has no influence on what one sees."""

import numpy as np
import pytest
from scipy import ndimage

from dcls_cli.image import from_array
from dcls_cli.image.colour import without_hidden_colours

RANDOM = np.random.default_rng(8)


def disc(height: int, width: int) -> np.ndarray:
    row, column = np.mgrid[:height, :width]
    return ((row - height / 2) ** 2 + (column - width / 2) ** 2 < (height / 3) ** 2).astype(int)


@pytest.mark.parametrize("shape", [(64, 64), (65, 63), (1, 9), (9, 1), (600, 40)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_one_colour_fills_everything(shape: tuple[int, int], dtype: type) -> None:
    values = RANDOM.integers(0, 200, (*shape, 4)).astype(dtype)
    values[..., 3] = 0
    values[shape[0] // 2, shape[1] // 2] = (10, 20, 30, 1)
    filled = without_hidden_colours(values)
    assert filled.dtype == dtype
    assert (filled[..., :3] == [10, 20, 30]).all()
    assert np.array_equal(filled[..., 3], values[..., 3])


def test_visible_pixels_stay_and_hidden_ones_do_not_matter() -> None:
    visible = RANDOM.integers(0, 256, (70, 81, 4), dtype=np.uint8)
    visible[..., 3] *= disc(70, 81).astype(np.uint8)
    other = visible.copy()
    hidden = visible[..., 3] == 0
    other[hidden, :3] = RANDOM.integers(0, 256, (int(hidden.sum()), 3))
    first, second = without_hidden_colours(visible), without_hidden_colours(other)
    assert np.array_equal(first, second)
    assert np.array_equal(first[~hidden], visible[~hidden])


def test_hidden_pixels_get_a_colour_from_nearby() -> None:
    values = np.zeros((64, 64, 2), np.uint8)
    values[:, :8] = (50, 255)
    values[:, -8:] = (200, 255)
    filled = without_hidden_colours(values)[..., 0]
    assert (filled[:, :16] == 50).all()
    assert (filled[:, -16:] == 200).all()
    distance = ndimage.distance_transform_edt(values[..., 1] == 0)
    assert ((filled >= 50) & (filled <= 200))[distance > 0].all()


@pytest.mark.parametrize("alpha", [0, 255])
def test_nothing_to_do(alpha: int) -> None:
    values = np.full((8, 8, 4), 77, np.uint8)
    values[..., 3] = alpha
    assert without_hidden_colours(values) is values


def test_arrays_are_filled_too_and_not_changed() -> None:
    array = np.zeros((4, 4, 4), np.uint8)
    array[:2] = (255, 0, 0, 255)
    photo = from_array(array)
    assert (photo.pixels == [1, 0, 0]).all()
    assert (array[2:] == 0).all()
