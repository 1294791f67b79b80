"""Reductions and squares of images against plain numpy."""

import numpy as np
import pytest

from dcls_cli.reports.views import most_detailed, reduced


def test_reduced_is_the_mean_of_blocks_also_of_the_last_ones() -> None:
    image = np.random.default_rng(0).random((3, 601, 10))
    got = reduced(image, 4)
    assert got.shape == (3, 151, 3)
    assert got[1, 2, 1] == pytest.approx(image[1, 8:12, 4:8].mean())
    assert got[0, 150, 2] == pytest.approx(image[0, 600:, 8:].mean())


def test_the_most_detailed_squares_come_first() -> None:
    image = np.full((3, 100, 130), 0.5)
    image[:, 70:75:2, 65:70] = 1
    image[:, 10:12, 33:35] = 1
    assert most_detailed(image, 32, 2) == [(64, 64), (0, 32)]
    assert len(most_detailed(image, 32, 50)) == 12
    assert most_detailed(image, 200, 3) == []
