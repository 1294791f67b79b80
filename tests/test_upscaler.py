"""The Python interface gives back what it was given, larger."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcls_cli
from dcls_cli import weights
from dcls_cli.config import ModelConfig
from dcls_cli.errors import ImageError, UsageError, WeightsError
from dcls_cli.network.dcls import DCLS
from dcls_cli.upscaler import Upscaler

CONFIG = ModelConfig.light(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    weights.write(DCLS(CONFIG), path)
    return path


@pytest.fixture(scope="module")
def upscaler(file: Path) -> Upscaler:
    return Upscaler.from_pretrained(file, device="cpu", precision="fp32")


def samples(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (
        rng.random((shape[0] // 4 + 1, shape[1] // 4 + 1, *shape[2:]))
        .repeat(4, 0)
        .repeat(4, 1)[: shape[0], : shape[1]]
    )


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((12, 9), "uint16"),
        ((12, 9, 1), "float16"),
        ((12, 9, 2), "float64"),
        ((12, 9, 3), "uint8"),
        ((12, 9, 4), "float32"),
    ],
)
def test_arrays_keep_dtype_and_layout(
    upscaler: Upscaler, shape: tuple[int, ...], dtype: str
) -> None:
    white = np.iinfo(dtype).max if dtype.startswith("u") else 1
    exact = samples(shape)
    result = upscaler.up((exact * white).astype(dtype))
    assert result.image.dtype == dtype
    assert result.image.shape == (24, 18, *shape[2:])
    as_float = upscaler.up(exact).image
    np.testing.assert_allclose(result.image / white, as_float, atol=0.02)


def test_eight_bit_arrays_are_rounded_and_not_truncated(upscaler: Upscaler) -> None:
    array = (samples((12, 9, 3)) * 255).astype(np.uint8)
    exact = upscaler.up(array / 255).image
    got = upscaler.up(array).image
    assert np.abs(got - exact * 255).max() <= 0.51


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pillow_images_keep_their_mode(upscaler: Upscaler, mode: str) -> None:
    channels = len(mode)
    array = (samples((12, 9, channels)) * 255).astype(np.uint8)
    image = Image.fromarray(array[..., 0] if channels == 1 else array)
    assert image.mode == mode
    image.info["icc_profile"] = b""
    result = upscaler.up(image)
    assert (result.image.mode, result.image.size) == (mode, (18, 24))
    np.testing.assert_array_equal(
        np.asarray(result.image).reshape(24, 18, channels), upscaler.up(array).image
    )


def test_sixteen_bit_grey_stays_sixteen_bit(upscaler: Upscaler) -> None:
    array = (samples((12, 9)) * 65535).astype(np.uint16)
    result = upscaler.up(Image.fromarray(array))
    assert result.image.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(result.image), upscaler.up(array).image)


def test_the_kernel_is_in_the_result(upscaler: Upscaler) -> None:
    result = upscaler.up(samples((12, 9, 3)).astype(np.float32))
    assert result.kernel.shape == (21, 21)
    assert result.kernel.sum() == pytest.approx(1, abs=1e-4)
    assert result.kernel_width_px >= 0
    assert result.kernel_space == "hr"
    assert upscaler.scale == 2


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 5), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        np.full((4, 4, 3), 2.0),
        np.full((4, 4, 3), np.nan),
    ],
)
def test_what_is_no_picture_is_refused(upscaler: Upscaler, array: np.ndarray) -> None:
    with pytest.raises(ImageError):
        upscaler.up(array)


def test_names_and_files_are_told_apart(file: Path, tmp_path: Path) -> None:
    assert Upscaler.from_pretrained(str(file), device="cpu").scale == 2
    with pytest.raises(UsageError, match="choose from"):
        Upscaler.from_pretrained("dcls-none")
    with pytest.raises(WeightsError, match="no such weight file"):
        Upscaler.from_pretrained(str(tmp_path / "none.safetensors"))
    assert dcls_cli.Upscaler is Upscaler
