"""Tiles cover an image once, agree in size, and join without a trace."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcls_cli.errors import UsageError
from dcls_cli.image.photo import quantise
from dcls_cli.tiling import Finish, Stitcher, Tile, plan

sides = st.integers(1, 70)


@st.composite
def tilings(draw: st.DrawFn) -> tuple[int, int, int, int]:
    tile = draw(st.integers(1, 40))
    return draw(sides), draw(sides), tile, draw(st.integers(0, tile - 1))


def repeat(image: np.ndarray, scale: int) -> np.ndarray:
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def stitch(
    patches: list[tuple[Tile, np.ndarray]], width: int, scale: int, finish: Finish = np.copy
) -> np.ndarray:
    """All rows, which come where they are finished."""
    stitcher = Stitcher(width, scale, finish)
    bands = [stitcher.add(tile, patch) for tile, patch in patches]
    for (tile, _), band in zip(patches, bands, strict=True):
        assert (band is not None) == (tile.columns.stop == width)
    return np.concatenate([band for band in bands if band is not None])


@given(tilings(), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_tile_and_stitch_of_the_identity_is_the_identity(
    sizes: tuple[int, int, int, int], scale: int, seed: int
) -> None:
    height, width, tile, overlap = sizes
    image = np.random.default_rng(seed).random((height, width, 2), np.float32)
    patches = [
        (part, repeat(image[part.source], scale)) for part in plan(height, width, tile, overlap)
    ]
    joined = stitch(patches, width, scale)
    np.testing.assert_allclose(joined, repeat(image, scale), rtol=0, atol=5e-7)


@given(tilings(), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_every_level_of_samples_survives_tiling(
    sizes: tuple[int, int, int, int], seed: int
) -> None:
    height, width, tile, overlap = sizes
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 1), np.uint8)
    patches = [
        (part, image[part.source].astype(np.float32) / 255)
        for part in plan(height, width, tile, overlap)
    ]
    joined = stitch(patches, width, 1, lambda values: quantise(values, np.dtype(np.uint8)))
    assert np.array_equal(joined, image)


@given(tilings())
@settings(max_examples=150, deadline=None)
def test_plan_keeps_its_promises(sizes: tuple[int, int, int, int]) -> None:
    height, width, tile, overlap = sizes
    tiles = plan(height, width, tile, overlap)
    assert {part.size for part in tiles} == {(min(tile, height), min(tile, width))}
    count = np.zeros((height, width), int)
    for part in tiles:
        count[part.source] += 1
        for read, counted in zip(part.source, part.target, strict=True):
            assert read.start <= counted.start < counted.stop <= read.stop
    assert count.min() >= 1
    for axis in ("rows", "columns"):
        spans = sorted({getattr(part, axis) for part in tiles}, key=lambda span: span.start)
        for before, after in zip(spans, spans[1:], strict=False):
            assert before.stop - after.start >= overlap
            assert before.fall == after.rise


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (64, 64), (33, 65)])
def test_no_tiling_is_one_tile(size: tuple[int, int]) -> None:
    (tile,) = plan(*size, tile=0, overlap=32)
    assert tile.size == size
    assert tile.target == (slice(0, size[0]), slice(0, size[1]))


def test_results_far_from_a_seam_come_from_one_tile_and_fade_over_the_seam() -> None:
    left, right = plan(10, 96, tile=64, overlap=32)
    dark, light = np.zeros((10, 64, 1), np.float32), np.ones((10, 64, 1), np.float32)
    row = stitch([(left, dark), (right, light)], 96, 1)[5, :, 0]
    # Tiles read 0-64 and 32-96: the fade is the middle half of 32-64, the rest is context.
    assert (row[:40] == 0).all()
    assert (row[56:] == 1).all()
    np.testing.assert_allclose(row[40:56], (np.arange(16) + 0.5) / 16, atol=1e-6)


def test_a_result_of_the_wrong_size_is_refused() -> None:
    (tile,) = plan(4, 4, 0, 0)
    with pytest.raises(ValueError, match="expected"):
        Stitcher(4, 2, np.copy).add(tile, np.zeros((4, 4, 3), np.float32))


@pytest.mark.parametrize("sizes", [(0, 5, 4, 1), (5, 5, -1, 0), (5, 5, 4, 4), (5, 5, 4, -1)])
def test_impossible_sizes_are_refused(sizes: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError):
        plan(*sizes)
