"""The linear super-resolver: its closed form, its geometry, its adjoint, its figures on Set5."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import convolve2d, fftconvolve
from torch import Tensor

from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS, Blur, repeated
from dcls_cli.network.reformulation import LinearSuperResolver
from tests import oracle, scenes

SCALES = [2, 3, 4]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def filters_by_loops(
    scale: int, blur: NDArray[np.float64], grid: int = 48, noise: float = 1e-5
) -> NDArray[np.float64]:
    """HR taps of the optimal filter, (s grid, s grid): aliases by modular indexing, in float64.

    The bicubic's response is that of the oracle's matrix, phase and all.
    """
    size = scale * grid
    down = oracle.resize_matrix(size, grid, 1 / scale).toarray()[grid // 2]
    position = np.arange(size) - scale * (grid // 2)
    omega = 2 * np.pi * np.fft.fftfreq(size)
    bicubic = np.exp(1j * np.outer(omega, position)) @ down
    tap = np.arange(blur.shape[0]) - blur.shape[0] // 2
    wave = np.exp(-1j * np.outer(omega, tap))
    gain = np.outer(bicubic, bicubic) * (wave @ blur @ wave.T)
    radius = np.hypot(omega[:, None], omega[None])
    radius[0, 0] = 1
    prior = radius**-3.0
    prior[0, 0] = 2 * (2 * np.pi / size) ** -3.0
    power = np.abs(gain) ** 2 * prior / scale**2
    index = np.arange(size) % grid
    folded = np.zeros((grid, grid))
    np.add.at(folded, (index[:, None], index[None]), power)
    nu = noise * folded.mean()
    quotient = prior * gain.conj() / (folded + nu)[index[:, None], index[None]]
    return np.fft.ifft2(quotient).real


@pytest.mark.parametrize("scale", SCALES)
def test_filters_are_the_closed_form(scale: int) -> None:
    generator = np.random.default_rng(scale)
    blur = oracle.gauss_iso(21, 0.5 * scale) * (0.5 + generator.random((21, 21)))  # asymmetric
    blur /= blur.sum()
    hr = filters_by_loops(scale, blur)
    module = LinearSuperResolver(scale)
    got = module.filters(torch.from_numpy(blur).float()[None, None])[0, :, 0]
    radius = module.taps // 2
    for row in range(scale):
        for column in range(scale):
            offset = [
                np.array([phase - scale * tap for tap in range(-radius, radius + 1)]) % hr.shape[0]
                for phase in (row, column)
            ]
            expected = hr[np.ix_(*offset)]
            expected = expected / expected.sum()
            tolerance = 2e-3 * np.abs(expected).max()
            np.testing.assert_allclose(got[row * scale + column], expected, atol=tolerance)


@pytest.mark.parametrize("taper", [1, 3, 10])
def test_filters_fade_out(taper: int) -> None:
    """By half a cosine; the middle keeps its shape, and each phase its unit gain."""
    kernel = scenes.gaussian(2.0)
    cut = LinearSuperResolver(4, 21).filters(kernel)[0, :, 0]
    faded = LinearSuperResolver(4, 21, taper).filters(kernel)[0, :, 0]
    expected = [
        0.5 - 0.5 * np.cos(np.pi * min(1, (11 - abs(tap - 10)) / (taper + 1))) for tap in range(21)
    ]
    assert expected[taper] == pytest.approx(1)
    assert 0 < expected[0] < expected[taper - 1] + 1e-9 < 1
    ratio = faded / (cut * torch.from_numpy(np.outer(expected, expected)).float())
    torch.testing.assert_close(ratio, ratio[:, 10:11, 10:11].expand_as(ratio), rtol=1e-3, atol=0)
    torch.testing.assert_close(faded.sum((-2, -1)), torch.ones(16))


@pytest.mark.parametrize("scale", SCALES)
def test_it_is_one_transposed_convolution(scale: int) -> None:
    module = LinearSuperResolver(scale)
    filters = module.filters(scenes.gaussian(0.6 * scale))
    lr = random(1, 3, 33, 35)
    got = torch.pixel_shuffle(module(lr, filters), scale)[0].numpy()
    # Output p + s i reads LR i + d with tap[p, d]: HR filter at p - s d.
    reach, radius = scale * (module.taps // 2), module.taps // 2
    hr = np.zeros((2 * reach + scale, 2 * reach + scale))
    for row in range(scale):
        for column in range(scale):
            taps = filters[0, row * scale + column, 0].numpy()[::-1, ::-1]
            hr[row::scale, column::scale] = taps
    for channel in range(3):
        spread = np.zeros((33 * scale, 35 * scale))
        spread[::scale, ::scale] = lr[0, channel].numpy()
        full = fftconvolve(spread, hr, mode="full")[reach:, reach:][: 33 * scale, : 35 * scale]
        inner = slice(radius * scale, -radius * scale)
        np.testing.assert_allclose(got[channel][inner, inner], full[inner, inner], atol=1e-4)


@pytest.mark.parametrize("scale", SCALES)
def test_the_adjoint_gathers_with_the_same_filters_and_folds_the_border(scale: int) -> None:
    module = LinearSuperResolver(scale, taps=9).double()
    filters = random(1, scale**2, 1, 9, 9).double()
    x, y = random(1, 2, 7, 12, seed=1).double(), random(1, 2 * scale**2, 7, 12, seed=2).double()
    forward = module(x, filters)
    padded = np.zeros((2, 7 + 8, 12 + 8))
    for channel in range(2):
        for phase in range(scale**2):
            plane = y[0, channel * scale**2 + phase].numpy()
            padded[channel] += convolve2d(plane, filters[0, phase, 0].numpy(), mode="full")
    rows, columns = (np.clip(np.arange(-4, side + 4), 0, side - 1) for side in (7, 12))
    adjoint = np.zeros((2, 7, 12))
    np.add.at(adjoint, (slice(None), rows[:, None], columns[None]), padded)
    left, right = float((forward * y).sum()), float(np.sum(x[0].numpy() * adjoint))
    assert left == pytest.approx(right, rel=1e-10)


def test_it_is_linear_in_the_image_and_uses_each_image_s_own_filters() -> None:
    module = LinearSuperResolver(2)
    filters = module.filters(torch.cat((scenes.gaussian(0.8), scenes.gaussian(1.6))))
    x, y = random(2, 3, 8, 9, seed=1), random(2, 3, 8, 9, seed=2)
    together = module(2 * x - 3 * y, filters)
    torch.testing.assert_close(
        together, 2 * module(x, filters) - 3 * module(y, filters), atol=1e-3, rtol=1e-4
    )
    for i in range(2):
        torch.testing.assert_close(
            module(x[i : i + 1], filters[i : i + 1])[0], module(x, filters)[i]
        )
    assert (filters[0] - filters[1]).abs().max() > 0.1


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("sigma", [0.3, 0.7])
def test_a_flat_picture_stays_flat(scale: int, sigma: float) -> None:
    module = LinearSuperResolver(scale)
    filters = module.filters(scenes.gaussian(sigma * scale))
    flat = torch.tensor([0.0, 0.3, 1.0]).view(1, 3, 1, 1).expand(1, 3, 5, 8)
    got = torch.pixel_shuffle(module(flat, filters), scale)
    assert got.shape == (1, 3, 5 * scale, 8 * scale)
    torch.testing.assert_close(got, flat[..., :1, :1].expand_as(got), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", SCALES)
def test_nothing_is_shifted_by_a_fraction_of_a_pixel(scale: int) -> None:
    """A mirrored picture gives the mirrored result, and a ramp keeps its place."""
    module = LinearSuperResolver(scale)
    filters = module.filters(scenes.gaussian(0.5 * scale))
    lr = scenes.to_tensor(scenes.natural(20, 24))

    def up(image: Tensor) -> Tensor:
        return torch.pixel_shuffle(module(image, filters), scale)

    for axis in (-1, -2):
        torch.testing.assert_close(up(lr.flip(axis)).flip(axis), up(lr), atol=1e-4, rtol=0)
    torch.testing.assert_close(up(lr.mT).mT, up(lr), atol=1e-4, rtol=0)

    length = 48
    hr = torch.arange(length * scale, dtype=torch.float32)
    ramp = hr.view(length, scale).mean(1)  # an LR pixel lies in the middle of its block
    inner = slice(18 * scale, -18 * scale)
    error = (up(ramp.expand(1, 1, length, length))[0, 0] - hr)[inner, inner]
    assert error.mean().abs() < 1e-3
    assert error.abs().max() < 0.05 * scale  # what cutting the filter off leaves


@pytest.mark.parametrize("scale", SCALES)
def test_a_shift_by_one_lr_pixel_is_one_of_scale_hr_pixels(scale: int) -> None:
    module = LinearSuperResolver(scale)
    filters = module.filters(scenes.gaussian(0.5 * scale))
    lr = scenes.to_tensor(scenes.natural(40, 40))
    at = torch.pixel_shuffle(module(lr, filters), scale)
    moved = torch.pixel_shuffle(module(lr.roll((1, 2), (-2, -1)), filters), scale)
    inner = slice(17 * scale, -17 * scale)
    expected = at.roll((scale, 2 * scale), (-2, -1))
    torch.testing.assert_close(
        moved[..., inner, inner], expected[..., inner, inner], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("scale", SCALES)
def test_it_beats_bicubic_by_far_and_every_wrong_blur(scale: int) -> None:
    hr = scenes.natural(30 * scale, 32 * scale)
    sigma = float(oracle.SIG[scale].mean())
    lr = scenes.degrade(hr, sigma, scale)
    module = LinearSuperResolver(scale)

    def db(assumed: float, noise: float = 1e-5) -> float:
        filters = module.filters(scenes.gaussian(assumed), noise)
        sr = torch.pixel_shuffle(module(scenes.to_tensor(lr), filters), scale)
        return scenes.psnr_y(scenes.to_array(sr), hr, scale)

    true = db(sigma)
    bicubic = scenes.psnr_y(oracle.imresize(lr, scale), hr, scale)
    assert true > bicubic + (1.2 if scale == 4 else 1.5)
    assert true > max(db(0.7 * sigma), db(1.4 * sigma))
    assert true > max(db(sigma, 1e-9), db(sigma, 1e-1))


def test_more_noise_is_answered_by_softer_filters() -> None:
    module = LinearSuperResolver(4)
    kernels = scenes.gaussian(2.0).expand(3, 1, 21, 21)
    noise = torch.tensor([1e-5, 1e-3, 1e-1])
    filters = module.filters(kernels, noise)
    energy = filters.square().sum((1, 2, 3, 4))
    assert energy[0] > 2 * energy[1] > 4 * energy[2]
    torch.testing.assert_close(filters[:1], module.filters(kernels[:1], 1e-5))
    torch.testing.assert_close(filters.sum((-2, -1)), torch.ones(3, 16, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", SCALES)
def test_odd_kernels_give_finite_filters(scale: int) -> None:
    module = LinearSuperResolver(scale)
    impulse = torch.zeros(1, 1, 21, 21)
    impulse[..., 0, 20] = 1
    box = torch.full((1, 1, 31, 31), 31.0**-2)
    negative = 2 * scenes.gaussian(1.0) - scenes.gaussian(3.0)
    for kernel in (impulse, box, negative, torch.zeros(1, 1, 11, 11), 1e6 * random(1, 1, 21, 21)):
        assert module.filters(kernel).isfinite().all()


@pytest.mark.parametrize(
    ("scale", "taps", "taper", "gain_db"),
    [(2, 31, 0, 4.46), (3, 31, 0, 3.63), (4, 31, 0, 3.38), (2, 21, 3, 4.64), (4, 21, 3, 3.43)],
)
def test_on_set5_the_linear_answer_gains_what_was_measured(
    scale: int, taps: int, taper: int, gain_db: float
) -> None:
    """Gaussian8 with the true kernel, over bicubic; x4 is 29.25 dB."""
    module = LinearSuperResolver(scale, taps, taper)
    linear, bicubic = [], []
    for hr in scenes.set5(scale):
        for sigma in oracle.SIG[scale]:
            lr = scenes.degrade(hr, sigma, scale)
            filters = module.filters(scenes.gaussian(float(sigma)))
            sr = torch.pixel_shuffle(module(scenes.to_tensor(lr), filters), scale)
            linear.append(scenes.psnr_y(scenes.to_array(sr), hr, scale))
            bicubic.append(scenes.psnr_y(oracle.imresize(lr, scale), hr, scale))
    assert np.mean(linear) - np.mean(bicubic) == pytest.approx(gain_db, abs=0.1)
    if scale == 4:
        assert np.mean(linear) == pytest.approx(29.25, abs=0.07)


@pytest.mark.parametrize("noise", [False, True])
def test_tiles_with_one_blur_share_filters_and_one_convolution(
    noise: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit what each tile gets for itself."""
    torch.manual_seed(0)
    network = DCLS(ModelConfig.photo(2) if noise else ModelConfig.light(2)).eval()
    lr = torch.rand(5, 3, 20, 24).contiguous(memory_format=torch.channels_last)
    calls = []
    real = torch.nn.functional.conv2d

    def counted(*given: torch.Tensor, **options: int) -> torch.Tensor:
        calls.append(given[0].shape)
        return real(*given, **options)

    with torch.inference_mode():
        blur = network.estimate(lr[:1])
        alone = [network.closed_forms(tile[None], blur) for tile in lr]
        monkeypatch.setattr(torch.nn.functional, "conv2d", counted)
        kernel, linear = network.closed_forms(lr, repeated(blur, 5))
        assert len(calls) == 1
        copied = Blur(*(None if part is None else part.clone() for part in repeated(blur, 5)))
        _, each = network.closed_forms(lr, copied)
        assert len(calls) == 1 + 5
    assert kernel.shape[0] == 5
    assert linear is not None and each is not None
    assert torch.equal(linear, each)
    assert torch.equal(linear, torch.cat([found for _, found in alone if found is not None]))
