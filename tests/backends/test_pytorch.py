"""The PyTorch engine says what the network says, in every precision, or says why it cannot."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from dcls_cli.backends import Blur
from dcls_cli.backends.devices import free_device_bytes, require_memory, translated_memory_errors
from dcls_cli.backends.loading import load_backend
from dcls_cli.backends.pytorch import PyTorchBackend
from dcls_cli.config import ModelConfig
from dcls_cli.errors import BackendError, DclsError, OutOfMemoryError, WeightsError
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS

LIGHT = ModelConfig.light(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
)
PAPER = ModelConfig.paper(
    3,
    features=16,
    groups=1,
    blocks=1,
    latent=8,
    kernel_size=11,
    kernel_channels=4,
    kernel_filters=(),
)


SHIPPED = sorted((Path(__file__).resolve().parents[2] / "weights").glob("*.safetensors"))
assert len(SHIPPED) >= 4


def network(config: ModelConfig) -> DCLS:
    torch.manual_seed(0)
    return DCLS(config).eval()


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((3, height, width), np.float32)


def psnr_db(got: np.ndarray, expected: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((got - expected) ** 2)))


@pytest.mark.parametrize("config", [LIGHT, PAPER], ids=["light", "paper"])
@pytest.mark.parametrize("size", [(1, 1), (1, 17), (20, 13)])
def test_fp32_is_the_networks_forward_pass(config: ModelConfig, size: tuple[int, int]) -> None:
    reference = network(config)
    lr = picture(*size)
    with torch.no_grad():
        expected = reference(torch.from_numpy(lr)[None])
    backend = PyTorchBackend(network(config), "cpu", "fp32")
    blur = backend.estimate(lr)
    restored = backend.restore(lr[None], blur)
    assert restored.dtype == blur.kernel.dtype == np.float32
    assert restored.shape == (1, 3, size[0] * config.scale, size[1] * config.scale)
    np.testing.assert_allclose(blur.kernel, expected.kernel[0, 0], atol=1e-6)
    np.testing.assert_allclose(restored[0], expected.sr[0], atol=2e-5)


class Bytes:
    """A raster that keeps 8 bits and remembers the largest window that was read."""

    def __init__(self, photo: np.ndarray) -> None:
        self.photo = photo
        self.largest = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width = self.photo.shape[:2]
        return 3, height, width

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        """Rows and columns of the picture as floats."""
        window = self.photo[index[1:]].transpose(2, 0, 1)[index[0]]
        self.largest = max(self.largest, window.shape[1] * window.shape[2])
        return window.astype(np.float32) / 255


def example() -> np.ndarray:
    """A real photo, (H, W, 3) uint8."""
    path = Path(__file__).resolve().parents[2] / "examples" / "dog-original.png"
    return np.asarray(PillowImage.open(path).convert("RGB"))


@pytest.fixture(scope="module")
def light() -> DCLS:
    """The shipped weights."""
    return weights.load(Path(__file__).resolve().parents[2] / "weights/dcls-light-x4.safetensors")


def test_a_large_photo_is_estimated_in_windows_as_in_one_piece(light: DCLS) -> None:
    photo = np.tile(example(), (3, 3, 1))[:700, :1100]
    raster = Bytes(photo)
    blur = PyTorchBackend(light, "cpu", "fp32").estimate(raster)
    assert raster.largest < 0.5 * photo.shape[0] * photo.shape[1]
    with torch.no_grad():
        whole = torch.from_numpy(raster[:, 0:700, 0:1100])[None]
        expected = light.estimate(whole.contiguous(memory_format=torch.channels_last))
    assert expected.smoothing is not None
    np.testing.assert_allclose(blur.kernel, expected.kernel[0, 0], atol=1e-6)
    np.testing.assert_allclose(blur.smoothing, expected.smoothing[0], atol=1e-6, rtol=1e-5)


def test_frozen_gates_are_what_tiles_are_restored_with() -> None:
    backend = PyTorchBackend(network(PAPER), "cpu", "fp32")
    lr = picture(30, 40)
    whole, tiled = backend.estimate(lr, tiled=False), backend.estimate(lr)
    assert whole.gates is None
    assert whole.smoothing is None
    assert tiled.gates is not None
    assert tiled.gates.shape == (1, 1, 20)
    assert tiled.gates.dtype == tiled.smoothing.dtype == np.float32
    expected = backend.restore(lr[None], whole)
    np.testing.assert_allclose(backend.restore(lr[None], tiled), expected, atol=1e-5)
    half = PyTorchBackend(network(PAPER), "cpu", "bf16").restore(lr[None], tiled)
    assert psnr_db(half, expected) > 50
    shut = replace(tiled, gates=np.zeros_like(tiled.gates))
    assert np.abs(backend.restore(lr[None], shut) - expected).max() > 1e-3


@pytest.mark.parametrize("config", [LIGHT, PAPER], ids=["light", "paper"])
@pytest.mark.parametrize("tiled", [True, False])
def test_a_known_kernel_replaces_the_estimated_one_and_nothing_else(
    config: ModelConfig, tiled: bool
) -> None:
    """Also in what follows from it: P and the gates, which `tiled` gathers beforehand."""
    reference = network(config)
    lr = picture(20, 13)
    known = np.zeros((config.kernel_size,) * 2, np.float32)
    middle = config.kernel_size // 2
    known[middle, middle : middle + 2] = 0.75, 0.25
    with torch.no_grad():
        estimated = reference.estimate(torch.from_numpy(lr)[None])
        blur = estimated._replace(kernel=torch.from_numpy(known)[None, None])
        expected = reference.restore(torch.from_numpy(lr)[None], blur)
        blind = reference.restore(torch.from_numpy(lr)[None], estimated)
    backend = PyTorchBackend(network(config), "cpu", "fp32")
    got = backend.estimate(lr, tiled=tiled, kernel=known)
    np.testing.assert_array_equal(got.kernel, known)
    np.testing.assert_allclose(backend.restore(lr[None], got)[0], expected[0], atol=2e-5)
    assert (expected - blind).abs().max() > 1e-3


def test_bf16_stays_near_fp32_and_estimates_in_fp32() -> None:
    lr = picture(24, 24)
    exact = PyTorchBackend(network(LIGHT), "cpu", "fp32")
    half = PyTorchBackend(network(LIGHT), "cpu", "bf16")
    blur = exact.estimate(lr)
    np.testing.assert_array_equal(half.estimate(lr).kernel, blur.kernel)
    restored = half.restore(lr[None], blur)
    expected = exact.restore(lr[None], blur)
    assert (restored != expected).any()
    assert psnr_db(restored, expected) > 55


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_bf16_shows_no_difference_on_a_photo(path: Path) -> None:
    shipped = weights.load(path)
    lr = np.ascontiguousarray(example().transpose(2, 0, 1), np.float32)[:, 150:310, 200:360] / 255
    exact, half = (PyTorchBackend(shipped, "cpu", precision) for precision in ("fp32", "bf16"))
    blur = exact.estimate(lr)
    got, expected = (backend.restore(lr[None], blur).clip(0, 1) for backend in (half, exact))
    assert (got != expected).any()
    assert psnr_db(got, expected) > 60


def test_a_batch_is_its_images() -> None:
    backend = PyTorchBackend(network(LIGHT), "cpu", "fp32")
    images = np.stack([picture(9, 11, seed) for seed in range(3)])
    blur = backend.estimate(images[0])
    together = backend.restore(images, blur)
    for image, restored in zip(images, together, strict=True):
        np.testing.assert_allclose(backend.restore(image[None], blur)[0], restored, atol=1e-5)


def test_half_precision_that_overflows_is_redone_in_fp32() -> None:
    # Features of 1e6 fit fp32 and bf16 but not fp16, which the CPU computes though never by choice.
    backend = PyTorchBackend(network(LIGHT), "cpu", "fp32")
    lr = picture(8, 8)
    blur = backend.estimate(lr)
    expected = backend.restore(lr[None], blur)
    overflowing = network(LIGHT)
    with torch.no_grad():
        overflowing.restorer.fusion.weight *= 1e6
        overflowing.restorer.upsampler[0].weight /= 1e6
    exact = PyTorchBackend(overflowing, "cpu", "fp32")
    np.testing.assert_allclose(exact.restore(lr[None], blur), expected, atol=0.05)
    half = PyTorchBackend(overflowing, "cpu", "bf16")
    half._precision = "fp16"
    assert not np.isfinite(half._restored(lr[None], blur, half._in_half, "fp16")).all()
    redone = half.restore(lr[None], blur)
    np.testing.assert_array_equal(redone, exact.restore(lr[None], blur))


def test_results_that_are_never_finite_are_an_error() -> None:
    broken = network(LIGHT)
    with torch.no_grad():
        broken.restorer.fusion.weight.fill_(float("inf"))
    backend = PyTorchBackend(broken, "cpu", "bf16")
    lr = picture(8, 8)
    blur = backend.estimate(lr)
    with pytest.raises(DclsError, match="non-finite"):
        backend.restore(lr[None], blur)


def test_an_estimate_that_is_not_finite_is_an_error() -> None:
    broken = network(LIGHT)
    with torch.no_grad():
        for parameter in broken.estimator.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(DclsError, match="blur is not finite"):
        PyTorchBackend(broken, "cpu", "fp32").estimate(picture(8, 8))


@pytest.mark.parametrize(
    ("device", "precision", "said"),
    [
        ("cpu", "fp16", "fp16 is not usable on the CPU"),
        ("cpu", "fp8", "unknown precision"),
        ("toaster", "auto", "unknown device"),
        ("meta", "auto", "not supported"),
    ],
)
def test_what_is_unusable_is_refused_before_weights_are_read(
    device: str, precision: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BackendError, match=said):
        load_backend(tmp_path / "missing.safetensors", device, precision)


def test_load_backend_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    weights.write(network(LIGHT), path)
    backend = load_backend(path, "cpu", "fp32")
    assert (backend.config, backend.device, backend.precision) == (LIGHT, "cpu", "fp32")
    lr = picture(6, 7)
    direct = PyTorchBackend(network(LIGHT), "cpu", "fp32")
    np.testing.assert_array_equal(
        backend.restore(lr[None], backend.estimate(lr)),
        direct.restore(lr[None], direct.estimate(lr)),
    )
    with pytest.raises(WeightsError, match="no such"):
        load_backend(tmp_path / "none.safetensors", "cpu", "fp32")


def test_memory_that_runs_out_is_our_error_and_other_errors_stay() -> None:
    with pytest.raises(OutOfMemoryError, match="7x5"), translated_memory_errors((3, 5, 7)):
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(OutOfMemoryError), translated_memory_errors((3, 5, 7)):
        np.empty(2**60, np.uint8)
    with pytest.raises(RuntimeError, match="mat1"), translated_memory_errors((3, 5, 7)):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_work_for_which_there_is_no_memory_is_refused_before_it_starts() -> None:
    cpu = torch.device("cpu")
    free = free_device_bytes(cpu)
    require_memory((2, 3, 100, 50), int(0.5 * free) // 10_000, cpu)
    with pytest.raises(OutOfMemoryError, match="50x100"):
        require_memory((2, 3, 100, 50), int(1.5 * free) // 10_000, cpu)
    with pytest.raises(OutOfMemoryError):
        PyTorchBackend(network(LIGHT), "cpu", "fp32").restore(
            np.broadcast_to(np.float32(0), (10**9, 3, 100, 100)), Blur(np.ones((21, 21)) / 441)
        )
