"""What the paper compares with, against the formulas, and every ablation as a whole network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dcls_cli.backends.pytorch import PyTorchBackend
from dcls_cli.config import ModelConfig
from dcls_cli.errors import WeightsError
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.deconvolution import (
    COMPONENTS,
    ConstrainedLeastSquares,
    FixedSmoothing,
    KernelStretching,
    principal_components,
)
from dcls_cli.network.fourier import constrained_least_squares, unit_sum
from tests import oracle, scenes

TINY = {"features": 16, "groups": 1, "blocks": 1, "latent": 8, "estimator_features": 16}
ABLATIONS: dict[str, dict[str, object]] = {
    "single-layer kernel": {"kernel_filters": (21,)},
    "stretched kernel": {"deconvolution": "stretch"},
    "one path": {"dual_path": False},
    "Wiener": {"deconvolution": "wiener"},
    "CLS": {"deconvolution": "cls"},
    "RGB": {"deconvolution_space": "rgb"},
    "RGB Wiener, one path": {
        "deconvolution_space": "rgb",
        "deconvolution": "wiener",
        "dual_path": False,
    },
    "one path with attention": {"dual_path": False, "attention": True},
    "skip without deblurring": {"skip": "interpolation"},
    "RGB with P of the image": {"deconvolution_space": "rgb", "smoothing": "features"},
}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ablated(name: str) -> DCLS:
    torch.manual_seed(0)
    return DCLS(ModelConfig.light(2, **(TINY | ABLATIONS[name]))).eval()


# ---------- fixed smoothing filters ----------


def spectrum(kernel: np.ndarray, size: int) -> np.ndarray:
    """FFT of a kernel whose centre lies at the origin of a (size, size) grid."""
    grid = np.zeros((size, size))
    grid[: len(kernel), : len(kernel)] = kernel
    return np.fft.fft2(np.roll(grid, (-(len(kernel) // 2),) * 2, (0, 1)))


def test_the_fixed_impulse_makes_the_wiener_filter() -> None:
    """X = conj(K) Y / (|K|^2 + noise / signal), the textbook's."""
    smoothing = FixedSmoothing("wiener")
    smoothing.log_strength.data.fill_(float(np.log(0.03)))
    kernel, y = unit_sum(random(1, 1, 5, 5).abs()).double(), random(1, 3, 16, 16).double()
    clear = constrained_least_squares(y, kernel, smoothing(1).double())
    k = spectrum(kernel[0, 0].numpy(), 16)
    for channel in range(3):
        expected = np.fft.ifft2(
            np.conj(k) * np.fft.fft2(y[0, channel].numpy()) / (np.abs(k) ** 2 + 0.03)
        )
        np.testing.assert_allclose(clear[0, channel].detach().numpy(), expected.real, atol=1e-6)


def circulant(kernel: np.ndarray, size: int) -> np.ndarray:
    """The matrix that convolves a flattened (size, size) image circularly."""
    matrix = np.zeros((size * size, size * size))
    middle = len(kernel) // 2
    for y in range(size):
        for x in range(size):
            for i in range(len(kernel)):
                for j in range(len(kernel)):
                    source = (y - (i - middle)) % size * size + (x - (j - middle)) % size
                    matrix[y * size + x, source] += kernel[i, j]
    return matrix


def test_the_fixed_laplacian_solves_the_normal_equations() -> None:
    """The minimum of |y - K x|^2 + g |L x|^2, with the convolutions as dense matrices."""
    smoothing = FixedSmoothing("cls")
    smoothing.log_strength.data.fill_(float(np.log(0.2)))
    kernel, y = unit_sum(random(1, 1, 3, 3).abs()).double(), random(1, 1, 7, 7).double()
    clear = constrained_least_squares(y, kernel, smoothing(1).double())
    blur = circulant(kernel[0, 0].numpy(), 7)
    laplacian = circulant(np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], float), 7)
    expected = np.linalg.solve(
        blur.T @ blur + 0.2 * laplacian.T @ laplacian, blur.T @ y.numpy().ravel()
    )
    np.testing.assert_allclose(clear.detach().numpy().ravel(), expected, atol=1e-6)


def test_the_strength_of_a_fixed_filter_is_learnt() -> None:
    for kind in ("wiener", "cls"):
        smoothing = FixedSmoothing(kind)
        y, kernel = random(1, 2, 12, 12), unit_sum(random(1, 1, 5, 5, seed=1).abs())
        constrained_least_squares(y, kernel, smoothing(1)).square().sum().backward()
        assert smoothing.log_strength.grad is not None
        assert smoothing.log_strength.grad.abs() > 0


# ---------- stretched kernels ----------


def gaussian_lr_kernel(sigma: float, scale: int) -> np.ndarray:
    network = DCLS(ModelConfig.light(scale, **TINY))
    assert network.reformulated is not None
    return network.reformulated(scenes.gaussian(sigma))[0, 0].numpy()


@pytest.mark.parametrize("scale", [2, 4])
def test_ten_components_describe_the_kernels_of_training(scale: int) -> None:
    mean, components = principal_components(scale, 21)
    assert components.shape == (COMPONENTS, 441)
    directions = components / np.linalg.norm(components, axis=1, keepdims=True)
    np.testing.assert_allclose(directions @ directions.T, np.eye(COMPONENTS), atol=1e-9)
    for sigma in (0.5, 0.3 * scale, 0.8 * scale):
        kernel = gaussian_lr_kernel(sigma, scale).ravel()
        rebuilt = mean + directions.T @ (directions @ (kernel - mean))
        assert np.abs(rebuilt - kernel).sum() < 0.05


