"""Transfer functions and constrained least squares against numpy's FFT of padded kernels."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcls_cli.network.fourier import (
    constrained_least_squares,
    full_transfer_function,
    transfer_function,
    unit_sum,
)

GRIDS = [(32, 32), (31, 45), (24, 33), (64, 21)]


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def padded_spectrum(kernel: NDArray[np.float64], height: int, width: int) -> NDArray[np.complex128]:
    """FFT of a kernel on a grid with its centre tap at the origin; taps outside wrap around."""
    grid = np.zeros((height, width))
    centre = kernel.shape[0] // 2
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            grid[(row - centre) % height, (column - centre) % width] += kernel[row, column]
    return np.fft.fft2(grid)


@pytest.mark.parametrize("grid", [*GRIDS, (1, 1), (1, 7), (5, 3), (8, 8)])
@pytest.mark.parametrize("taps", [3, 11, 21])
def test_transfer_function_is_the_fft_of_the_centred_kernel(
    taps: int, grid: tuple[int, int]
) -> None:
    kernel = random(2, 1, taps, taps)
    half = transfer_function(kernel, *grid)
    assert half.shape == (2, 1, grid[0], grid[1] // 2 + 1)
    for i in range(2):
        expected = padded_spectrum(kernel[i, 0].numpy(), *grid)
        np.testing.assert_allclose(half[i, 0].numpy(), expected[:, : grid[1] // 2 + 1], atol=1e-11)
        if grid[0] == grid[1]:
            full = full_transfer_function(kernel, grid[0])
            np.testing.assert_allclose(full[i, 0].numpy(), expected, atol=1e-11)


def test_transfer_function_in_single_precision_loses_single_precision_only() -> None:
    kernel = random(1, 1, 21, 21) / 100
    single = transfer_function(kernel.float(), 300, 500)
    assert single.dtype == torch.complex64
    assert (single - transfer_function(kernel, 300, 500)).abs().max() < 1e-6


def test_the_unit_impulse_passes_everything() -> None:
    impulse = torch.zeros(1, 1, 21, 21)
    impulse[..., 10, 10] = 1
    spectrum = transfer_function(impulse, 33, 40)
    torch.testing.assert_close(spectrum, torch.ones_like(spectrum))


def least_squares_by_loops(
    blurred: Tensor, kernel: Tensor, smoothing: Tensor, epsilon: float
) -> NDArray[np.float64]:
    """Eq. 14 with a complex FFT for each channel of each image."""
    clear = np.zeros(blurred.shape)
    height, width = blurred.shape[-2:]
    for image in range(blurred.shape[0]):
        k = padded_spectrum(kernel[image, 0].numpy(), height, width)
        for channel in range(blurred.shape[1]):
            p = padded_spectrum(smoothing[image, channel].numpy(), height, width)
            y = np.fft.fft2(blurred[image, channel].numpy())
            x = np.conj(k) * y / (np.abs(k) ** 2 + np.abs(p) ** 2 + epsilon)
            back = np.fft.ifft2(x)
            assert np.abs(back.imag).max() < 1e-9
            clear[image, channel] = back.real
    return clear


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("epsilon", [0.0, 1e-2])
def test_constrained_least_squares_is_equation_14(grid: tuple[int, int], epsilon: float) -> None:
    blurred, kernel = random(2, 3, *grid), unit_sum(random(2, 1, 11, 11).abs())
    smoothing = random(2, 3, 3, 3)
    got = constrained_least_squares(blurred, kernel, smoothing, epsilon)
    expected = least_squares_by_loops(blurred, kernel, smoothing, epsilon)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-9)


def test_without_smoothing_a_blur_is_inverted_exactly() -> None:
    clear, kernel = random(1, 2, 32, 32), torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    kernel[0, 0, 1] = torch.tensor([0.1, 0.7, 0.2], dtype=torch.float64)
    blurred = 0.1 * clear.roll(-1, -1) + 0.7 * clear + 0.2 * clear.roll(1, -1)
    restored = constrained_least_squares(blurred, kernel, torch.zeros(1, 2, 3, 3).double())
    torch.testing.assert_close(restored, clear, atol=1e-9, rtol=0)


def test_more_smoothing_leaves_less_detail() -> None:
    blurred, kernel = random(1, 1, 32, 32), unit_sum(random(1, 1, 11, 11).abs())
    laplacian = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]).double()[None, None]
    energies = [
        constrained_least_squares(blurred, kernel, weight * laplacian).square().sum()
        for weight in (0.01, 0.1, 1.0)
    ]
    assert energies[0] > energies[1] > energies[2]


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_a_blur_that_leaves_nothing_gives_finite_values(smoothing: float) -> None:
    """The box of 11 taps has no energy at 10 of 11 frequencies of a grid of 11 columns."""
    box = torch.full((1, 1, 11, 11), 1 / 121)
    blurred = random(1, 2, 22, 11).float()
    p = torch.full((1, 2, 3, 3), smoothing)
    assert constrained_least_squares(blurred, box, p).isfinite().all()
    nothing = torch.zeros(1, 1, 11, 11)
    assert constrained_least_squares(blurred, nothing, 0 * p).isfinite().all()


# ---------- linear operators and derivatives ----------


@pytest.mark.parametrize("grid", GRIDS)
def test_the_adjoint_deconvolves_with_the_flipped_kernel(grid: tuple[int, int]) -> None:
    x, y = random(2, 3, *grid, seed=1), random(2, 3, *grid, seed=2)
    kernel, smoothing = unit_sum(random(2, 1, 11, 11).abs()), random(2, 3, 3, 3)
    forward = constrained_least_squares(x, kernel, smoothing, 1e-2)
    adjoint = constrained_least_squares(y, kernel.flip(-1, -2), smoothing, 1e-2)
    torch.testing.assert_close((forward * y).sum(), (x * adjoint).sum(), rtol=1e-10, atol=0)
    assert (forward - constrained_least_squares(x, kernel.flip(-1, -2), smoothing)).abs().max() > 1


def test_deconvolution_is_linear_in_the_image() -> None:
    x, y = random(1, 2, 16, 19, seed=1), random(1, 2, 16, 19, seed=2)
    kernel, smoothing = unit_sum(random(1, 1, 11, 11).abs()), random(1, 2, 3, 3)

    def solve(image: Tensor) -> Tensor:
        return constrained_least_squares(image, kernel, smoothing)

    torch.testing.assert_close(solve(2 * x - 3 * y), 2 * solve(x) - 3 * solve(y))


def check_gradient(function: Callable[..., Tensor], *arguments: Tensor) -> None:
    leaves = [argument.clone().requires_grad_() for argument in arguments]
    assert torch.autograd.gradcheck(function, leaves)


@pytest.mark.parametrize("grid", [(4, 5), (5, 4)])
def test_gradients_of_the_quotient(grid: tuple[int, int]) -> None:
    kernel = unit_sum(random(1, 1, 3, 3).abs())

    def solve(blurred: Tensor, kernel: Tensor, smoothing: Tensor) -> Tensor:
        return constrained_least_squares(blurred, kernel, smoothing, 1e-2)

    check_gradient(solve, random(1, 2, *grid), kernel, random(1, 2, 3, 3))


def test_gradients_of_the_transfer_functions() -> None:
    check_gradient(lambda kernel: transfer_function(kernel, 6, 7), random(1, 2, 3, 3))
    check_gradient(lambda kernel: full_transfer_function(kernel, 6), random(1, 3, 3))


# ---------- kernels of sum one ----------


def test_unit_sum_divides_by_the_sum() -> None:
    kernel = random(3, 1, 11, 11) + 0.5
    expected = kernel.numpy() / kernel.numpy().sum((-2, -1), keepdims=True)
    np.testing.assert_allclose(unit_sum(kernel).numpy(), expected, rtol=1e-14)
    negative = -random(1, 1, 11, 11).abs()
    torch.testing.assert_close(unit_sum(negative), negative / negative.sum())


@pytest.mark.parametrize("total", [0.0, 1e-9, -1e-9, 1e-30, -9e-7])
def test_a_sum_near_zero_is_made_up_at_the_centre(total: float) -> None:
    kernel = torch.zeros(1, 1, 11, 11)
    kernel[0, 0, 0, 0] = total
    got = unit_sum(kernel)
    assert got.isfinite().all()
    torch.testing.assert_close(got.sum(), torch.tensor(1.0))
    assert got[0, 0, 5, 5] > 0.09
    rest = got.clone()
    rest[0, 0, 5, 5] = rest[0, 0, 0, 0] = 0
    assert rest.abs().max() == 0


def test_unit_sum_has_finite_gradients_everywhere() -> None:
    for offset in (0.0, 1e-8, 0.3):
        kernel = torch.zeros(1, 1, 3, 3) + offset / 9
        kernel.requires_grad_()
        unit_sum(kernel)[0, 0, 0, 0].backward()
        assert kernel.grad is not None
        assert kernel.grad.isfinite().all()
    check_gradient(unit_sum, random(2, 1, 3, 3) + 1)
