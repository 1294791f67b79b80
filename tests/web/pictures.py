"""Pictures whose blur, brightness or masks are special, as levels (H, W, 3) or (H, W)."""

import numpy as np
from PIL import Image


def noise(height: int, width: int, seed: int = 1) -> np.ndarray:
    """Every level of every channel."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def flag(height: int, width: int) -> np.ndarray:
    """Three upright stripes, sharp, averaged over 4 x 4 pixels; their edges lie between pixels."""
    large = np.empty((4 * height, 4 * width, 3))
    stripe = np.arange(4 * width) * 3 // (4 * width)
    large[:] = np.array([[0, 38, 84], [255, 255, 255], [206, 17, 38]])[stripe]
    return reduced(large)


def logo(height: int, width: int) -> np.ndarray:
    """A blue disc and bars on red, as bright as each other: R + G + B is 255 everywhere."""
    down, across = np.ogrid[: 4 * height, : 4 * width]
    disc = np.hypot(down - 1.7 * height, across - 1.9 * width) < 1.1 * min(height, width)
    bars = (down > 3.1 * height) & (across // 10 % 2 == 0)
    blue = (disc | bars)[..., None]
    return reduced(np.where(blue, [0, 0, 255], [255, 0, 0]).astype(float))


def tone(height: int, width: int, period: int = 5) -> np.ndarray:
    """Black screen tone, whose dots grow from left to right."""
    down, across = np.indices((4 * height, 4 * width)) / 4
    dots = np.cos(2 * np.pi * down / period) + np.cos(2 * np.pi * across / period)
    shade = 3 * across / width - 1.5
    return reduced(np.repeat(np.where(dots > shade, 255.0, 0.0)[..., None], 3, axis=2))


def flat(height: int, width: int) -> np.ndarray:
    """One colour."""
    return np.full((height, width, 3), (90, 91, 92), np.uint8)


def slope(height: int, width: int) -> np.ndarray:
    """Grey that grows evenly, rounded, with one white line."""
    down, across = np.mgrid[:height, :width]
    levels = np.rint(40 + 0.7 * across + 0.3 * down)
    levels[height // 2] = 255
    return levels.astype(np.uint8)[..., None].repeat(3, axis=2)


def discs(height: int, width: int) -> np.ndarray:
    """A mask with hard edges, (H, W)."""
    down, across = np.ogrid[: 4 * height, : 4 * width]
    apart = np.minimum(
        np.hypot(down - 1.2 * height, across - 1.5 * width) - 0.8 * min(height, width),
        np.hypot(down - 3 * height, across - 3.1 * width) - 0.5 * min(height, width),
    )
    return reduced(np.where(apart < 0, 255.0, 0.0)[..., None])[..., 0]


def ramp(height: int, width: int, edge: float) -> np.ndarray:
    """A mask whose slanted edge is `edge` pixels wide, (H, W)."""
    down, across = np.indices((height, width))
    place = (across - width / 2 + 0.3 * (down - height / 2)) / edge + 0.5
    return np.rint(255 * place.clip(0, 1)).astype(np.uint8)


def half_soft(height: int, width: int) -> np.ndarray:
    """A mask with hard edges in its upper half and a soft edge in its lower one, (H, W)."""
    mask = ramp(height, width, 6)
    mask[: height // 2] = discs(height // 2, width)
    return mask


def with_alpha(colours: np.ndarray, mask: np.ndarray) -> Image.Image:
    """An RGBA picture of (H, W, 3) and (H, W)."""
    return Image.fromarray(np.concatenate([colours, mask[..., None]], axis=2))


def reduced(large: np.ndarray) -> np.ndarray:
    """Mean of 4 x 4 pixels: (4 H, 4 W, C) -> (H, W, C) uint8."""
    height, width, channels = large.shape
    blocks = large.reshape(height // 4, 4, width // 4, 4, channels)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
