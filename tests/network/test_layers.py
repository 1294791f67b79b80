"""Blocks that the networks share, against their formulas in numpy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.signal import correlate2d
from torch import Tensor, nn

from dcls_cli.backends.devices import has_bf16
from dcls_cli.network.layers import (
    LEAK,
    ChannelAttention,
    ResidualBlock,
    activated,
    activation,
    add_gated,
    channel_means,
    conv3x3,
    fuses,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def convolution(layer: nn.Conv2d, planes: np.ndarray) -> np.ndarray:
    """(C, H, W) -> (C', H, W), zeros around."""
    assert layer.bias is not None
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    return np.stack(
        [
            sum(correlate2d(p, w, mode="same") for p, w in zip(planes, row, strict=True)) + b
            for row, b in zip(weight, bias, strict=True)
        ]
    )


def test_the_activation_leaks_a_tenth() -> None:
    x = torch.tensor([-2.0, 0.0, 3.0])
    torch.testing.assert_close(activation()(x.clone()), torch.tensor([-0.2, 0.0, 3.0]))


def test_the_convolution_keeps_the_size() -> None:
    assert conv3x3(2, 5)(random(1, 2, 1, 4)).shape == (1, 5, 1, 4)


def test_a_residual_block_is_its_formula_and_leaves_its_input_alone() -> None:
    block, x = ResidualBlock(3), random(1, 3, 6, 7)
    for i, conv in enumerate((block.conv1, block.conv2)):
        conv.weight.data = random(*conv.weight.shape, seed=i)
        conv.bias.data = random(3, seed=9 + i)  # type: ignore[union-attr]
    before = x.clone()
    got = block(x)[0].detach().numpy()
    assert torch.equal(x, before)
    planes = x[0].double().numpy()
    hidden = convolution(block.conv1, planes)
    expected = planes + convolution(block.conv2, np.where(hidden > 0, hidden, 0.1 * hidden))
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_residual_block_starts_near_the_identity() -> None:
    torch.manual_seed(0)
    x = random(1, 64, 12, 12)
    update = ResidualBlock(64)(x) - x
    assert 0 < update.std() < 0.1


def test_channel_attention_is_its_formula() -> None:
    module, x = ChannelAttention(8), random(2, 8, 5, 4)
    got = module(x).detach().numpy()
    means = x.double().numpy().mean((2, 3))

    def dense(layer: nn.Conv2d, vector: np.ndarray) -> np.ndarray:
        assert layer.bias is not None
        weight = layer.weight.detach().double().numpy()[:, :, 0, 0]
        return vector @ weight.T + layer.bias.detach().double().numpy()

    logits = dense(module.excite, np.maximum(dense(module.squeeze, means), 0))
    gate = 1 / (1 + np.exp(-logits))
    assert module.squeeze.out_channels == 2
    np.testing.assert_allclose(got, x.numpy() * gate[:, :, None, None], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 16, 1, 40), (2, 0, 4, 4)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gates_and_means_are_those_of_numpy(
    dtype: torch.dtype, shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    x, update = (
        random(*shape, seed=seed).to(dtype).contiguous(memory_format=layout) for seed in (0, 1)
    )
    gate = random(*shape[:2], seed=2).sigmoid().to(dtype)
    exact, added, gates = (part.double().numpy() for part in (x, update, gate))
    rounding = 1e-6 if dtype == torch.float32 else 2**-8
    expected = exact + gates[..., None, None] * added
    got = add_gated(x, update, gate)
    assert got.dtype == dtype
    np.testing.assert_allclose(got.double().numpy(), expected, rtol=rounding, atol=rounding)
    means = channel_means(x).double().numpy()
    assert means.shape == shape[:2]
    np.testing.assert_allclose(means, exact.mean((2, 3)), atol=rounding)


@pytest.mark.skipif(not has_bf16(torch.device("cpu")), reason="this processor has no bf16")
@pytest.mark.parametrize("size", [(1, 1), (7, 12)])
def test_an_activated_convolution_in_one_step_is_more_exact_than_in_two(
    size: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(16, 24, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(2, 16, *size).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert not fuses(x)
        rounded = [part.bfloat16().double() for part in (x, conv.weight, conv.bias)]
        expected = F.leaky_relu(F.conv2d(*rounded, padding=1), LEAK)
        exact = activated(conv, x)
        with torch.autocast("cpu", torch.bfloat16):
            assert fuses(x)
            got = activated(conv, x)
            steps = F.leaky_relu(conv(x), LEAK)
    assert got.dtype == torch.bfloat16
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(exact, F.leaky_relu(conv(x), LEAK))
    error, of_steps = (float((y.double() - expected).abs().mean()) for y in (got, steps))
    assert 0 < error <= of_steps
    torch.testing.assert_close(got.double(), expected, atol=1e-3, rtol=2**-8)


def test_with_gradients_the_activation_is_a_step_of_its_own() -> None:
    conv = torch.nn.Conv2d(16, 16, 3, padding=1)
    x = torch.randn(1, 16, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert not fuses(x)
        activated(conv, x).float().sum().backward()
    assert x.grad is not None
    assert conv.weight.grad is not None


def test_without_bf16_in_the_processor_nothing_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be refused; one after the other, the two are computed on any processor."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    conv, x = torch.nn.Conv2d(3, 4, 3, padding=1), torch.rand(1, 3, 5, 6)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert not fuses(x)
        expected = F.leaky_relu(conv(x), LEAK)
        torch.testing.assert_close(activated(conv, x), expected)
