"""Grain and blotches against what their formulas promise."""

import math

import pytest
import torch

from dcls_cli.degradation.jpeg import TO_YCBCR
from dcls_cli.degradation.photo import WHITE, blotches, grained


def white(count: int, channels: int, side: int = 40) -> torch.Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("width", [0.7, 1.3, 3.0])
def test_neighbours_correlate_by_a_gaussian_and_nothing_gets_weaker(width: float) -> None:
    noise = grained(white(900, 1), torch.full((900,), width))
    assert noise.square().mean() == pytest.approx(1, abs=0.02)
    # The border too, where the filter lacks its outer half.
    assert noise[..., 0, :].square().mean() == pytest.approx(1, abs=0.06)
    for lag in (1, 2, 3):
        products = noise[..., lag:, 10:-10] * noise[..., :-lag, 10:-10]
        expected = math.exp(-(lag**2) / (4 * width**2))
        assert products[..., 10:-10, :].mean() == pytest.approx(expected, abs=0.03)


def test_each_image_has_its_own_grain() -> None:
    pattern = white(2, 3)
    noise = grained(pattern, torch.tensor([WHITE, 1.0]))
    assert torch.allclose(noise[0], pattern[0])
    assert not torch.allclose(noise[1], pattern[1], atol=0.1)


def test_blotches_have_no_luma() -> None:
    noise = blotches(white(200, 2), torch.full((200,), 1.5))
    planes = torch.einsum("ij,bjhw->bihw", torch.tensor(TO_YCBCR), noise)
    assert planes[:, 0].abs().max() < 1e-5
    assert planes[:, 1:].square().mean() == pytest.approx(1, abs=0.05)
    assert (planes[:, 1] * planes[:, 2]).mean() == pytest.approx(0, abs=0.05)
