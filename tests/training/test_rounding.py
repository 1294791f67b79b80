"""Activations rounded as int8 rounds them: the grid, the gradient, and who is rounded."""

import copy

import pytest
import torch
from torch import Tensor, nn

from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.reformulation import ReformulatedKernel
from dcls_cli.training.losses import Objective
from dcls_cli.training.rounding import ROOM, STEPS, round_activations, rounded
from dcls_cli.training.state import TrainState
from tests.training import runs


def values(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 0.3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_lie_on_a_grid_of_256_steps(dtype: torch.dtype) -> None:
    x = values(2, 3, 40, 41).to(dtype)
    got = rounded(x).float()
    step = ROOM * float(x.max() - x.min()) / STEPS
    on_grid = (got / step).round() * step
    slack = 0.0 if dtype == torch.float32 else step  # bf16 itself is as coarse at large values
    torch.testing.assert_close(got, on_grid, rtol=1e-5, atol=1e-6 + slack)
    assert 100 < len(got.unique()) <= STEPS / ROOM + 2
    assert (got - x.float()).abs().max() <= step / 2 + slack + 1e-6
    assert (got - x.float()).abs().max() > step / 4


@pytest.mark.parametrize("level", [0.0, 0.5, -3.0])
def test_zero_is_on_the_grid_and_flat_pictures_are_finite(level: float) -> None:
    """A range reaches from zero, as that of int8 does, whose padding is zero."""
    flat = torch.full((1, 1, 4, 4), level)
    torch.testing.assert_close(rounded(flat), flat, rtol=1e-2, atol=0)
    both = torch.cat((flat, torch.zeros(1, 1, 1, 4)), dim=2)
    assert (rounded(both)[..., -1, :] == 0).all()


def test_the_gradient_passes() -> None:
    x = values(3, 5).requires_grad_()
    weights = values(3, 5)
    (rounded(x) * weights).sum().backward()
    torch.testing.assert_close(x.grad, weights)


def test_the_network_is_rounded_and_its_average_is_not() -> None:
    """Both end with the same weights, one with rounded layers."""
    lr = values(1, 3, 16, 17).sigmoid()
    plain = DCLS(runs.tiny()).eval()
    for parameter in plain.restorer.upsampler.parameters():
        nn.init.normal_(parameter, std=0.05)
    options = runs.config(quantize=True)
    objective = Objective(options, "hr", ReformulatedKernel(2))
    state = TrainState(copy.deepcopy(plain), objective, options)
    with torch.no_grad():
        exact, averaged, coarse = plain(lr).sr, state.ema.eval()(lr).sr, state.network.eval()(lr).sr
    torch.testing.assert_close(averaged, exact, rtol=0, atol=0)
    error = (coarse - exact).square().mean().sqrt()
    assert 1e-5 < error < 0.05


def test_what_looks_at_the_whole_photo_is_not_rounded() -> None:
    """Nor the layers that int8 graphs keep in fp32."""
    restorer = DCLS(ModelConfig.paper(4, features=16, groups=1, blocks=1, head_blocks=1)).restorer
    round_activations(restorer)
    names = {
        name
        for name, layer in restorer.named_modules()
        if isinstance(layer, nn.Conv2d) and layer._forward_hooks
    }
    left = {name for name, layer in restorer.named_modules() if isinstance(layer, nn.Conv2d)}
    left -= names
    assert {"conv_first", "deconvolution.reduce"} <= left
    assert {"fusion", "side_head", "deconvolution.expand", "upsampler.4"} <= names
    block = "groups.0.blocks.0."
    assert {f"{block}{name}" for name in ("main_conv1", "side_conv2", "fuse")} <= names
    others = left - {"conv_first", "deconvolution.reduce"}
    assert others
    assert all("attention" in name or name.startswith("smoothing") for name in others)
