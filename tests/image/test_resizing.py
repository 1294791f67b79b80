"""Resized pictures are those of Pillow's Lanczos filter, whatever bands their rows come in."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from dcls_cli.image import Photo
from dcls_cli.image.photo import collect
from dcls_cli.image.resizing import OutputSize, Resized

RANDOM = np.random.default_rng(6)


@dataclass(frozen=True, eq=False)
class InBands:
    """A picture whose rows come in bands of a given height."""

    photo: Photo
    rows: int

    @property
    def width(self) -> int:
        return self.photo.width

    @property
    def height(self) -> int:
        return self.photo.height

    @property
    def channels(self) -> int:
        return self.photo.channels

    def bands(self, dtype: np.dtype) -> Iterator[np.ndarray]:
        whole = collect(self.photo, dtype)
        for top in range(0, len(whole), self.rows):
            yield whole[top : top + self.rows]


def photo_of(height: int, width: int, channels: int) -> Photo:
    samples = RANDOM.integers(0, 65536, (height, width, channels), dtype=np.uint16)
    return Photo.from_samples(samples, 65535, 16)


def by_pillow(photo: Photo, width: int, height: int) -> np.ndarray:
    """(height, width, C) floats, clipped; each channel in Pillow's floating-point mode."""
    planes = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS)
        for plane in (photo.samples / np.float32(65535)).transpose(2, 0, 1)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2).clip(0, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((40, 60), (20, 30)),
        ((40, 60), (17, 41)),
        ((40, 60), (53, 90)),
        ((40, 60), (40, 60)),
        ((5, 3), (50, 31)),
        ((64, 50), (1, 1)),
        ((1, 40), (3, 10)),
        ((40, 1), (10, 3)),
    ],
)
@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("channels", [1, 4])
def test_it_is_pillows_lanczos(
    before: tuple[int, int], after: tuple[int, int], rows: int, channels: int
) -> None:
    photo = photo_of(*before, channels)
    resized = Resized(InBands(photo, rows), after[1], after[0])  # type: ignore[arg-type]
    got = collect(resized, np.dtype(np.float32))
    assert np.abs(got - by_pillow(photo, after[1], after[0])).max() < 2e-5
    levels = collect(resized, np.dtype(np.uint8))
    assert np.array_equal(levels, np.rint(got * 255))


def test_few_rows_are_held_at_a_time() -> None:
    """A tall picture is resized in the memory of some rows."""
    seen: list[int] = []

    @dataclass(frozen=True, eq=False)
    class Counted(InBands):
        def bands(self, dtype: np.dtype) -> Iterator[np.ndarray]:
            for index in range(1000):
                seen.append(index)
                yield np.full((4, 8, 1), 0.5, dtype)

    photo = replace(photo_of(1, 8, 1), samples=np.zeros((4000, 8, 1), np.uint8))
    bands = Resized(Counted(photo, 4), 4, 2000).bands(np.dtype(np.uint8))  # type: ignore[arg-type]
    assert len(next(bands)) > 0
    assert len(seen) < 8


@pytest.mark.parametrize(
    ("wanted", "expected", "factor", "label"),
    [
        ({"width": 800}, (800, 600), 2.0, "w800"),
        ({"height": 300}, (400, 300), 1.0, "h300"),
        ({"longest_side": 1200}, (1200, 900), 3.0, "max1200"),
        ({"width": 600, "height": 600}, (600, 450), 1.5, "600x600"),
        ({"width": 600, "height": 600, "stretch": True}, (600, 600), 2.0, "600x600"),
        ({"width": 1}, (1, 1), 1 / 300, "w1"),
        ({"factor": 4.0}, (1600, 1200), 4.0, "x4"),
        ({"factor": 1.5}, (600, 450), 1.5, "x1.5"),
    ],
)
def test_sizes_keep_the_proportions_unless_they_are_stretched(
    wanted: dict[str, int], expected: tuple[int, int], factor: float, label: str
) -> None:
    size = OutputSize(**wanted)
    assert size.of(400, 300) == expected
    assert size.factor_of(400, 300) == pytest.approx(factor)
    assert size.label == label
    if "longest_side" in wanted:
        assert size.of(300, 400) == expected[::-1]
