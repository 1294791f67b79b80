"""LR kernels: Eq. 7, and its expectation in closed form, against pictures and on Set5."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import convolve
from scipy.signal import convolve2d
from torch import Tensor

from dcls_cli.network.reformulation import (
    ReformulatedKernel,
    clean_kernel,
    reformulate,
)
from tests import oracle, scenes

SCALES = [2, 3, 4]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---------- Eq. 7 ----------


@pytest.mark.parametrize("shape", [(24, 32), (21, 27)])
def test_eq_7_recovers_the_kernel_of_a_circular_blur(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    clear = generator.standard_normal((3, *shape))
    kernel = generator.random((11, 11))
    kernel /= kernel.sum()
    blurred = np.stack([convolve(plane, kernel, mode="wrap") for plane in clear])
    got = reformulate(torch.from_numpy(blurred)[None], torch.from_numpy(clear)[None], 11)
    np.testing.assert_allclose(got[0, 0].numpy(), kernel, atol=1e-8)


def test_cleaning_keeps_the_peak_and_drops_the_noise() -> None:
    noisy = scenes.gaussian(1.5) + 1e-4 * random(1, 1, 21, 21)
    cleaned = clean_kernel(noisy)
    torch.testing.assert_close(cleaned.sum(), torch.tensor(1.0))
    assert cleaned.min() == 0
    assert cleaned.argmax() == noisy.argmax()
    assert 30 < cleaned.count_nonzero() < 120
    values = np.sort(noisy.numpy().ravel())
    threshold = 0.75 * values[-41]
    expected = np.clip(noisy.numpy() - threshold, 0, 1)
    np.testing.assert_allclose(cleaned.numpy(), expected / expected.sum(), atol=1e-7)


def test_cleaning_of_nothing_is_the_unit_impulse() -> None:
    cleaned = clean_kernel(torch.zeros(2, 1, 11, 11))
    assert (cleaned[:, 0, 5, 5] == 1).all()
    assert cleaned.sum() == 2


# ---------- the expected reformulated kernel ----------


def circular_down(field: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """Antialiased bicubic of a periodic field, by the oracle on a padded copy."""
    pad = 8 * scale
    padded = np.pad(field, pad, mode="wrap")
    return np.asarray(oracle.imresize(padded, 1 / scale)[8:-8, 8:-8])


@pytest.mark.parametrize("scale", SCALES)
def test_it_is_what_eq_7_gives_for_many_pictures(scale: int) -> None:
    """Periodic random fields of the prior; the oracle blurs and shrinks them."""
    size, generator = 32 * scale, np.random.default_rng(scale)
    frequency = np.fft.fftfreq(size)
    radius = np.hypot(frequency[:, None], frequency[None])
    radius[0, 0] = np.inf
    kernel = np.outer(oracle.gauss1d(21, 0.5 * scale), oracle.gauss1d(21, 0.7 * scale))
    clear, blurred = [], []
    for _ in range(24):
        noise = np.fft.fft2(generator.standard_normal((size, size)))
        field = np.fft.ifft2(noise / radius).real * size
        clear.append(circular_down(field, scale))
        blurred.append(circular_down(convolve(field, kernel, mode="wrap"), scale))
    eq_7 = reformulate(
        torch.from_numpy(np.stack(blurred))[None], torch.from_numpy(np.stack(clear))[None], 21
    )
    expected = ReformulatedKernel(scale)(torch.from_numpy(kernel).float()[None, None])
    fit = convolve(clear[0], expected[0, 0].numpy(), mode="wrap")
    assert np.mean((fit - blurred[0]) ** 2) < 5e-4 * np.var(blurred[0])
    # These fields have no mean, so that Eq. 7 leaves one number for all taps open.
    difference = eq_7[0, 0] - expected[0, 0].double()
    assert (difference - difference.mean()).abs().max() < 0.003 * expected.max()


@pytest.mark.parametrize("scale", SCALES)
def test_lr_kernels_are_centred_symmetric_and_of_sum_one(scale: int) -> None:
    kernel = ReformulatedKernel(scale)(scenes.gaussian(0.6 * scale))
    assert kernel.shape == (1, 1, 21, 21)
    torch.testing.assert_close(kernel.sum(), torch.tensor(1.0))
    assert kernel.argmax() == 21 * 21 // 2
    torch.testing.assert_close(kernel, kernel.flip(-1, -2), atol=1e-6, rtol=0)
    torch.testing.assert_close(kernel, kernel.mT, atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", SCALES)
def test_without_blur_the_lr_kernel_is_the_unit_impulse(scale: int) -> None:
    impulse = torch.zeros(1, 1, 21, 21)
    impulse[..., 10, 10] = 1
    got = ReformulatedKernel(scale)(impulse)
    torch.testing.assert_close(got, impulse, atol=2e-4, rtol=0)


@pytest.mark.parametrize("scale", SCALES)
def test_a_shift_by_one_lr_pixel_stays_one(scale: int) -> None:
    """Also tells correlation from convolution: the shift goes the same way."""
    module = ReformulatedKernel(scale)
    kernel = scenes.gaussian(1.0)
    moved = module(kernel.roll((scale, -scale), (-2, -1)))
    expected = module(kernel).roll((1, -1), (-2, -1))
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("scale", SCALES)
def test_the_adjoint_of_the_map_spreads_lr_taps_with_one_filter(scale: int) -> None:
    """<A h, l> = <h, A' l>: A' inserts zeros between the LR taps and filters them."""
    module = ReformulatedKernel(scale, 21, 21)
    reach = 10 * scale + 10
    # One LR tap sees the whole filter.
    row = ReformulatedKernel(scale, 2 * reach + 1, 1).matrix.double().numpy()
    one_filter = row.reshape(2 * reach + 1, -1)[::-1, ::-1]
    h, taps = (random(21, 21, seed=seed).double().numpy() for seed in (1, 2))
    spread = np.zeros((20 * scale + 1, 20 * scale + 1))
    spread[::scale, ::scale] = taps
    # Correlation with A; HR tap 0 lies at the centre of the LR taps.
    full = convolve2d(spread, one_filter[::-1, ::-1], mode="full")
    centre = full.shape[0] // 2
    adjoint = full[centre - 10 : centre + 11, centre - 10 : centre + 11]
    forward = module.matrix.double().numpy() @ h.ravel()
    left, right = forward @ taps.ravel(), np.sum(h * adjoint)
    assert left == pytest.approx(right, rel=1e-4)


def test_kernels_without_a_sum_give_finite_taps() -> None:
    kernel = torch.zeros(1, 1, 21, 21)
    for odd in (kernel, kernel - 1, 1e6 * random(1, 1, 21, 21)):
        assert ReformulatedKernel(4)(odd).isfinite().all()


# ---------- photographs ----------


@pytest.mark.parametrize("scale", SCALES)
def test_on_set5_the_expected_kernel_explains_the_blur_better_than_eq_7(scale: int) -> None:
    """At least 50 dB for each photo; Eq. 7, cleaned as the authors do, 33 to 44."""
    for sigma in (oracle.SIG[scale][0], oracle.SIG[scale][-1]):
        expected = ReformulatedKernel(scale)(scenes.gaussian(float(sigma)))
        for hr in scenes.set5(scale)[:3]:
            clear = oracle.imresize(hr, 1 / scale)
            blurred = oracle.imresize(oracle.blur(hr, sigma), 1 / scale)
            eq_7 = reformulate(scenes.to_tensor(blurred), scenes.to_tensor(clear), 21)
            assert fit_db(clear, blurred, expected) > 50
            assert 33 < fit_db(clear, blurred, clean_kernel(eq_7)) < 45


def fit_db(clear: scenes.Image, blurred: scenes.Image, kernel: Tensor) -> float:
    """How well the LR kernel turns the clear LR image into the blurred one, without borders."""
    planes = [convolve(clear[..., c], kernel[0, 0].numpy(), mode="mirror") for c in range(3)]
    difference = (np.stack(planes, -1) - blurred)[12:-12, 12:-12]
    return -10 * math.log10(np.mean(difference**2))
