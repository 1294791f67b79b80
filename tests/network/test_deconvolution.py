"""The deconvolution block: its smoothing filters, its padding, its precision."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu

from dcls_cli.network.deconvolution import ConstrainedLeastSquares, FeatureSmoothing, high_pass
from dcls_cli.network.fourier import unit_sum
from tests import scenes


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_smoothing_filters_pass_no_flat_signal() -> None:
    logits = random(2, 5, 3, 3)
    filters = high_pass(logits)
    torch.testing.assert_close(filters.sum((-2, -1)), torch.zeros(2, 5), atol=1e-5, rtol=0)
    expected = np.exp(logits.double().numpy())
    expected -= expected.mean((-2, -1), keepdims=True)
    np.testing.assert_allclose(filters.numpy(), expected, atol=1e-5)


def test_any_logits_give_finite_filters_and_gradients() -> None:
    logits = torch.tensor([-1e4, -100.0, 0.0, 9.9, 10.1, 100.0, 1e4, 3e38, -3e38]).view(1, 1, 3, 3)
    logits.requires_grad_()
    filters = high_pass(logits)
    filters.square().sum().backward()
    assert filters.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_feature_smoothing_is_three_convolutions_and_a_pool() -> None:
    module = FeatureSmoothing(4).eval()
    features = random(2, 4, 15, 12)
    x = features
    for layer in (module.conv1, module.conv2, module.conv3):
        x = conv2d(x, layer.weight, layer.bias)
        x = x if layer is module.conv3 else leaky_relu(x, 0.1)
    # 9 x 6 pixels fall into 3 x 3 cells without overlap.
    pooled = x.reshape(2, 4, 3, 3, 3, 2).mean((3, 5))
    expected = conv2d(pooled, module.project.weight, module.project.bias)
    torch.testing.assert_close(module(features), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (6, 40), (7, 7)])
def test_feature_smoothing_takes_any_size(size: tuple[int, int]) -> None:
    assert FeatureSmoothing(4)(random(1, 4, *size)).shape == (1, 4, 3, 3)


@pytest.mark.parametrize("size", [(1, 1), (9, 14)])
def test_the_border_is_replicated_by_the_kernel_size_and_cut_off(size: tuple[int, int]) -> None:
    height, width = size
    module = ConstrainedLeastSquares(8, 3, 1e-2)
    reduced, kernel = random(2, 3, *size), unit_sum(random(2, 1, 11, 11).abs())
    smoothing = high_pass(random(2, 3, 3, 3))
    clear = np.zeros((2, 3, height, width))
    for i in range(2):
        for c in range(3):
            y = np.pad(reduced[i, c].double().numpy(), 11, mode="edge")
            spectra = []
            for taps in (kernel[i, 0], smoothing[i, c]):
                grid = np.zeros(y.shape)
                grid[: taps.shape[0], : taps.shape[1]] = taps.double().numpy()
                radius = taps.shape[0] // 2
                spectra.append(np.fft.fft2(np.roll(grid, (-radius, -radius), (0, 1))))
            k, p = spectra
            x = np.conj(k) * np.fft.fft2(y) / (np.abs(k) ** 2 + np.abs(p) ** 2 + 1e-2)
            clear[i, c] = np.fft.ifft2(x).real[11 : 11 + height, 11 : 11 + width]
    weight = module.expand.weight.detach()[:, :, 0, 0].double().numpy()
    bias = module.expand.bias.detach().double().numpy()  # type: ignore[union-attr]
    expected = np.einsum("oc,bchw->bohw", weight, clear) + bias[:, None, None]
    with torch.no_grad():
        got = module(reduced, kernel, smoothing)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-4)


def test_the_fft_runs_in_fp32_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    rfft2 = torch.fft.rfft2

    def watched(x: Tensor) -> Tensor:
        seen.append(x.dtype)
        return rfft2(x)

    monkeypatch.setattr(torch.fft, "rfft2", watched)
    module = ConstrainedLeastSquares(16, 4, 1e-2)
    reduced, kernel = random(1, 4, 12, 12), unit_sum(random(1, 1, 11, 11).abs())
    smoothing = high_pass(random(1, 4, 3, 3))
    full = module(reduced, kernel, smoothing)
    with torch.autocast("cpu", torch.bfloat16):
        half = module(reduced.bfloat16(), kernel.bfloat16(), smoothing.bfloat16())
    assert seen == [torch.float32, torch.float32]
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), full, atol=0.1, rtol=0.1)


def test_it_sharpens_what_the_kernel_has_blurred() -> None:
    """A bar blurred by a known kernel comes back; a flat field stays flat."""
    module = ConstrainedLeastSquares(1, 1, 1e-4)
    for layer in (module.reduce, module.expand):
        torch.nn.init.ones_(layer.weight)
        torch.nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    kernel = scenes.gaussian(1.0, 11)
    bar = ((torch.arange(24) - 11.5).abs() < 4).float().expand(1, 1, 24, 24)
    blurred = conv2d(torch.nn.functional.pad(bar, (5,) * 4, mode="replicate"), kernel)
    no_smoothing = torch.zeros(1, 1, 3, 3)
    with torch.no_grad():
        restored = module(blurred, kernel, no_smoothing)
        flat = module(torch.full_like(bar, 0.7), kernel, no_smoothing)
    error, before = ((x - bar).abs().mean() for x in (restored, blurred))
    assert error < before / 2
    torch.testing.assert_close(flat, torch.full_like(flat, 0.7), atol=1e-3, rtol=0)
