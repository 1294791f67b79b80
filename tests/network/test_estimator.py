"""DDLK: the collapse against explicit convolutions, its start, its energies, its sums."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.signal import convolve2d
from torch import Tensor, nn

from dcls_cli.config import FILTER_LADDERS, ModelConfig
from dcls_cli.network.estimator import DeepLinearKernel, EnergyPooling, Estimator, band_filters

TINY = {"latent": 6, "kernel_channels": 4, "features": 16}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scattered(config: ModelConfig, spread: float = 0.05) -> DeepLinearKernel:
    """Decoders far from the identity at which they start."""
    torch.manual_seed(0)
    module = DeepLinearKernel(config)
    for i, parameter in enumerate(module.parameters()):
        parameter.data += spread * random(*parameter.shape, seed=i)
    return module


def collapsed_by_convolutions(module: DeepLinearKernel, code: Tensor) -> NDArray[np.float64]:
    """Decode the filters, convolve impulses in all planes with them, and average (Eq. 8)."""
    decoders = [decoder for decoder in module.decoders if isinstance(decoder, nn.Linear)]
    planes = [np.ones((1, 1))] * module.shapes[0][1]
    for decoder, shape, width in zip(decoders, module.shapes, module.widths, strict=True):
        weight, bias = (p.detach().double().numpy() for p in (decoder.weight, decoder.bias))
        filters = (weight @ code.double().numpy() + bias).reshape(*shape, width, width)
        planes = [
            np.sum([convolve2d(p, f) for p, f in zip(planes, row, strict=True)], axis=0)
            for row in filters
        ]
    kernel = np.mean(planes, axis=0)
    return np.asarray(kernel / kernel.sum())


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("size", FILTER_LADDERS)
def test_the_collapse_is_a_chain_of_convolutions(size: int, planes: int) -> None:
    config = ModelConfig(scale=4, kernel_size=size, kernel_planes=planes, **TINY)
    module = scattered(config)
    codes = random(3, config.latent)
    with torch.no_grad():
        kernels = module(codes)
    assert kernels.shape == (3, 1, size, size)
    for kernel, code in zip(kernels, codes, strict=True):
        expected = collapsed_by_convolutions(module, code)
        assert expected.shape == (size, size)
        assert np.abs(expected - expected[::-1, ::-1]).max() > 0.1 * np.abs(expected).max()
        np.testing.assert_allclose(kernel[0], expected, atol=2e-5 * np.abs(expected).max())
    torch.testing.assert_close(kernels.sum((-2, -1)), torch.ones(3, 1), atol=1e-4, rtol=0)


def test_gradients_of_the_collapse() -> None:
    config = ModelConfig(
        scale=4, kernel_size=11, kernel_planes=2, kernel_channels=2, latent=3, features=16
    )
    module = scattered(config).double()
    bias = module.decoders[1].bias
    assert isinstance(bias, Tensor)

    def collapse(code: Tensor, bias: Tensor) -> Tensor:
        kernel: Tensor = torch.func.functional_call(module, {"decoders.1.bias": bias}, (code,))
        return kernel[..., ::3, ::2]

    code = random(1, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(collapse, (code, bias.detach().clone().requires_grad_()))


@pytest.mark.parametrize("size", FILTER_LADDERS)
@pytest.mark.parametrize("planes", [1, 3])
def test_it_starts_as_the_unit_impulse_plus_little(size: int, planes: int) -> None:
    torch.manual_seed(0)
    config = ModelConfig(scale=4, kernel_size=size, kernel_planes=planes, latent=32)
    kernel = DeepLinearKernel(config)(random(8, 32)).detach()
    centre = size // 2
    assert (kernel[:, 0, centre, centre] > 0.5).all()
    assert (kernel.abs().sum((-2, -1)) < 3).all()


# ---------- sums ----------


def constant(config: ModelConfig, total: float) -> DeepLinearKernel:
    """A module whose kernel has a given sum before it is normalised, whatever the code."""
    module = DeepLinearKernel(config)
    for decoder in module.decoders:
        assert isinstance(decoder, nn.Linear)
        decoder.weight.data.zero_()
    last = module.decoders[-1]
    assert isinstance(last, nn.Linear)
    last.bias.data *= total
    return module


@pytest.mark.parametrize("total", [0.0, 1e-8, -1e-8, -1.0, 1e-3, 1e3])
def test_kernels_sum_to_one_whatever_their_sum_was(total: float) -> None:
    module = constant(ModelConfig(scale=4, **TINY), total)
    code = random(2, 6).requires_grad_()
    kernel = module(code)
    assert kernel.isfinite().all()
    torch.testing.assert_close(kernel.sum((-2, -1)), torch.ones(2, 1))
    kernel[..., 3, 4].sum().backward()
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_softmax_kernels_are_positive_and_follow_the_collapse() -> None:
    config = ModelConfig(scale=2, kernel_size=11, kernel_norm="softmax", **TINY)
    module = scattered(config)
    code = random(1, 6)
    with torch.no_grad():
        kernel = module(code)[0, 0].double().numpy()
    assert kernel.min() > 0
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    # Logarithms of the taps are the collapsed kernel but for one number.
    raw = DeepLinearKernel(ModelConfig(scale=2, kernel_size=11, **TINY))
    raw.load_state_dict(module.state_dict())
    shape = collapsed_by_convolutions(raw, code[0])
    logs = np.log(kernel).ravel()
    slope, _ = np.polyfit(shape.ravel(), logs, 1)
    residual = logs - slope * shape.ravel()
    assert np.ptp(residual) < 1e-3 * np.ptp(logs)


# ---------- what it sees ----------


def test_band_filters_are_the_finest_cosine_patterns_of_grey() -> None:
    filters = band_filters(48, 7)
    assert filters.shape == (48, 3, 7, 7)
    assert torch.equal(filters[:, 0], filters[:, 2])
    basis = dct(np.eye(7), type=2, norm="ortho", axis=0)
    patterns = {(u, v): np.outer(basis[u], basis[v]) for u in range(7) for v in range(7)}
    grey = filters.sum(1).numpy() / 4
    found = [
        next(key for key, pattern in patterns.items() if np.allclose(pattern, each, atol=1e-5))
        for each in grey
    ]
    assert len(set(found)) == 48
    assert (0, 0) not in found
    assert [u + v for u, v in found] == sorted((u + v for u, v in found), reverse=True)
    assert torch.equal(band_filters(50, 7)[48:], filters[:2])


def test_energies_do_not_see_the_contrast() -> None:
    pooling = EnergyPooling(8, 4)
    shallow, deep = random(2, 8, 16, 16, seed=1), random(2, 8, 16, 16, seed=2)
    code = pooling(shallow, deep)
    torch.testing.assert_close(pooling(5 * shallow, 0.3 * deep), code, atol=1e-3, rtol=0)
    assert (
        pooling(shallow * torch.linspace(1, 3, 8).view(8, 1, 1), deep) - code
    ).abs().max() > 0.05


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("pooling", ["mean", "energy"])
def test_flat_pictures_give_finite_kernels(pooling: str, value: float) -> None:
    module = Estimator(ModelConfig.light(4, pooling=pooling))
    kernel, code = module(torch.full((1, 3, 9, 9), value))
    assert kernel.isfinite().all()
    assert code.isfinite().all()


@pytest.mark.parametrize("preset", [ModelConfig.light, ModelConfig.paper])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (4, 4)])
def test_it_takes_any_size(preset: type, size: tuple[int, int]) -> None:
    module = Estimator(preset(4, estimator_features=16, latent=8))  # type: ignore[call-arg]
    kernel, code = module(random(2, 3, *size).sigmoid())
    assert kernel.shape == (2, 1, 21, 21)
    assert code.shape == (2, 8)
    assert kernel.isfinite().all()
    torch.testing.assert_close(kernel.sum((-2, -1)), torch.ones(2, 1), atol=1e-4, rtol=0)


def test_images_of_a_batch_do_not_mix() -> None:
    module = Estimator(ModelConfig.light(4)).eval()
    images = random(3, 3, 12, 12).sigmoid()
    together = module(images)[0]
    for i in range(3):
        torch.testing.assert_close(module(images[i : i + 1])[0][0], together[i])
