"""Transforms without complex numbers: NumPy's FFT and the network's own functions as oracles."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from dcls_cli.export.modules import adaptive_pool
from dcls_cli.export.transforms import (
    MatrixTransform,
    OperatorTransform,
    RealLinearSuperResolver,
    Transform,
    constrained_least_squares,
    transfer_function,
)
from dcls_cli.network import fourier
from dcls_cli.network.reformulation import LinearSuperResolver

BOTH = pytest.mark.parametrize("transform", [MatrixTransform(), OperatorTransform()])
SIZES = pytest.mark.parametrize("size", [(8, 8), (9, 7), (7, 12), (64, 33), (1, 2)])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def kernels(count: int, size: int, seed: int = 0) -> Tensor:
    taps = random(count, 1, size, size, seed=seed).abs() + 0.01
    return taps / taps.sum((-2, -1), keepdim=True)


@BOTH
@SIZES
def test_the_spectrum_is_that_of_numpy(transform: Transform, size: tuple[int, int]) -> None:
    signal = random(2, 3, *size)
    re, im = transform.forward(signal)
    expected = np.fft.rfft2(signal.double().numpy())
    scale = np.abs(expected).max()
    assert np.abs(re.numpy() - expected.real).max() < 1e-6 * scale
    assert np.abs(im.numpy() - expected.imag).max() < 1e-6 * scale


@BOTH
@SIZES
def test_the_inverse_is_that_of_numpy(transform: Transform, size: tuple[int, int]) -> None:
    """Also where the spectrum is that of no real signal, as after a product with a phase."""
    half = (2, size[0], size[1] // 2 + 1)
    re, im = random(*half, seed=1), random(*half, seed=2)
    # NumPy ignores what a real signal cannot have in the first and the last column; so must we.
    expected = np.fft.irfft2(re.double().numpy() + 1j * im.double().numpy(), s=size)
    assert np.abs(transform.inverse((re, im), size[1]).numpy() - expected).max() < 2e-6


def test_a_long_signal_keeps_its_digits() -> None:
    """Products of frequency and position go far beyond what fp32 can count turns in."""
    signal = random(1, 1, 3, 4099)
    restored = MatrixTransform().inverse(MatrixTransform().forward(signal), 4099)
    assert (restored - signal).abs().max() < 1e-4


@pytest.mark.parametrize("taps", [3, 21])
def test_the_transfer_function_is_the_networks(taps: int) -> None:
    kernel = kernels(2, taps)
    expected = fourier.transfer_function(kernel.double(), 30, 41)
    re, im = transfer_function(kernel, 30, 41)
    torch.testing.assert_close(re.double(), expected.real, atol=1e-6, rtol=0)
    torch.testing.assert_close(im.double(), expected.imag, atol=1e-6, rtol=0)


@BOTH
@pytest.mark.parametrize("epsilon", [0.0, 1e-2])
def test_least_squares_are_the_networks(transform: Transform, epsilon: float) -> None:
    blurred, kernel, smoothing = random(2, 4, 31, 40), kernels(2, 11), random(2, 4, 3, 3, seed=3)
    inputs = [part.double() for part in (blurred, kernel, smoothing)]
    expected = fourier.constrained_least_squares(*inputs, epsilon)
    got = constrained_least_squares(blurred, kernel, smoothing, epsilon, transform)
    torch.testing.assert_close(got.double(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_linear_super_resolver_is_the_networks(scale: int) -> None:
    """Filters of fixed and of estimated noise, applied to each image and to all."""
    network = LinearSuperResolver(scale)
    real = RealLinearSuperResolver(network, 21)
    offset = torch.arange(21.0) - 10
    rows, columns = ((-0.5 * (offset / width) ** 2).exp() for width in (2.2, 1.1))
    kernel = torch.stack((torch.outer(rows, rows), torch.outer(rows, columns)))[:, None]
    kernel, noise = kernel / kernel.sum((-2, -1), keepdim=True), torch.tensor([1e-5, 3e-3])
    lr = random(2, 3, 17, 24, seed=4).sigmoid()
    for ratio in (1e-5, noise):
        filters = network.filters(kernel, ratio)
        torch.testing.assert_close(real.filters(kernel, ratio), filters, atol=5e-5, rtol=2e-5)
    torch.testing.assert_close(real.each(lr, filters, 21), network(lr, filters), atol=1e-4, rtol=0)
    first = filters[:1]
    expected = network(lr, first.expand(2, -1, -1, -1, -1))
    torch.testing.assert_close(real.shared(lr, first), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (9, 9), (10, 13), (101, 3)])
def test_the_adaptive_pool_is_that_of_pytorch(size: tuple[int, int]) -> None:
    features = random(2, 4, *size)
    torch.testing.assert_close(adaptive_pool(features), adaptive_avg_pool2d(features, 3))
