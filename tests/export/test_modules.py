"""The modules that are exported compute what the network computes, before they are exported."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn

from dcls_cli.backends.graph_estimation import GraphEstimator
from dcls_cli.config import ModelConfig
from dcls_cli.export.modules import (
    EstimatorGraph,
    FusedGraph,
    GatesGraph,
    RestorerGraph,
    SmoothingGraph,
)
from dcls_cli.graphs import Kind, estimates_of, parts_of, statistics_of
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.statistics import Source, gather
from tests import scenes

SMALL = {
    "features": 16, "groups": 2, "blocks": 1, "latent": 8, "estimator_features": 16,
    "estimator_blocks": 1, "kernel_channels": 4,
    # Untrained kernels are nearly flat: without a floor, rounding is what the quotient amplifies.
    "cls_epsilon": 1e-2,
}  # fmt: skip

NETWORKS = [
    ModelConfig.light(2, **SMALL),
    ModelConfig.photo(3, **SMALL),
    ModelConfig.paper(4, **SMALL),
    ModelConfig.paper(2, **SMALL, kernel_norm="softmax", kernel_size=11),
    ModelConfig.paper(2, **SMALL, deconvolution="wiener"),
    ModelConfig.paper(2, **SMALL, deconvolution="cls", deconvolution_space="rgb"),
    ModelConfig.paper(2, **SMALL, deconvolution="stretch", dual_path=False),
    ModelConfig.paper(2, **SMALL, attention=False),
    ModelConfig.paper(2, **SMALL, deconvolution_space="rgb", kernel_space="hr", skip="linear"),
    ModelConfig.light(2, **SMALL, attention=True, skip="interpolation"),
    ModelConfig.photo(4, **SMALL, smoothing="features", attention=True),
]


@pytest.mark.parametrize("fft", ["dft", "matmul"])
@pytest.mark.parametrize("config", NETWORKS)
def test_every_layout(config: ModelConfig, fft: str) -> None:
    torch.manual_seed(0)
    network = DCLS(config).eval()
    photo = scenes.natural(23, 30).transpose(2, 0, 1)
    lr = torch.from_numpy(photo.copy()).float()[None]
    with torch.inference_mode():
        expected = network(lr)
        sr, kernel = FusedGraph(network, fft, half=False)(lr)  # type: ignore[arg-type]
        torch.testing.assert_close(sr, expected.sr, atol=5e-5, rtol=0)
        torch.testing.assert_close(kernel, expected.kernel, atol=2e-6, rtol=0)
        source = Source(lambda rows, columns: lr[..., rows, columns], *lr.shape[2:])
        blur = gather(network, source, tiled=True)
        statistics = [getattr(blur, name) for name in statistics_of(config)]
        restorer = RestorerGraph(network, fft, half=False)  # type: ignore[arg-type]
        restored = restorer(lr, blur.kernel, *statistics)
        torch.testing.assert_close(restored, network.restore(lr, blur), atol=5e-5, rtol=0)
        found, *rest = gathered(network, lr, tiled=False)
        np.testing.assert_allclose(found, blur.kernel[0, 0], atol=2e-6, rtol=0)
        by_code = [part for part in rest if part is not None]
        assert len(by_code) == len(estimates_of(config))
        for name, part in zip(("smoothing", "noise", "gates"), rest, strict=True):
            if part is not None:
                np.testing.assert_allclose(part, getattr(blur, name)[0], atol=2e-6, rtol=1e-4)


class Eager:
    """A graph's module in place of its session, before it is exported."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def run(self, names: list[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        made = self.module(*(torch.from_numpy(part) for part in inputs.values()))
        outputs = [made] if isinstance(made, torch.Tensor) else made
        assert len(outputs) == len(names)
        return [part.numpy() for part in outputs]


def gathered(network: DCLS, lr: torch.Tensor, **options: object) -> tuple[np.ndarray | None, ...]:
    """Kernel, P, noise and gates by the modules, which the engine without PyTorch runs."""
    made: dict[Kind, nn.Module] = {"estimator": EstimatorGraph(network)}
    if "smoothing" in parts_of(network.config):
        made["smoothing"] = SmoothingGraph(network)
    if "gates" in parts_of(network.config):
        made["gates"] = GatesGraph(network, "matmul")
    sessions = {kind: Eager(module) for kind, module in made.items()}
    with torch.inference_mode():
        blur = GraphEstimator(network.config, sessions).estimate(lr[0].numpy(), **options)  # type: ignore[arg-type]
    return blur.kernel, blur.smoothing, blur.noise, blur.gates


@pytest.mark.parametrize("size", [(1, 5), (20, 31)])
@pytest.mark.parametrize("config", NETWORKS)
def test_what_is_global_is_gathered_as_with_pytorch(
    config: ModelConfig, size: tuple[int, int]
) -> None:
    """In several windows, and of images that are smaller than the layers' margins."""
    torch.manual_seed(0)
    network = DCLS(config).eval()
    with torch.no_grad():
        for parameter in network.restorer.parameters():
            parameter.mul_(1.5)  # livelier than at the start, so that nothing is near zero
    lr = scenes.to_tensor(scenes.natural(*size))
    source = Source(lambda rows, columns: lr[..., rows, columns], *size)
    known = scenes.gaussian(1.3, config.kernel_size) if size[0] > 1 else None
    with torch.inference_mode():
        expected = gather(network, source, tiled=True, known=known, window=16)
    given = None if known is None else known[0, 0].numpy()
    found = gathered(network, lr, tiled=True, window=16, known=given)
    for part, other in zip(found, expected, strict=True):
        assert (part is None) == (other is None)
        if part is not None:
            own = other[0].numpy().reshape(part.shape)
            np.testing.assert_allclose(part, own, atol=5e-6, rtol=1e-4)
