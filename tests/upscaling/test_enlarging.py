"""A photo is restored with one blur, whole or in tiles, whatever its shape."""

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli import example
from dcls_cli.backends import Blur, Memory
from dcls_cli.backends.pytorch import PyTorchBackend
from dcls_cli.config import ModelConfig
from dcls_cli.image import Photo, from_array, from_pil
from dcls_cli.image.photo import collect
from dcls_cli.kernels import kernel_width_px
from dcls_cli.models import weights
from dcls_cli.models.releases import location, release
from dcls_cli.network.dcls import DCLS
from dcls_cli.upscaling import Upscaled, find_blur, upscale
from dcls_cli.upscaling.finishing import finish_mask, keep_brightness

CONFIG = ModelConfig.light(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
)

#: The picture without blur that a narrow blur is estimated from.
REFERENCE = (3, 96, 96)

BYTES = np.dtype(np.uint8)


@pytest.fixture(scope="module")
def backend() -> PyTorchBackend:
    torch.manual_seed(0)
    return PyTorchBackend(DCLS(CONFIG), "cpu", "fp32")


class Recorder:
    """The real engine, with a record of what it was asked for."""

    def __init__(self, backend: PyTorchBackend) -> None:
        self.config, self.device, self.precision = backend.config, "cpu", "fp32"
        self.lanes, self.memory = backend.lanes, backend.memory
        self.take_notes = backend.take_notes
        self.batch_px = 0
        self.backend = backend
        self.estimated: list[tuple[int, ...]] = []
        self.restored: list[tuple[int, ...]] = []
        self.kernels: list[np.ndarray] = []

    def estimate(self, lr: np.ndarray, **options: object) -> Blur:
        self.estimated.append(lr.shape)
        return self.backend.estimate(lr, **options)

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        self.restored.append(lr.shape)
        self.kernels.append(blur.kernel)
        return self.backend.restore(lr, blur)


def photo(height: int, width: int, *, alpha: bool = False) -> Photo:
    rng = np.random.default_rng(0)
    coarse = rng.random((height // 8 + 2, width // 8 + 2, 4), np.float32)
    smooth = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return Photo.from_samples(smooth[..., : 4 if alpha else 3], 1, 8, icc=b"profile")


def floats(result: Upscaled) -> np.ndarray:
    """All of the result, (H, W, C) in [0, 1]."""
    return collect(result, np.dtype(np.float32))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 7), (30, 41)])
def test_every_shape_becomes_scale_times_itself(
    backend: PyTorchBackend, size: tuple[int, int]
) -> None:
    source = photo(*size)
    result = upscale(source, backend)
    pixels = floats(result)
    assert pixels.shape == (2 * size[0], 2 * size[1], 3)
    assert (result.height, result.width, result.channels) == pixels.shape
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert result.carried.icc == b"profile"
    assert result.kernel.shape == (21, 21)
    assert result.kernel_space == "hr"
    assert result.kernel_width_px == kernel_width_px(result.kernel)


def test_one_piece_is_the_networks_output_clamped() -> None:
    """Of a photo whose blur is seen; near its border its brightness is corrected."""
    network = weights.load(location(release("dcls-light-x4"))).eval()
    source = from_pil(Image.open(example.location()).convert("RGB").crop((40, 40, 100, 90)))
    lr = torch.from_numpy(source.pixels).permute(2, 0, 1)[None]
    with torch.no_grad():
        restored = network(lr).sr.numpy()
    kept = keep_brightness(lr.numpy(), restored)
    assert np.abs(kept.clip(0, 1) - restored.clip(0, 1)).max() < 5 / 255
    expected = kept[0].clip(0, 1).transpose(1, 2, 0)
    result = upscale(source, PyTorchBackend(network, "cpu", "fp32"))
    assert result.kernel_confidence == 1
    np.testing.assert_allclose(floats(result), expected, atol=2e-5)


