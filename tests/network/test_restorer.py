"""DPAN: its blocks against the formula, its skips, its up-samplers."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu

from dcls_cli.config import ModelConfig, checked_scale
from dcls_cli.network.deconvolution import high_pass
from dcls_cli.network.restorer import (
    DirectUpsampler,
    DualPathBlock,
    DualPathGroup,
    DualPathNetwork,
    StepwiseUpsampler,
)
from tests import scenes

TINY = {"features": 16, "groups": 2, "blocks": 1, "head_blocks": 1}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def apply(layer: nn.Conv2d, x: Tensor) -> Tensor:
    return conv2d(x, layer.weight, layer.bias, padding=1)


@pytest.mark.parametrize("attention", [True, False])
def test_the_main_path_reads_the_side_path_and_not_the_reverse(attention: bool) -> None:
    block = DualPathBlock(16, 4, attention)
    main, side = random(1, 16, 7, 6, seed=1), random(1, 4, 7, 6, seed=2)
    kept = main.clone(), side.clone()
    got_main, got_side = block(main, side)
    assert torch.equal(main, kept[0])
    assert torch.equal(side, kept[1])
    main_update = apply(block.main_conv2, leaky_relu(apply(block.main_conv1, main), 0.1))
    side_update = apply(block.side_conv2, leaky_relu(apply(block.side_conv1, side), 0.1))
    fused = apply(block.fuse, leaky_relu(torch.cat((main_update, side_update), 1), 0.1))
    if attention:
        torch.testing.assert_close(got_main, main + block.main_attention(fused))
        torch.testing.assert_close(got_side, side + block.side_attention(side_update))
    else:
        torch.testing.assert_close(got_main, main + fused)
        torch.testing.assert_close(got_side, side + side_update)
    other_main, other_side = block(2 * main, side)
    assert torch.equal(other_side, got_side)
    assert not torch.equal(other_main, got_main)


def test_given_gates_scale_the_channels_of_the_updates() -> None:
    block = DualPathBlock(16, 4, attention=True)
    main, side = random(2, 16, 7, 6, seed=1), random(2, 4, 7, 6, seed=2)
    gates = random(2, 20, seed=3).sigmoid()
    main_update, side_update = block.updates(main, side)
    got_main, got_side = block(main, side, gates)
    torch.testing.assert_close(got_main, main + main_update * gates[:, :16, None, None])
    torch.testing.assert_close(got_side, side + side_update * gates[:, 16:, None, None])


@pytest.mark.parametrize("skip", ["input", "output"])
def test_a_group_adds_what_its_configuration_says(skip: str) -> None:
    group = DualPathGroup(ModelConfig(scale=2, group_skip=skip, **TINY))  # type: ignore[arg-type]
    main, side = random(1, 16, 5, 5, seed=1), random(1, 4, 5, 5, seed=2)
    after = group.blocks[0](main, side)
    added = (main, side) if skip == "input" else after
    for got, x, y in zip(group(main, side), after, added, strict=True):
        torch.testing.assert_close(got, x + y)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("upsampler", [StepwiseUpsampler, DirectUpsampler])
def test_upsamplers_make_scale_times_larger_colour(upsampler: type[nn.Module], scale: int) -> None:
    module = upsampler(16, scale)
    assert module(random(1, 16, 3, 5)).shape == (1, 3, 3 * scale, 5 * scale)
    shuffles = [layer for layer in module.modules() if isinstance(layer, nn.PixelShuffle)]
    stepwise = upsampler is StepwiseUpsampler
    assert [s.upscale_factor for s in shuffles] == ([2, 2] if stepwise and scale == 4 else [scale])


def test_the_direct_upsampler_starts_with_next_to_nothing() -> None:
    torch.manual_seed(0)
    assert DirectUpsampler(64, 4)(random(1, 64, 8, 8)).abs().max() < 0.02


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("preset", ["paper", "light"])
def test_it_adds_detail_to_every_pixel(preset: str, scale: int) -> None:
    config = getattr(ModelConfig, preset)(checked_scale(scale), **TINY)
    module = DualPathNetwork(config)
    lr = random(2, 3, 9, 8).sigmoid()
    linear = random(2, 3 * scale**2, 9, 8) if config.skip == "linear" else None
    smoothing = high_pass(random(2, 4, 3, 3)) if config.smoothing == "code" else None
    kernel = scenes.gaussian(1.0).expand(2, 1, 21, 21)
    sr = module(lr, kernel, smoothing, linear)
    assert sr.shape == (2, 3, 9 * scale, 8 * scale)
    sr.square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if "attention" not in name:  # a bottleneck of one channel may be shut
            assert parameter.grad.abs().max() > 0, name
