"""Recoloured training images: grey stays grey, and equally bright neighbours occur."""

import colorsys

import numpy as np
import pytest
import torch

from dcls_cli.training.recolouring import ORDERS, Recolouring

LUMA = torch.tensor([0.299, 0.587, 0.114])


def drawn(count: int, seed: int = 0) -> Recolouring:
    return Recolouring.draw(count, torch.Generator().manual_seed(seed))


def colours(count: int, side: int = 8) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_kinds_occur_as_often_as_they_should() -> None:
    colouring = drawn(4000)
    kept = (colouring.matrix == torch.eye(3)).flatten(1).all(1)
    assert kept.float().mean() == pytest.approx(0.54, abs=0.03)
    assert colouring.grey.float().mean() == pytest.approx(0.08, abs=0.02)
    orders = torch.eye(3)[torch.tensor(ORDERS)]
    exchanged = (colouring.matrix[:, None] == orders).flatten(2).all(2).any(1)
    assert exchanged.float().mean() == pytest.approx(0.18, abs=0.02)
    even = colouring.matrix.sum(2)[:, 0] < 0.51
    assert even.float().mean() == pytest.approx(0.10, abs=0.02)


def test_grey_stays_grey_whatever_is_drawn() -> None:
    ramp = torch.linspace(0, 1, 64).view(1, 1, 8, 8).expand(200, 3, -1, -1).clone()
    out = drawn(200)(ramp)
    assert (out - out[:, :1]).abs().max() < 1e-5


def test_grey_images_are_the_luma_three_times() -> None:
    images = colours(200)
    colouring = drawn(200)
    out = colouring(images.clone())
    grey = colouring.grey
    assert torch.equal(out[grey], out[grey][:, :1].expand(-1, 3, -1, -1))
    expected = torch.einsum("c,bchw->bhw", LUMA, images[grey])
    assert (out[grey][:, 0] - expected).abs().max() < 1e-5


def test_even_images_keep_colour_where_brightness_was_the_difference() -> None:
    """Yellow beside blue: far apart in brightness, near each other afterwards."""
    pair = torch.tensor([[0.6, 0.6, 0.4], [0.4, 0.4, 0.6]]).T.view(1, 3, 1, 2)
    colouring = drawn(3000)
    even = colouring.matrix.sum(2)[:, 0] < 0.2
    assert even.any()
    out = Recolouring(colouring.matrix[even], colouring.level[even], colouring.grey[even])(
        pair.repeat(int(even.sum()), 1, 1, 1)
    )
    luma = torch.einsum("c,bchw->bhw", LUMA, out)
    before = torch.einsum("c,bchw->bhw", LUMA, pair)
    assert luma.diff().abs().max() < 0.2 * before.diff().abs().max()
    assert out.diff(dim=3).abs().amax(1).min() > 0.2


def test_turned_colours_keep_their_luma() -> None:
    colouring = drawn(500)
    turned = (colouring.matrix != torch.eye(3)).flatten(1).any(1) & ~colouring.grey
    whole = (colouring.matrix - colouring.matrix.round()).flatten(1).abs().amax(1) < 1e-6
    some = turned & ~whole & (colouring.matrix.sum(2)[:, 0] > 0.99)
    assert some.any()
    out = torch.einsum("bij,j->bi", colouring.matrix[some], torch.tensor([0.5, 0.55, 0.45]))
    luma = out @ LUMA
    assert torch.allclose(
        luma, torch.full_like(luma, float(LUMA @ torch.tensor([0.5, 0.55, 0.45])))
    )
    hues = [colorsys.rgb_to_hsv(*colour)[0] for colour in out.tolist()]
    assert np.ptp(hues) > 0.5


def test_results_are_in_range_and_drawn_from_the_seed() -> None:
    out = drawn(100, 3)(colours(100))
    assert out.min() >= 0
    assert out.max() <= 1
    assert torch.equal(out, drawn(100, 3)(colours(100)))
    assert not torch.equal(out, drawn(100, 4)(colours(100)))
    part = slice(1, None, 3)
    assert torch.equal(drawn(100, 3).part(part)(colours(100)[part]), out[part])
