"""The plain implementation is the same mathematics, and the counted work is the real one."""

import pytest
import torch

from dcls_cli.backends.devices import has_bf16
from dcls_cli.config import ModelConfig
from dcls_cli.network.fourier import constrained_least_squares
from dcls_cli.speed.comparison import compare, plain_least_squares


def test_plainly_gives_the_same_picture() -> None:
    torch.manual_seed(0)
    blurred = torch.rand(2, 3, 30, 41)
    kernel = torch.rand(2, 1, 7, 7)
    kernel /= kernel.sum((-2, -1), keepdim=True)
    smoothing = torch.randn(2, 3, 3, 3)
    got = plain_least_squares(blurred, kernel, smoothing, 1e-2)
    expected = constrained_least_squares(blurred, kernel, smoothing, 1e-2)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


#: Elsewhere it takes minutes.
NEEDS_BF16 = pytest.mark.skipif(
    not has_bf16(torch.device("cpu")), reason="this processor has no bf16"
)


@pytest.mark.parametrize(
    "precision", [torch.float32, pytest.param(torch.bfloat16, marks=NEEDS_BF16)]
)
def test_the_work_is_that_of_the_layers(precision: torch.dtype) -> None:
    """Every layer of a network without attention that convolves does it once for each pixel."""
    config = ModelConfig.light(
        2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    found = compare(config, precision, 24, torch.device("cpu"), 0.01)
    from dcls_cli.network.dcls import DCLS

    layers = [part for part in DCLS(config).modules() if isinstance(part, torch.nn.Conv2d)]
    macs = sum(layer.weight.numel() for layer in layers)
    done = found.gmac_per_s * 1e9 * found.us_per_px * 1e-6
    assert abs(done / macs - 1) < 1e-6
    assert found.ratio > 0
    assert 0 < found.share < 2
    assert found.matrix_gmac_per_s > 0
