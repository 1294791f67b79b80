"""Small pictures whose sharp originals are known."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from dcls_cli.backends import Backend
from dcls_cli.backends.loading import load_backend
from dcls_cli.evaluation.graphics import draw
from dcls_cli.image import Photo, from_array
from dcls_cli.models.releases import location, release

ROOT = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=8)
def network(name: str = "dcls-light-x4", engine: str = "torch") -> Backend:
    return load_backend(location(release(name)), "cpu", "fp32", engine)


def reduced(sharp: np.ndarray, scale: int) -> Photo:
    """Means of squares of (H, W, 3) uint8: sharp, as screens and renderers reduce."""
    height, width = (side // scale * scale for side in sharp.shape[:2])
    blocks = sharp[:height, :width].reshape(height // scale, scale, width // scale, scale, -1)
    return from_array(np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8))


def graphic(name: str) -> np.ndarray:
    """Of the graphics benchmark, (H, W, 3) uint8."""
    return np.ascontiguousarray(draw(name).transpose(1, 2, 0))


def dog(sigma: float, scale: int) -> Photo:
    """A photograph with a Gaussian blur of so many HR pixels, reduced bicubically."""
    from tests import oracle

    sharp = np.asarray(Image.open(ROOT / "examples" / "dog-original.png").convert("RGB")) / 255
    blurred = oracle.blur(sharp, sigma) if sigma else sharp
    small = oracle.imresize(blurred, 1 / scale)
    return from_array(np.rint(small.clip(0, 1) * 255).astype(np.uint8))


def bicubic(photo: Photo, scale: int) -> np.ndarray:
    """(H, W, 3) uint8, by Pillow."""
    image = Image.fromarray(photo.to_samples(8))
    size = image.width * scale, image.height * scale
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def psnr_db(picture: np.ndarray, sharp: np.ndarray) -> float:
    """Over all channels, levels of 255."""
    error = picture.astype(float) - sharp[: picture.shape[0], : picture.shape[1]]
    return float(10 * np.log10(255**2 / max((error**2).mean(), 1e-9)))