def test_tiles_share_the_kernel_of_the_whole_photo_and_agree_with_one_piece(
    backend: PyTorchBackend,
) -> None:
    source = photo(80, 100)
    recorder = Recorder(backend)
    steps: list[tuple[int, int]] = []
    tiled = upscale(source, recorder, tile=64, progress=lambda *step: steps.append(step))
    assert recorder.estimated[0] == (3, 80, 100)
    assert set(recorder.estimated[1:]) <= {REFERENCE}
    recorder.restored.clear()  # the sample that showed how far the estimate is to be believed
    recorder.kernels.clear()
    pixels = floats(tiled)
    assert recorder.restored == [(1, 3, 64, 64)] * 6
    assert all(np.array_equal(kernel, tiled.kernel) for kernel in recorder.kernels)
    assert steps == [(done, 6) for done in range(7)]
    assert len(tiled.tiles) == 6
    error = np.abs(pixels - floats(upscale(source, backend, tile=0)))
    assert -10 * np.log10(np.mean(error**2)) > 50


def test_large_photos_are_tiled_and_small_ones_are_not(backend: PyTorchBackend) -> None:
    class Sizes(Recorder):
        def estimate(self, lr: np.ndarray, **options: object) -> Blur:
            self.estimated.append(lr.shape)
            return self.backend.estimate(np.zeros((3, 8, 8), np.float32))

        def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
            self.restored.append(lr.shape)
            return lr.repeat(2, axis=2).repeat(2, axis=3)

    small, large = Sizes(backend), Sizes(backend)
    large.memory = small.memory = lambda: Memory(2**33, 2000)
    floats(upscale(Photo.from_samples(np.zeros((2, 131072), np.uint8), 255, 8), small))
    assert small.restored == [(1, 3, 2, 131072)]
    assert small.estimated == [(3, 2, 131072), REFERENCE]
    floats(upscale(Photo.from_samples(np.zeros((3, 100000), np.uint8), 255, 8), large))
    assert set(large.restored) == {(1, 3, 3, 278)}  # 278 + 2 * 21 is a fast length


def test_alpha_is_restored_as_a_grey_picture_with_a_kernel_of_its_own(
    backend: PyTorchBackend,
) -> None:
    source = photo(24, 20, alpha=True)
    recorder = Recorder(backend)
    steps: list[tuple[int, int]] = []
    result = upscale(source, recorder, progress=lambda *step: steps.append(step))
    recorder.restored.clear()
    pixels = floats(result)
    assert pixels.shape == (48, 40, 4)
    assert [shape for shape in recorder.estimated if shape != REFERENCE] == [(3, 24, 20)] * 2
    assert recorder.restored == [(1, 3, 24, 20)] * 2
    assert steps == [(0, 1), (1, 1)]
    grey = np.stack([source.alpha] * 3)
    blur = find_blur(grey, backend, tiled=False).blur
    expected = finish_mask(grey)(grey[None], backend.restore(grey[None], blur), blur.kernel)[0, 0]
    np.testing.assert_allclose(pixels[..., 3], expected, atol=1e-5)
    opaque = Photo.from_samples(source.samples[..., :3], 1, 8)
    np.testing.assert_allclose(pixels[..., :3], floats(upscale(opaque, backend)), atol=1e-5)


@pytest.mark.parametrize("name", ["dcls-light-x4", "dcls-photo-x4"])
def test_what_is_opaque_or_transparent_all_around_stays_so(name: str) -> None:
    network = PyTorchBackend(weights.load(location(release(name))).eval(), "cpu", "fp32")
    colours = np.asarray(Image.open(example.location()).convert("RGB").crop((30, 30, 90, 80)))
    cut_out = np.full(colours.shape[:2], 255, np.uint8)
    cut_out[:, :30] = 0
    for alpha in (np.full_like(cut_out, 255), np.zeros_like(cut_out), cut_out):
        restored = collect(upscale(from_array(np.dstack([colours, alpha])), network), BYTES)
        large = alpha.repeat(4, axis=0).repeat(4, axis=1)
        far = np.abs(np.arange(240) - 120) > 8
        np.testing.assert_array_equal(restored[:, far, 3], large[:, far])
