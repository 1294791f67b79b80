"""Other reductions as kernels ahead of the bicubic, against Pillow's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from dcls_cli.degradation import gaussian_kernel
from dcls_cli.degradation.classical import degrade
from dcls_cli.degradation.draws import REDUCTIONS, Reduction, as_bicubic, relative_taps

PHOTO = Path(__file__).parents[2] / "examples" / "dog-original.png"
PILLOW = {
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
    "triangle": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZE = 61


def photo(scale: int) -> np.ndarray:
    """(H, W) grey in [0, 1], sides multiples of the scale."""
    grey = np.asarray(Image.open(PHOTO).convert("L"), np.float64) / 255
    height, width = (side - side % scale for side in grey.shape)
    return grey[:height, :width]


def by_pillow(image: np.ndarray, scale: int, reduction: str) -> np.ndarray:
    size: Any = (image.shape[1] // scale, image.shape[0] // scale)
    picture = Image.fromarray(image.astype(np.float32))
    return np.asarray(picture.resize(size, PILLOW[reduction]), np.float64)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("sigma", [0.01, 0.4])
def test_what_the_target_gives_is_what_the_reduction_gives(
    scale: int, reduction: Reduction, sigma: float
) -> None:
    """On a photo, unblurred and blurred by 0.4 LR pixels: within a level of 8 bits."""
    sharp = photo(scale)
    blurred = sharp
    if sigma > 0.1:
        blurred = ndimage.gaussian_filter(sharp, sigma * scale, mode="mirror", radius=10)
    expected = by_pillow(blurred, scale, reduction)
    blur = gaussian_kernel(torch.tensor([sigma * scale]).double(), 21)
    kernel = torch.nn.functional.pad(blur, ((SIZE - 21) // 2,) * 4)
    kernel = as_bicubic(kernel, [reduction], scale)
    ours = degrade(torch.from_numpy(sharp)[None, None], kernel, scale)[0, 0].numpy()
    inside = np.s_[10:-10, 10:-10]
    error = np.sqrt(np.square(ours - expected)[inside].mean())
    assert error < (0.3 if sigma > 0.1 else 0.8) / 255
    if reduction != "bicubic":
        plain = by_pillow(blurred, scale, "bicubic")
        assert error < 0.75 * np.sqrt(np.square(plain - expected)[inside].mean())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_taps_are_a_small_filter(scale: int) -> None:
    for reduction in REDUCTIONS:
        taps = relative_taps(reduction, scale)
        assert taps.shape == (4 * scale + 1,)
        assert float(taps.sum()) == pytest.approx(1, abs=1e-12)
        assert torch.allclose(taps, taps.flip(0), atol=1e-12)
        assert taps.abs().sum() < 3
    impulse = torch.zeros(4 * scale + 1).double()
    impulse[2 * scale] = 1
    assert torch.equal(relative_taps("bicubic", scale), impulse)


def test_each_kernel_gets_its_own_reduction() -> None:
    kernels = gaussian_kernel(torch.tensor([0.5, 1.0, 2.0, 3.0]), 21)
    names: list[Reduction] = ["lanczos", "bicubic", "area", "triangle"]
    ours = as_bicubic(kernels, names, 3)
    assert torch.allclose(ours[1], kernels[1], atol=1e-7)
    for own, kernel, name in zip(ours, kernels, names, strict=True):
        taps = relative_taps(name, 3).numpy()
        expected = ndimage.convolve(
            kernel[0].double().numpy(), np.outer(taps, taps), mode="constant"
        )
        np.testing.assert_allclose(own[0].numpy(), expected / expected.sum(), atol=1e-6)
