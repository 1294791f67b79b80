"""Harm, counted by hand on results that are made up."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dcls_cli.errors import UsageError
from dcls_cli.evaluation.harm import harm_by_method, harm_cells, harms
from dcls_cli.evaluation.rows import Row
from dcls_cli.evaluation.samples import Sample


def row(image: str, case: str, psnr: float) -> Row:
    return Row(image=image, sigma=None, psnr_y=0, ssim_y=None, psnr_rgb=psnr, case=case)


BICUBIC = [
    row("flags-a", "PNG", 30.0),
    row("flags-a", "JPEG 90", 28.0),
    row("maps-b", "PNG", 20.0),
    row("maps-b", "JPEG 90", 19.0),
]
ROWS = [
    replace(one, psnr_rgb=psnr) for one, psnr in zip(BICUBIC, (18, 27.8, 21, 18.5), strict=True)
]


def test_harm_is_counted_in_each_group_and_in_all() -> None:
    found = harms(ROWS, BICUBIC, (lambda row: row.image[:4], lambda row: row.case))
    assert [(one.group, one.count) for one in found] == [
        ("flag", 2), ("maps", 2), ("PNG", 2), ("JPEG 90", 2), ("all", 4),
    ]  # fmt: skip
    flags, maps, png, _, everything = found
    assert (flags.below, flags.noticed) == (1, 0.5)
    assert (maps.below, maps.noticed) == (0.5, 0.5)
    assert (png.worst, png.worst_db) == ("flags-a, PNG", 12)
    assert (everything.below, everything.noticed) == (0.75, 0.5)
    assert everything.psnr_rgb == pytest.approx((18 + 27.8 + 21 + 18.5) / 4)
    assert everything.bicubic_psnr_rgb == 24.25


def test_exact_results_and_equal_ones_are_no_harm() -> None:
    exact = [row("a", "PNG", math.inf), row("b", "PNG", 30.0), row("c", "PNG", 30.0)]
    rows = [row("a", "PNG", math.inf), row("b", "PNG", 29.995), row("c", "PNG", math.inf)]
    (everything,) = harms(rows, exact)
    assert (everything.below, everything.noticed) == (0, 0)
    assert everything.psnr_rgb == 29.995
    assert everything.worst_db == pytest.approx(0.005)


def test_an_exact_bicubic_makes_everything_else_harm() -> None:
    (everything,) = harms([row("a", "", 40.0)], [row("a", "", math.inf)])
    assert (everything.below, everything.worst_db, everything.worst) == (1, math.inf, "a")


def test_results_of_other_images_are_not_compared() -> None:
    with pytest.raises(UsageError, match="of the same images"):
        harms(ROWS, BICUBIC[::-1])
    with pytest.raises(UsageError, match="one at least"):
        harms([], [])


def test_it_is_printed_as_a_difference_from_bicubic() -> None:
    found = harm_by_method({"net": ROWS, "bicubic": BICUBIC}, lambda name: name.split("-")[0])
    assert list(found) == ["net"]
    assert harm_cells(found["net"][-1]) == [
        "all", "4", "21.32", "24.25", "75.0", "50.0", "-12.00", "flags-a, PNG",
    ]  # fmt: skip


def test_a_sample_without_files_has_none() -> None:
    levels = np.zeros((1, 3, 8, 8), np.uint8)
    sample = Sample("x", 2, np.zeros((3, 16, 16), np.uint8), levels, (1.0,), ("",), (None,))
    assert sample.file(0) is None
    assert replace(sample, files=(b"png",)).file(0) == b"png"
