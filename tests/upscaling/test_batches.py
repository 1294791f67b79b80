"""Tiles that go through the network together give what they give one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.backends import Blur, Memory
from dcls_cli.backends.devices import has_bf16
from dcls_cli.backends.pytorch import BATCH_PX, PyTorchBackend
from dcls_cli.config import ModelConfig
from dcls_cli.image import Photo
from dcls_cli.image.photo import collect
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.upscaling import upscale
from dcls_cli.upscaling.sizes import choose_batch

ROOT = Path(__file__).resolve().parents[2]
FLOATS = np.dtype(np.float32)
#: Elsewhere it takes minutes.
NEEDS_BF16 = pytest.mark.skipif(
    not has_bf16(torch.device("cpu")), reason="this processor has no bf16"
)
TINY = {"features": 16, "groups": 1, "blocks": 1, "latent": 8, "estimator_features": 16}
LIGHT = ModelConfig.light(2, **TINY, estimator_blocks=1)
PAPER = ModelConfig.paper(2, **TINY, kernel_size=11, kernel_channels=4)


class Batching(PyTorchBackend):
    """The real engine with batches of a chosen size, and a record of them."""

    pixels = 0

    @property
    def batch_px(self) -> int:
        return self.pixels

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        self.shapes.append(lr.shape)
        return super().restore(lr, blur)


def engine(network: DCLS, precision: str, tiles: int, side: int = 64) -> Batching:
    backend = Batching(network, "cpu", precision)
    backend.pixels, backend.shapes = tiles * side**2, []
    return backend


def photo(*, alpha: bool = False) -> Photo:
    picture = Image.open(ROOT / "examples/dog.png").convert("RGBA" if alpha else "RGB")
    samples = np.tile(np.asarray(picture), (2, 2, 1))[:200, :170].copy()
    if alpha:
        samples[..., 3] = np.arange(170) % 97 * 2
    return Photo.from_samples(samples, 255, 8)


@pytest.mark.parametrize("config", [LIGHT, PAPER], ids=["light", "paper"])
@pytest.mark.parametrize("alpha", [False, True])
def test_batches_are_their_tiles(config: ModelConfig, alpha: bool) -> None:
    torch.manual_seed(0)
    network = DCLS(config)
    steps: list[tuple[int, int]] = []
    alone, together = engine(network, "fp32", 0), engine(network, "fp32", 8)
    one_by_one = upscale(photo(alpha=alpha), alone, tile=64)
    upscaled = upscale(
        photo(alpha=alpha), together, tile=64, progress=lambda *step: steps.append(step)
    )
    alone.shapes.clear()  # those of the sample that showed how far the estimate is to be believed
    together.shapes.clear()
    expected = collect(one_by_one, FLOATS)
    got = collect(upscaled, FLOATS)
    np.testing.assert_allclose(got, expected, atol=2e-6)
    count = len(upscaled.tiles)
    assert count == 30
    planes = 1 + alpha
    assert alone.shapes == [(1, 3, 64, 64)] * count * planes
    # 30 in batches of at most 8 are 8 + 8 + 8 + 6.
    assert together.shapes == [(batch, 3, 64, 64) for batch in (8, 8, 8, 6) for _ in range(planes)]
    assert steps == [(done, count) for done in range(count + 1)]


@pytest.mark.parametrize(
    "precision", ["fp32", pytest.param("bf16", marks=[NEEDS_BF16, pytest.mark.slow])]
)
def test_the_shipped_network_in_the_batches_that_are_chosen(precision: str) -> None:
    network = weights.load(ROOT / "weights/dcls-light-x4.safetensors")
    alone = engine(network, precision, 0)
    expected = collect(upscale(photo(), alone, tile=64), FLOATS)
    chosen = upscale(photo(), PyTorchBackend(network, "cpu", precision), tile=64)
    assert chosen.batch == 15
    error = collect(chosen, FLOATS) - expected
    assert -10 * np.log10(np.mean(error**2) + 1e-20) > (100 if precision == "fp32" else 65)


def test_tiles_with_blurs_of_their_own_go_alone() -> None:
    torch.manual_seed(0)
    network = weights.load(ROOT / "weights/dcls-light-x4.safetensors")
    backend = engine(network, "fp32", 8)
    upscaled = upscale(photo(), backend, tile=64, kernel_mode="tile")
    assert upscaled.kernel_confidence == 1
    backend.shapes.clear()
    collect(upscaled, FLOATS)
    assert backend.shapes == [(1, 3, 64, 64)] * 30


def test_batches_are_as_large_as_gain_and_memory_allow() -> None:
    def chosen(tiles: int, free: int = 2**34, planes: int = 1) -> int:
        return choose_batch(
            tiles, 64 * 64, Memory(free, 2500), planes=planes, lanes=1, batch_px=BATCH_PX["cpu"]
        )

    assert chosen(1) == 1
    assert chosen(16) == 16
    assert chosen(17) == 9  # 9 and 8
    assert chosen(1000) == 16
    assert chosen(1000, free=2 * 2500 * 64 * 64 * 5) == 5
    assert chosen(1000, free=2 * 2500 * 64 * 64 * 5, planes=2) == 2
    assert chosen(1000, free=0) == 1
