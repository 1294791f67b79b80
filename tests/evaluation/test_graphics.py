"""The graphics benchmark: the pictures, what is done to them, and bicubic by another hand."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from dcls_cli.evaluation.benchmarks import BENCHMARKS, find_items
from dcls_cli.evaluation.gaussian8 import bicubic_restore
from dcls_cli.evaluation.graphics import (
    CODINGS,
    REDUCTIONS,
    draw,
    graphics_sample,
    kind_of,
    names,
    reduction_of,
)
from dcls_cli.metrics import luma
from tests import oracle

#: Mean levels of the quarters of one picture of each kind, as they were first drawn.
QUARTERS = {
    "flags-france": [
        [85.0, 141.7, 194.3],
        [244.3, 128.3, 120.3],
        [85.0, 141.7, 194.3],
        [244.3, 128.3, 120.3],
    ],
    "flags-britain": [
        [173.7, 107.6, 136.4],
        [173.7, 107.6, 136.4],
        [173.8, 107.6, 136.4],
        [173.7, 107.6, 136.4],
    ],
    "edges-slant-20": [
        [60.0, 140.0, 70.0],
        [94.6, 159.8, 112.0],
        [165.1, 200.1, 197.7],
        [200.0, 220.0, 240.0],
    ],
    "logos-01": [
        [136.8, 108.2, 194.7],
        [132.9, 100.5, 205.9],
        [138.7, 112.0, 189.1],
        [133.1, 101.0, 205.2],
    ],
    "charts-02": [
        [188.6, 173.7, 156.6],
        [235.1, 229.8, 239.7],
        [190.5, 184.9, 173.4],
        [222.8, 232.5, 241.0],
    ],
    "maps-03": [
        [221.3, 221.3, 221.3],
        [221.1, 221.1, 221.1],
        [221.6, 221.6, 221.6],
        [219.7, 219.7, 219.7],
    ],
    "screens-01": [
        [214.3, 204.1, 202.0],
        [220.6, 209.9, 207.8],
        [231.8, 231.2, 231.1],
        [224.5, 216.6, 215.0],
    ],
    "text-00": [
        [223.0, 223.0, 223.0],
        [223.1, 223.1, 223.1],
        [223.0, 223.0, 223.0],
        [224.1, 224.1, 224.1],
    ],
    "drawings-00": [
        [163.2, 66.1, 51.5],
        [163.0, 65.8, 51.2],
        [163.1, 66.0, 51.4],
        [163.4, 66.3, 51.7],
    ],
    "sprites-03": [
        [182.4, 159.4, 175.1],
        [191.8, 160.1, 157.6],
        [191.3, 159.8, 171.1],
        [191.1, 142.1, 182.1],
    ],
    "gradients-05": [
        [86.9, 124.5, 132.6],
        [80.7, 143.7, 133.0],
        [73.9, 137.8, 134.0],
        [82.7, 147.9, 132.7],
    ],
    "halftone-02": [
        [134.9, 131.1, 119.7],
        [50.7, 104.3, 150.3],
        [145.3, 121.0, 86.1],
        [120.3, 134.2, 146.6],
    ],
}


def rgb_psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Of levels of 255."""
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def test_there_are_two_hundred_pictures_of_many_kinds() -> None:
    assert len(names()) == len(set(names())) >= 200
    kinds = Counter(kind_of(name) for name in names())
    assert set(kinds) == {
        "flags", "edges", "logos", "charts", "maps", "screens", "text", "drawings", "sprites",
        "gradients", "halftone",
    }  # fmt: skip
    assert min(kinds.values()) >= 12


def test_no_two_pictures_are_the_same_and_all_are_of_one_size() -> None:
    pictures = [draw(name) for name in names()]
    assert {picture.shape for picture in pictures} == {(3, 264, 360)}
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    grey = sum(bool((picture == picture[:1]).all()) for picture in pictures)
    assert 40 <= grey <= 100


