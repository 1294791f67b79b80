"""The modules that are exported compute what the network computes, before they are exported."""

import pytest
import torch

from dcls_cli.config import ModelConfig
from dcls_cli.export.modules import EstimatorGraph, FusedGraph, RestorerGraph
from dcls_cli.graphs import estimates_of, pool_margin, pool_width, statistics_of
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.statistics import Source, gather
from tests import scenes

SMALL = {
    "features": 16, "groups": 2, "blocks": 1, "latent": 8, "estimator_features": 16,
    "estimator_blocks": 1,
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
        sides = [side - pool_margin(config) for side in lr.shape[2:]]
        rows, columns = (torch.full((side,), 1 / side) for side in sides)
        before = torch.zeros(1, pool_width(config))
        _, found, *rest = EstimatorGraph(network)(lr, rows, columns, before)
        torch.testing.assert_close(found, blur.kernel, atol=2e-6, rtol=0)
        assert len(rest) == len(estimates_of(config))
        for name, part in zip(estimates_of(config), rest, strict=True):
            torch.testing.assert_close(part, getattr(blur, name), atol=2e-6, rtol=1e-4)
