"""An array comes back as an array of the same kind."""

import numpy as np
import pytest

from dcls_cli.errors import ImageError
from dcls_cli.image import Photo, from_array, to_array

SHAPES = [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_survives(shape: tuple[int, ...], dtype: type) -> None:
    levels = np.iinfo(dtype).max + 1
    array = np.random.default_rng(3).integers(0, levels, shape).astype(dtype)
    if shape[2:] in ((2,), (4,)):
        array[..., -1].clip(1, out=array[..., -1])  # hidden colours do not survive
    back = to_array(from_array(array), array)
    assert back.dtype == dtype
    assert np.array_equal(back, array)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_survive(shape: tuple[int, ...], dtype: type) -> None:
    array = np.random.default_rng(3).random(shape).astype(dtype)
    back = to_array(from_array(array), array)
    assert back.dtype == dtype
    assert back.shape == shape
    np.testing.assert_allclose(back, array, rtol=0, atol=1e-7)


def test_the_photo_has_what_the_array_had() -> None:
    array = np.zeros((2, 3, 4), np.uint8)
    array[0, 1] = (255, 51, 0, 102)
    photo = from_array(array)
    np.testing.assert_allclose(photo.pixels[0, 1], [1, 0.2, 0])
    assert photo.alpha is not None
    assert photo.alpha[0, 1] == np.float32(0.4)
    assert (photo.bit_depth, photo.grey) == (8, False)
    assert from_array(array[..., 0].astype(np.uint16)).grey
    assert from_array(array[..., 0].astype(np.uint16)).bit_depth == 16


def test_a_restored_photo_of_another_size() -> None:
    like = np.zeros((2, 3, 1), np.uint8)
    photo = Photo.from_samples(np.full((8, 12), 1 / 3, np.float32), 1, 8)
    assert (to_array(photo, like) == 85).all()
    assert to_array(photo, like).shape == (8, 12, 1)
    assert to_array(photo, like[..., 0]).shape == (8, 12)


def test_floats_outside_the_range_are_clipped_on_the_way_out() -> None:
    photo = Photo.from_samples(np.full((1, 1, 3), [-1, 0.5, 2], np.float32), 1, 8)
    assert to_array(photo, np.zeros((1, 1, 3), np.float32)).tolist() == [[[0, 0.5, 1]]]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros(5, np.uint8), r"got \(5,\)"),
        (np.zeros((5, 5, 5), np.uint8), r"got \(5, 5, 5\)"),
        (np.zeros((2, 3, 5, 5), np.uint8), r"got \(2, 3, 5, 5\)"),
        (np.zeros((0, 5), np.uint8), r"got \(0, 5\)"),
        (np.zeros((5, 5), np.int16), "got int16"),
        (np.zeros((5, 5), np.uint32), "got uint32"),
        (np.zeros((5, 5), bool), "got bool"),
        (np.full((5, 5), 255, np.float32), "divide by the value of white"),
        (np.full((5, 5), -0.1, np.float32), "got -0.1 to -0.1"),
        (np.full((5, 5), np.nan, np.float32), "not finite"),
        (np.full((5, 5), np.inf, np.float32), "not finite"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, expected: str) -> None:
    with pytest.raises(ImageError, match=expected):
        from_array(array)


def test_one_bad_value_among_good_ones_is_found() -> None:
    array = np.zeros((5, 5), np.float32)
    array[2, 2] = np.nan
    with pytest.raises(ImageError, match="not finite"):
        from_array(array)


@pytest.mark.parametrize(
    "properties",
    [
        {"samples": np.zeros((4, 4), np.float32)},
        {"samples": np.zeros((4, 4, 3))},
        {"samples": np.zeros((4, 4, 5), np.uint8)},
        {"samples": np.zeros((0, 4, 3), np.float32)},
        {"samples": np.zeros((4, 4, 3), np.float32), "bit_depth": 12},
    ],
)
def test_a_photo_checks_itself(properties: dict[str, object]) -> None:
    with pytest.raises(ImageError, match="expected"):
        Photo(white=1, **properties)  # type: ignore[arg-type]