@pytest.mark.parametrize("name", QUARTERS)
def test_pictures_are_drawn_alike_everywhere(name: str) -> None:
    """Two levels allow for letters of another FreeType."""
    picture = draw(name)
    assert np.array_equal(picture, draw(name))
    quarters = picture.astype(float).reshape(3, 2, 132, 2, 180).mean(axis=(2, 4))
    found = quarters.transpose(1, 2, 0).reshape(4, 3)
    assert np.abs(found - QUARTERS[name]).max() < 2


@pytest.mark.slow
def test_half_of_the_logos_have_two_colours_of_one_brightness() -> None:
    for name in [name for name in names() if kind_of(name) == "logos"]:
        colours = Counter(map(tuple, draw(name).reshape(3, -1).T.tolist()))
        (one, _), (other, _) = colours.most_common(2)
        equal = abs(sum(one) - sum(other)) <= 6
        assert equal == (int(name[-2:]) % 2 == 1), name


def test_the_flag_of_france_has_three_upright_bands() -> None:
    picture = draw("flags-france")
    assert (picture == picture[:, :1]).all()
    assert [tuple(picture[:, 0, x].tolist()) for x in (60, 180, 300)] == [
        (0, 85, 164),
        (255, 255, 255),
        (239, 65, 53),
    ]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_each_picture_is_reduced_once_and_saved_in_three_ways(scale: int) -> None:
    sample = graphics_sample("maps-00", scale)
    assert sample.cases == ("PNG", "JPEG 90", "JPEG 75")
    assert sample.lr.shape == (3, 3, 264 // scale, 360 // scale)
    upright = Image.fromarray(draw("maps-00").transpose(1, 2, 0))
    small = upright.resize((360 // scale, 264 // scale), REDUCTIONS[reduction_of("maps-00")])
    expected = np.asarray(small).transpose(2, 0, 1)
    assert np.array_equal(sample.lr[0], expected)
    losses = [rgb_psnr(lr, expected) for lr in sample.lr[1:]]
    assert 20 < losses[1] < losses[0] < 45
    for index, quality in enumerate(CODINGS.values()):
        file = sample.file(index)
        assert file is not None
        with Image.open(io.BytesIO(file)) as saved:
            assert saved.format == ("PNG" if quality is None else "JPEG")
            pixels = np.asarray(saved.convert("RGB")).transpose(2, 0, 1)
        assert np.array_equal(pixels, sample.lr[index])


def test_the_reductions_have_a_third_each_in_all_and_do_not_depend_on_the_scale() -> None:
    counts = Counter(reduction_of(name) for name in names())
    assert set(counts) == set(REDUCTIONS)
    assert min(counts.values()) > len(names()) / 4


@pytest.mark.parametrize("name", ["flags-japan", "logos-01", "text-02"])
@pytest.mark.parametrize("scale", [2, 4])
def test_bicubic_has_the_psnr_of_another_bicubic(name: str, scale: int) -> None:
    sample = graphics_sample(name, scale)
    for row, lr in zip(sample.rows(bicubic_restore(scale)), sample.lr, strict=True):
        large = oracle.q8(oracle.imresize(lr.transpose(1, 2, 0) / 255, scale, antialias=False))
        inner = np.s_[scale:-scale, scale:-scale]
        sharp = draw(name).transpose(1, 2, 0)
        assert row.psnr_rgb == pytest.approx(rgb_psnr(255 * large[inner], sharp[inner]), abs=1e-3)
        y, true = (luma(x.transpose(2, 0, 1)) for x in (large[inner], sharp[inner] / 255))
        assert row.psnr_y == pytest.approx(oracle.psnr(y, true), abs=1e-3)
        assert row.ssim_y is None


def test_the_benchmark_takes_its_pictures_from_nowhere_else() -> None:
    items = find_items("graphics", 4, None)
    assert [item.hr.name for item in items] == list(names())
    assert len({item.digest() for item in items[:20]}) == 20
    sample = BENCHMARKS["graphics"].prepare(items[3], 4)
    assert sample.image == names()[3]