def test_a_stretched_kernel_is_the_same_at_every_pixel() -> None:
    torch.manual_seed(0)
    layer = KernelStretching(8, 4, 4, 21)
    kernel = torch.from_numpy(gaussian_lr_kernel(2.0, 4))[None, None]
    reduced = random(1, 4, 5, 6)
    mean, components = principal_components(4, 21)
    code = components @ (kernel.numpy().ravel() - mean)
    weight, bias = layer.expand.weight[:, :, 0, 0].double(), layer.expand.bias
    stacked = torch.cat(
        (reduced[0].double().flatten(1), torch.from_numpy(code)[:, None].expand(-1, 30))
    )
    expected = (weight @ stacked + bias.double()[:, None]).view(1, 8, 5, 6)
    torch.testing.assert_close(layer(reduced, kernel).double(), expected, atol=1e-4, rtol=1e-4)


# ---------- RGB space ----------


def test_rgb_deconvolves_the_image_itself() -> None:
    torch.manual_seed(0)
    network = ablated("RGB Wiener, one path")
    layer = network.restorer.deconvolution
    assert isinstance(layer, ConstrainedLeastSquares)
    seen = []
    layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    lr = scenes.to_tensor(scenes.natural(16, 20))
    with torch.no_grad():
        network(lr)
    assert torch.equal(seen[0], lr)


# ---------- the skip that inverts nothing ----------


def test_the_interpolating_skip_does_not_look_at_the_kernel() -> None:
    network = ablated("skip without deblurring")
    lr = scenes.to_tensor(scenes.natural(20, 24))
    with torch.no_grad():
        blur = network.estimate(lr)
        _, narrow = network.closed_forms(lr, blur._replace(kernel=scenes.gaussian(0.3)))
        _, wide = network.closed_forms(lr, blur._replace(kernel=scenes.gaussian(3.0)))
    assert narrow is not None
    assert wide is not None
    assert torch.equal(narrow, wide)


def test_the_interpolating_skip_restores_what_was_not_blurred() -> None:
    network = ablated("skip without deblurring")
    hr = scenes.natural(64, 72)
    lr = oracle.q8(oracle.imresize(hr, 0.5))
    with torch.no_grad():
        small = scenes.to_tensor(lr)
        _, phases = network.closed_forms(small, network.estimate(small))
    assert phases is not None
    sr = scenes.to_array(torch.pixel_shuffle(phases, 2))
    assert scenes.psnr_y(sr, hr, 2) > scenes.psnr_y(oracle.imresize(lr, 2), hr, 2)


# ---------- the single-layer kernel ----------


def test_a_single_layer_kernel_is_what_one_linear_map_decodes() -> None:
    estimator = ablated("single-layer kernel").estimator
    decoder = estimator.deep_linear_kernel.decoders[0]
    code = random(2, 8)
    taps = decoder(code).view(2, 1, 21, 21)
    expected = taps / taps.sum((-2, -1), keepdim=True)
    torch.testing.assert_close(estimator.deep_linear_kernel(code), expected, atol=1e-5, rtol=1e-4)
    assert len(estimator.deep_linear_kernel.decoders) == 1


# ---------- whole networks ----------


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_restores_any_size(name: str) -> None:
    network = ablated(name)
    for height, width in ((1, 1), (5, 3), (17, 24)):
        with torch.no_grad():
            sr, kernel, _ = network(random(2, 3, height, width).sigmoid())
        assert sr.shape == (2, 3, 2 * height, 2 * width)
        assert sr.isfinite().all()
        torch.testing.assert_close(kernel.sum((-2, -1)), torch.ones(2, 1))


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_weight_of_an_ablation_learns(name: str) -> None:
    network = ablated(name).train()
    sr, kernel, _ = network(random(2, 3, 16, 16).sigmoid())
    (sr.square().sum() + kernel.square().sum()).backward()
    silent = [
        key
        for key, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert silent == []


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_is_written_and_read(name: str, tmp_path: Path) -> None:
    network = ablated(name)
    path = tmp_path / "ablation.safetensors"
    weights.write(network, path, {})
    again = weights.load(path)
    assert again.config == network.config
    lr = random(1, 3, 12, 9).sigmoid()
    with torch.no_grad():
        difference = (again(lr).sr - network(lr).sr).abs().max()
    assert difference < 1e-2  # files are in half precision


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_is_tiled_without_seams(name: str) -> None:
    """Everything after the estimate is local: a part, with its surroundings, is the same."""
    backend = PyTorchBackend(ablated(name), "cpu", "fp32")
    lr = scenes.natural(96, 72).transpose(2, 0, 1).astype(np.float32)
    blur = backend.estimate(lr)
    whole = backend.restore(lr[None], blur)[0]
    part = backend.restore(lr[None, :, :72], blur)[0]
    assert np.abs(whole[:, :64] - part[:, :64]).max() < 2e-3


def test_the_defaults_are_the_paper_s() -> None:
    config = ModelConfig.from_json('{"scale": 4}')
    assert (config.deconvolution, config.deconvolution_space, config.dual_path) == (
        "dcls",
        "features",
        True,
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"deconvolution": "inverse"}, "expected dcls, cls, wiener, stretch"),
        ({"deconvolution_space": "lab"}, "expected features, rgb"),
        ({"dual_path": 1}, "expected true or false"),
        ({"deconvolution": "stretch", "deconvolution_space": "rgb"}, "not with rgb"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, object], text: str) -> None:
    with pytest.raises(WeightsError, match=text):
        ModelConfig.light(4, **changes)
