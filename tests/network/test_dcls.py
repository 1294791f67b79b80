"""The whole network: budget, first answer, any size, what trains what."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from dcls_cli.config import ModelConfig, checked_scale
from dcls_cli.network.dcls import DCLS, Blur
from dcls_cli.network.reformulation import LinearSuperResolver
from tests import oracle, scenes

SCALES = [2, 3, 4]
PRESETS = ["light", "paper", "photo"]
TINY = {"features": 16, "groups": 1, "blocks": 1, "latent": 8, "estimator_features": 16}


def preset(name: str, scale: int = 4, **changes: object) -> ModelConfig:
    config: ModelConfig = getattr(ModelConfig, name)(checked_scale(scale), **changes)
    return config


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# ---------- budget ----------


@contextmanager
def counted_macs(network: nn.Module) -> Iterator[list[int]]:
    """Multiply-accumulates of every convolution, linear layer and linear super-resolver.

    Yields:
        A list that grows by one number for each layer that runs.
    """
    macs: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, LinearSuperResolver):
            macs.append(output.numel() * layer.taps**2)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            macs.append(output.numel() * layer.weight[0].numel())

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    yield macs
    for hook in hooks:
        hook.remove()


def macs_per_lr_pixel(config: ModelConfig, side: int = 64) -> float:
    network = DCLS(config).eval()
    with torch.no_grad(), counted_macs(network) as macs:
        network(random(1, 3, side, side))
    return sum(macs) / side**2


def test_the_counter_counts() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1), nn.Linear(5, 2))
    with counted_macs(layers) as macs:
        layers(random(2, 3, 6, 5))
    assert macs == [2 * 30 * 8 * 27, 2 * 30 * 4 * 8, 2 * 4 * 6 * 2 * 5]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["light", "photo"])
def test_the_small_presets_stay_within_their_budget(name: str, scale: int) -> None:
    config = preset(name, scale)
    assert macs_per_lr_pixel(config) <= 1.1e6
    assert sum(p.numel() for p in DCLS(config).parameters()) <= 1.6e6


def test_the_paper_s_network_has_the_paper_s_size() -> None:
    """13.63 M parameters and 7.57 MMAC for each LR pixel."""
    config = preset("paper")
    with torch.device("meta"):
        assert sum(p.numel() for p in DCLS(config).parameters()) == 13_626_187
    assert macs_per_lr_pixel(config, 32) == pytest.approx(7.57e6, rel=0.01)


# ---------- first answer ----------


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["light", "photo"])
def test_untrained_it_gives_the_linear_answer(name: str, scale: int) -> None:
    torch.manual_seed(scale)
    network = DCLS(preset(name, scale)).eval()
    assert network.linear is not None
    lr = scenes.to_tensor(scenes.natural(24, 20))
    with torch.no_grad():
        sr, kernel = network(lr)[:2]
        linear = network.linear(lr, network.linear.filters(kernel))
    difference = (sr - torch.pixel_shuffle(linear, scale)).abs()
    assert difference.mean() < 2 / 255
    assert difference.max() < 8 / 255


def test_with_the_true_kernel_it_starts_above_bicubic() -> None:
    torch.manual_seed(0)
    network = DCLS(preset("light", 3)).eval()
    hr = scenes.natural(90, 84)
    lr = scenes.degrade(hr, 2.0, 3)
    with torch.no_grad():
        blur = network.estimate(scenes.to_tensor(lr))
        known = blur._replace(kernel=scenes.gaussian(2.0))
        sr = scenes.to_array(network.restore(scenes.to_tensor(lr), known))
    assert scenes.psnr_y(sr, hr, 3) > scenes.psnr_y(oracle.imresize(lr, 3), hr, 3) + 1


# ---------- shapes ----------


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (5, 3), (2, 2), (31, 17)])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PRESETS)
def test_it_takes_any_size(name: str, scale: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = DCLS(preset(name, scale, **TINY)).eval()
    with torch.no_grad():
        restoration = network(random(2, 3, *size))
    assert restoration.sr.shape == (2, 3, scale * size[0], scale * size[1])
    assert restoration.kernel.shape == (2, 1, 21, 21)
    assert restoration.sr.isfinite().all()
    torch.testing.assert_close(
        restoration.kernel.sum((-2, -1)), torch.ones(2, 1), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("kernel_size", [11, 31])
@pytest.mark.parametrize("name", PRESETS)
def test_it_takes_every_kernel_size(name: str, kernel_size: int) -> None:
    network = DCLS(preset(name, 2, kernel_size=kernel_size, **TINY)).eval()
    with torch.no_grad():
        restoration = network(random(1, 3, 6, 9))
    assert restoration.kernel.shape == (1, 1, kernel_size, kernel_size)
    assert restoration.sr.isfinite().all()


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("name", PRESETS)
def test_black_and_white_pictures_give_finite_ones(name: str, value: float) -> None:
    network = DCLS(preset(name, 4, **TINY)).eval()
    with torch.no_grad():
        assert network(torch.full((1, 3, 8, 8), value)).sr.isfinite().all()


@pytest.mark.parametrize("name", PRESETS)
def test_images_of_a_batch_do_not_mix(name: str) -> None:
    network = DCLS(preset(name, 2, **TINY)).eval()
    images = random(3, 3, 12, 10)
    with torch.no_grad():
        together = network(images)
        for i in range(3):
            alone = network(images[i : i + 1])
            torch.testing.assert_close(alone.sr[0], together.sr[i], atol=1e-4, rtol=0)
            torch.testing.assert_close(alone.kernel[0], together.kernel[i], atol=1e-4, rtol=0)


def test_estimating_and_restoring_is_the_whole() -> None:
    network = DCLS(preset("light", 2, **TINY)).eval()
    lr = random(1, 3, 9, 9)
    with torch.no_grad():
        assert torch.equal(network.restore(lr, network.estimate(lr)), network(lr).sr)


# ---------- what trains what ----------


@pytest.mark.parametrize("name", PRESETS)
def test_the_image_loss_does_not_reach_the_kernel(name: str) -> None:
    network = DCLS(preset(name, 2, **TINY))
    lr = random(2, 3, 8, 8)
    blur = network.estimate(lr)
    kernel = blur.kernel.detach().requires_grad_()
    network.restore(lr, blur._replace(kernel=kernel)).square().mean().backward()
    assert kernel.grad is None
    if blur.noise is None:
        assert all(parameter.grad is None for parameter in network.estimator.parameters())
    assert all(parameter.grad is not None for parameter in network.restorer.parameters())


@pytest.mark.parametrize("name", PRESETS)
def test_both_losses_together_train_every_parameter(name: str) -> None:
    network = DCLS(preset(name, 2, **TINY))
    restoration = network(random(2, 3, 16, 16))
    loss = (restoration.sr - 0.5).abs().mean() + restoration.kernel.square().sum()
    if restoration.noise is not None:
        loss = loss + restoration.noise.log().sum()
    loss.backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


def test_a_saturated_output_still_has_a_gradient() -> None:
    """A clamp inside the network would starve training."""
    network = DCLS(preset("paper", 2, **TINY))
    restoration = network(random(1, 3, 8, 8))
    pushed = restoration.sr + 10
    assert restoration.sr.requires_grad
    pushed.sum().backward()
    bias = network.restorer.upsampler[-1].bias
    assert isinstance(bias, Tensor)
    assert bias.grad is not None
    assert (bias.grad == 16 * 16).all()


def test_bf16_keeps_kernel_and_picture_close_to_fp32() -> None:
    torch.manual_seed(0)
    network = DCLS(preset("light", 2)).eval()
    lr = scenes.to_tensor(scenes.natural(16, 16))
    with torch.no_grad():
        full = network(lr)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(lr)
    assert half.kernel.dtype == torch.float32
    assert (half.kernel - full.kernel).abs().sum() < 0.05
    assert (half.sr.float() - full.sr).abs().max() < 4 / 255


# ---------- noise ----------


def test_noise_lies_between_rounding_and_everything() -> None:
    network = DCLS(preset("photo", 2, **TINY)).eval()
    assert network.log_noise is not None
    lr = random(1, 3, 8, 8)
    found = []
    with torch.no_grad():
        for bias in (-1e3, 0.0, 1e3):
            network.log_noise.weight.zero_()
            network.log_noise.bias.fill_(bias)
            noise = network.estimate(lr).noise
            assert noise is not None
            found.append(math.log10(float(noise)))
    assert found == pytest.approx([-6, -5, 0], abs=1e-3)


def test_more_noise_gives_a_softer_picture() -> None:
    torch.manual_seed(0)
    network = DCLS(preset("photo", 2, **TINY)).eval()
    lr = random(1, 3, 24, 24)
    detail = []
    with torch.no_grad():
        blur = Blur(scenes.gaussian(1.2), network.estimate(lr).smoothing, None)
        for noise in (1e-5, 1e-1):
            sr = network.restore(lr, blur._replace(noise=torch.tensor([noise])))
            detail.append(sr.diff(dim=-1).abs().mean())
    assert detail[0] > 1.5 * detail[1]


# ---------- files and runs ----------


@pytest.mark.parametrize("name", PRESETS)
def test_what_follows_from_the_configuration_is_not_stored(name: str) -> None:
    network = DCLS(preset(name, 4, **TINY))
    assert set(network.state_dict()) == {key for key, _ in network.named_parameters()}


def test_the_same_seed_gives_the_same_bits() -> None:
    pictures = []
    for _ in range(2):
        torch.manual_seed(3)
        with torch.no_grad():
            pictures.append(DCLS(preset("light", 2, **TINY))(random(1, 3, 8, 8)).sr)
    assert torch.equal(*pictures)
