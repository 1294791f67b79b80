"""The same engine on a GPU; skipped where there is none."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import pytest
import torch

from dcls_cli import example
from dcls_cli.backends import sessions
from dcls_cli.backends.gpu import EAGER_RUNS, Captured, CudaGraph, Transfers
from dcls_cli.backends.loading import load_backend
from dcls_cli.backends.pytorch import PyTorchBackend
from dcls_cli.config import ModelConfig
from dcls_cli.image import Photo
from dcls_cli.image.photo import collect
from dcls_cli.jobs.engines import Engine, InTurns, Place
from dcls_cli.metrics import psnr
from dcls_cli.models.releases import location, release
from dcls_cli.network.dcls import DCLS, Blur
from dcls_cli.network.reformulation import ReformulatedKernel
from dcls_cli.speed.comparison import compare
from dcls_cli.speed.pytorch import measure_tiles
from dcls_cli.training.batches import PatchSampler
from dcls_cli.training.images import ImageStore
from dcls_cli.training.optimization import Objective
from dcls_cli.training.presets import PRESETS
from dcls_cli.training.state import TrainState
from dcls_cli.upscaling import upscale

pytestmark = pytest.mark.gpu

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
    for _ in range(EAGER_RUNS):  # until the batches' shape is known
        collect(upscaled, floats)
    got = collect(upscaled, floats)
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


def test_restoring_waits_for_nothing_but_its_own_copy() -> None:
    backend = engine("cuda", "bf16")
    images = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    blur = backend.estimate(images[0])
    for _ in range(EAGER_RUNS + 2):
        backend.restore(images, blur)
    torch.cuda.set_sync_debug_mode("error")  # the event that the download waits for is not counted
    try:
        backend.restore(images, blur)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_fp32_gives_what_a_cpu_gives_whatever_the_caller_allows() -> None:
    """With TF32 it would be about 61 dB."""
    images = np.random.default_rng(0).random((1, 3, 96, 96), np.float32)
    expected = engine("cpu", "fp32")
    blur = expected.estimate(images[0])
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        backend = engine("cuda", "fp32")
        found = backend.estimate(images[0])
        got = backend.restore(images, blur)
    finally:
        torch.set_float32_matmul_precision(before)
    assert np.abs(found.kernel - blur.kernel).sum() < 1e-5
    assert psnr(got, expected.restore(images, blur), peak=1.0) > 100


def test_onnx_runtime_gives_what_it_gives_on_a_cpu() -> None:
    if sessions.PROVIDERS["cuda"] not in sessions.available_providers():
        pytest.skip("no onnxruntime-gpu")
    weights = location(release("dcls-light-x4"))
    lr = example.pixels(128, 128)
    cpu, cuda = (load_backend(weights, device, "fp32", "onnx") for device in ("cpu", "cuda"))
    blur = cpu.estimate(lr)
    expected, got = (each.restore(lr[None], blur)[0] for each in (cpu, cuda))
    assert psnr(got, expected, peak=1.0) > 90


def test_a_failed_recording_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory of copies is used again, and the allocator gives back what it keeps."""
    monkeypatch.setattr(CudaGraph, "_failed", False)
    network = DCLS(CONFIG).eval().cuda()

    def run(lr: torch.Tensor, blur: Blur) -> torch.Tensor:
        if torch.cuda.is_current_stream_capturing():
            float(lr.sum())  # is not permitted
        return network.restore(lr, blur)

    captured, copies = Captured(run, CudaGraph), Transfers(torch.device("cuda"))
    with torch.inference_mode():
        lr = torch.rand(1, 3, 64, 64, device="cuda")
        blur = network.estimate(lr)
        stream = torch.cuda.current_stream()
        for _ in range(EAGER_RUNS + 1):
            captured(lr, blur)
        assert captured.take_notes()
        assert torch.cuda.current_stream() == stream
        torch.cuda.synchronize()
        big = np.random.default_rng(0).random((1, 3, 1024, 1024), np.float32)
        used = []
        for _ in range(8):
            copies.download(copies.upload(big) * 2)
            torch.cuda.synchronize()
            torch.empty(1, device="cuda")  # lets the allocator look at its events
            used.append(torch.cuda.memory_stats()["reserved_bytes.all.current"])
        assert used[-1] == used[1]
        torch.cuda.empty_cache()  # on some versions an internal assertion of PyTorch


def test_two_engines_in_two_threads_record_at_once() -> None:
    last = "cuda:1" if torch.cuda.device_count() > 1 else "cuda:0"
    engines = [engine(device, "bf16") for device in ("cuda:0", last)]
    start = threading.Barrier(2)

    def work(backend: PyTorchBackend) -> list[str]:
        for side in range(32, 64, 8):  # several recordings
            images = np.ones((1, 3, side, side), np.float32)
            blur = backend.estimate(images[0])
            start.wait(60)
            for _ in range(EAGER_RUNS + 2):
                backend.restore(images, blur)
        return backend.take_notes()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, engines)) == [[], []]


def test_two_photos_of_a_batch_take_less_than_twice_the_time_of_one() -> None:
    """Copies of one overlap with the computation of the other."""
    torch.manual_seed(0)
    backend = PyTorchBackend(DCLS(ModelConfig.light(4)), "cuda", "bf16")
    images = np.random.default_rng(0).random((6, 3, 278, 278), np.float32)
    blur = backend.estimate(images[0])
    for _ in range(EAGER_RUNS + 2):
        backend.restore(images, blur)
    started = time.perf_counter()
    for _ in range(8):
        backend.restore(images, blur)
    alone = time.perf_counter() - started
    shared = Engine("cuda", threading.Event())

    def work(order: int) -> None:
        mine = InTurns(backend, Place(shared, order))
        for _ in range(4):
            mine.restore(images, blur)

    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert time.perf_counter() - started < 0.8 * alone


@pytest.mark.parametrize("preset", ["light", "photo"])
def test_a_training_step_waits_for_nothing(preset: Literal["light", "photo"]) -> None:
    model, config = PRESETS[preset].network(4), PRESETS[preset].training(4, batch=4, patch=24)
    device = torch.device("cuda")
    pixels = torch.randint(0, 256, (512 * 512, 3), dtype=torch.uint8).to(device)
    store = ImageStore(pixels, torch.zeros(1, dtype=torch.int64), torch.tensor([[512, 512]]), 1)
    sampler = PatchSampler(store, config, 4, model.kernel_size, images=False)
    reformulated = ReformulatedKernel(4, model.kernel_size, model.kernel_size).to(device)
    network = DCLS(model).to(device)
    state = TrainState(network, Objective(config, model.kernel_space, reformulated), config)
    for _ in range(3):
        state.train_step(sampler.batch(state.step, 0), 0.0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        state.train_step(sampler.batch(state.step, 0), 0.0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
