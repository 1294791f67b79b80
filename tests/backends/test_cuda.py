"""The same engine on a GPU; skipped where there is none."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from dcls_cli.backends.pytorch import PyTorchBackend
from dcls_cli.config import ModelConfig
from dcls_cli.image import Photo
from dcls_cli.image.photo import collect
from dcls_cli.metrics import psnr
from dcls_cli.network.dcls import DCLS
from dcls_cli.speed.comparison import compare
from dcls_cli.speed.pytorch import measure_tiles
from dcls_cli.upscaling import upscale

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

CONFIG = ModelConfig.light(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
)


def engine(device: str, precision: str) -> PyTorchBackend:
    torch.manual_seed(0)
    return PyTorchBackend(DCLS(CONFIG), device, precision)


@pytest.mark.parametrize(("precision", "db"), [("fp32", 80.0), ("fp16", 55.0), ("bf16", 50.0)])
def test_a_gpu_restores_what_a_cpu_does(precision: str, db: float) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (150, 170, 4), np.uint8)
    photo = Photo.from_samples(samples, 255, 8)
    floats = np.dtype(np.float32)
    expected = collect(upscale(photo, engine("cpu", "fp32"), tile=64), floats)
    got = collect(upscale(photo, engine("cuda", precision), tile=64), floats)
    assert psnr(got, expected, peak=1.0) > db


def test_lanes_do_not_disturb_each_other() -> None:
    backend = engine("cuda", "fp32")
    assert backend.lanes > 1
    assert backend.memory().free_bytes > 0
    images = np.random.default_rng(0).random((16, 1, 3, 64, 64), np.float32)
    blur = backend.estimate(images[0, 0])
    alone = [backend.restore(image, blur) for image in images]
    with ThreadPoolExecutor(backend.lanes) as pool:
        together = list(pool.map(lambda image: backend.restore(image, blur), images))
    for got, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_gpu_is_compared_with_itself() -> None:
    found = compare(CONFIG, torch.float32, 64, torch.device("cuda"), 0.1)
    assert found.ratio > 0
    assert 0 < found.share < 2
    assert found.matrix_gmac_per_s > found.gmac_per_s


def test_cuda_graphs_are_compared_with_single_launches() -> None:
    found = measure_tiles(CONFIG, "bf16", 64, torch.device("cuda"), 0.1)
    assert found.batch == 128
    assert found.captured_ratio is not None
    assert found.captured_ratio > 0.8


def test_tiles_are_restored_by_a_cuda_graph_in_batches() -> None:
    """Recorded launches give the pixels of single ones, without any note."""
    samples = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    photo = Photo.from_samples(samples, 255, 8)
    floats = np.dtype(np.float32)
    backend = engine("cuda", "fp32")
    said: list[str] = []
    upscaled = upscale(photo, backend, tile=128, warn=said.append)
    assert upscaled.batch > 1
    collect(upscaled, floats)
    got = collect(upscaled, floats)  # the second time the batches' shape is known
    assert said == []
    assert backend._captured is not None
    assert backend._captured._recorded is not None
    backend._run = backend._network.restore
    np.testing.assert_allclose(got, collect(upscaled, floats), atol=1e-5)


def test_what_overflows_in_fp16_is_redone_in_fp32() -> None:
    torch.manual_seed(0)
    network = DCLS(CONFIG)
    with torch.no_grad():
        network.restorer.fusion.weight *= 1e6
        network.restorer.upsampler[0].weight /= 1e6
    images = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    half = PyTorchBackend(network, "cuda", "fp16")
    blur = half.estimate(images[0])
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(half._restored(images, blur, half._in_half, "fp16")).all()
    expected = PyTorchBackend(network, "cuda", "fp32").restore(images, blur)
    np.testing.assert_allclose(half.restore(images, blur), expected, atol=1e-4)
