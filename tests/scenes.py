"""Pictures to test with, synthetic and Set5, and Gaussian blurs to damage them with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from tests import oracle

Image = NDArray[np.float64]

SET5 = Path(__file__).resolve().parents[2] / "shared" / "data" / "Set5"


def natural(height: int, width: int, seed: int = 0) -> Image:
    """A picture with the power spectrum |w|^-2: (H, W, 3) in [0, 1], multiples of 1/255."""
    generator = np.random.default_rng(seed)
    rows = np.fft.fftfreq(2 * height)[:, None]
    radius = np.hypot(rows, np.fft.fftfreq(2 * width)[None])
    radius[0, 0] = np.inf
    noise = np.fft.fft2(generator.standard_normal((2 * height, 2 * width, 3)), axes=(0, 1))
    field = np.fft.ifft2(noise / radius[..., None], axes=(0, 1)).real[:height, :width]
    return oracle.q8(0.5 + 0.15 * (field - field.mean()) / field.std())


def set5(scale: int) -> list[Image]:
    """HR photos, cropped to multiples of the scale, or a skip."""
    files = sorted((SET5 / f"x{scale}" / "HR").glob("*.png"))
    if not files:
        pytest.skip(f"Set5 is not in this checkout: {SET5} is missing")
    photos = []
    for file in files:
        hr = np.asarray(PillowImage.open(file).convert("RGB")) / 255.0
        height, width = (side // scale * scale for side in hr.shape[:2])
        photos.append(hr[:height, :width])
    return photos


def gaussian(sigma: float, size: int = 21) -> Tensor:
    """An isotropic kernel in HR pixels: (1, 1, size, size) float32, sum 1."""
    return torch.from_numpy(oracle.gauss_iso(size, sigma)).float()[None, None]


def degrade(hr: Image, sigma: float, scale: int) -> Image:
    """Blur, antialiased bicubic, 8 bit: (s H, s W, 3) -> (H, W, 3)."""
    return oracle.q8(oracle.imresize(oracle.blur(hr, sigma), 1 / scale))


def to_tensor(image: Image) -> Tensor:
    """(H, W, C) -> (1, C, H, W) float32."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()[None]


def to_array(image: Tensor) -> Image:
    """(1, C, H, W) -> (H, W, C) float64."""
    return image[0].detach().double().numpy().transpose(1, 2, 0)


def psnr_y(image: Image, hr: Image, border: int) -> float:
    """Of the luma of 8-bit pictures without their borders, decibels."""
    crop = slice(border, -border)
    a, b = (oracle.to_y(oracle.q8(np.clip(x, 0, 1)))[crop, crop] for x in (image, hr))
    return float(oracle.psnr(a, b))
