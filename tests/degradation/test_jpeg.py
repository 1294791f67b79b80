"""JPEG in batch against Pillow's libjpeg."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.degradation import jpeg


def photo(side: int, seed: int) -> np.ndarray:
    """Smooth colours, an edge and a little texture, (side, side, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(7 * x + 3 * c) * np.cos(5 * y - c) for c in range(3)]
    image = 120 + 60 * np.stack(waves, -1) + 40 * (x + y > 1)[..., None]
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def by_pillow(image: np.ndarray, quality: int, subsampling: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("quality", [60, 75, 90, 98])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_equals_libjpeg(quality: int, subsampling: int) -> None:
    images = np.stack([photo(64, seed) for seed in range(3)])
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    qualities = torch.full((3,), float(quality))
    ours = jpeg(tensor, qualities, torch.full((3,), subsampling == 2))
    ours_levels = (ours * 255).round().permute(0, 2, 3, 1).numpy()
    for own, image in zip(ours_levels, images, strict=True):
        theirs = by_pillow(image, quality, subsampling).astype(float)
        # libjpeg computes in integers, so levels differ by rounding, the damage does not.
        damage = np.abs(theirs - image).mean()
        assert np.abs(own - theirs).mean() < 0.9
        assert np.abs(own - image).mean() == pytest.approx(damage, rel=0.03)


def test_quality_is_per_image() -> None:
    image = torch.from_numpy(photo(32, 0)).permute(2, 0, 1).float()[None] / 255
    both = jpeg(image.expand(2, -1, -1, -1), torch.tensor([30.0, 95.0]), torch.tensor([True, True]))
    error = (both - image).abs().mean((1, 2, 3))
    assert error[0] > 1.5 * error[1]
