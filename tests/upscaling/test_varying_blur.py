"""A blur that varies over the photo is followed by kernels that vary with it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from dcls_cli.backends import Blur
from dcls_cli.backends.pytorch import PyTorchBackend
from dcls_cli.degradation import bicubic
from dcls_cli.errors import UsageError
from dcls_cli.image import Photo
from dcls_cli.image.photo import collect
from dcls_cli.kernels import kernel_width_px
from dcls_cli.metrics import psnr
from dcls_cli.models import weights
from dcls_cli.tiling import plan
from dcls_cli.upscaling import upscale
from dcls_cli.upscaling.varying_blur import Window, blur_field

ROOT = Path(__file__).resolve().parents[2]
FLOATS = np.dtype(np.float32)
NARROW, WIDE = 0.5, 1.8


@pytest.fixture(scope="module")
def backend() -> PyTorchBackend:
    return PyTorchBackend(weights.load(ROOT / "weights/dcls-light-x2.safetensors"), "cpu", "fp32")


@pytest.fixture(scope="module")
def original() -> np.ndarray:
    return np.asarray(Image.open(ROOT / "examples/dog-original.png"), np.float32) / 255


@pytest.fixture(scope="module")
def photo(original: np.ndarray) -> Photo:
    """Sharp on the left, blurred on the right, half as large."""
    levels = np.linspace(NARROW, WIDE, 14)
    blurred = np.stack([gaussian_filter(original, (sigma, sigma, 0)) for sigma in levels])
    columns = np.arange(original.shape[1])
    place = columns / columns[-1] * (len(levels) - 1)
    left = np.minimum(place.astype(int), len(levels) - 2)
    part = (place - left)[:, None].astype(np.float32)
    varying = (
        blurred[left, :, columns] * (1 - part[:, None])
        + blurred[left + 1, :, columns] * (part[:, None])
    )
    image = torch.from_numpy(varying.transpose(2, 1, 0).copy())[None]
    small = bicubic(image, 0.5)[0].clamp(0, 1).numpy().transpose(1, 2, 0)
    return Photo.from_samples(np.rint(small * 255).astype(np.uint8), 255, 8)


def test_a_blur_that_varies_is_restored_better_with_a_kernel_for_each_tile(
    backend: PyTorchBackend, original: np.ndarray, photo: Photo
) -> None:
    restored = {
        mode: collect(upscale(photo, backend, kernel_mode=mode), FLOATS)
        for mode in ("global", "tile")
    }
    inner = (slice(2, -2), slice(2, -2))
    gain = {mode: psnr(got[inner], original[inner], peak=1.0) for mode, got in restored.items()}
    assert gain["tile"] > gain["global"] + 0.5, gain


def test_the_kernels_grow_with_the_blur(backend: PyTorchBackend, photo: Photo) -> None:
    tiles = plan(photo.height, photo.width, 102, 32)
    field = blur_field(photo.colour, backend, tiles, backend.estimate(photo.colour))
    widths = [kernel_width_px(field[tile].kernel) for tile in tiles if tile.rows.start == 0]
    assert widths == sorted(widths)
    assert widths[-1] > widths[0] + 0.4
    for blur in field.values():
        assert blur.kernel.sum() == pytest.approx(1, abs=1e-5)
        assert blur.kernel.dtype == np.float32


def test_tiles_without_detail_take_the_blur_of_their_neighbours() -> None:
    """Sky in the left half, and the estimates of its tiles are nonsense."""

    class Engine:
        def estimate(self, lr: Window, *, tiled: bool) -> Blur:
            assert not tiled
            flat = np.ptp(lr[:, slice(None), slice(None)]) == 0
            return Blur(np.full((3, 3), -7.0 if flat else 1 / 9, np.float32))

    samples = np.full((64, 256, 3), 200, np.uint8)
    samples[:, 128:] = np.random.default_rng(0).integers(0, 255, (64, 128, 3))
    tiles = plan(64, 256, 64, 0)
    whole = Blur(np.full((3, 3), 5, np.float32))
    colour = Photo.from_samples(samples, 255, 8).colour
    field = blur_field(colour, Engine(), tiles, whole)  # type: ignore[arg-type]
    centres = [float(field[tile].kernel[1, 1]) for tile in tiles]
    assert centres == pytest.approx([5, 1 / 9, 1 / 9, 1 / 9])


def test_a_window_reads_like_a_part(photo: Photo) -> None:
    window = Window(photo.colour, slice(10, 50), slice(20, 90))
    whole = photo.colour[:, 10:50, 20:90]
    assert window.shape == whole.shape
    assert np.array_equal(window[:, 5:20, 3:], whole[:, 5:20, 3:])


def test_a_known_kernel_is_for_the_whole_photo(backend: PyTorchBackend, photo: Photo) -> None:
    kernel = np.full((21, 21), 1 / 441, np.float32)
    with pytest.raises(UsageError, match="one for the whole photo"):
        upscale(photo, backend, kernel=kernel, kernel_mode="tile")
