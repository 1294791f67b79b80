"""Sharpening against scipy, and the one kernel of blur and sharpening against both in turn."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from dcls_cli.degradation import anisotropic_gaussian_kernel
from dcls_cli.degradation.classical import degrade
from dcls_cli.degradation.photo import PhotoDamage, damage_photo, effective_kernel, sharpened

AMOUNTS = torch.tensor([0.0, 0.3, 1.2])


def slanted(size: int, wide: float) -> torch.Tensor:
    widths = torch.tensor([wide, wide, 0.7 * wide])
    return anisotropic_gaussian_kernel(
        widths, widths * torch.tensor([1.0, 0.3, 0.5]), torch.tensor([0.0, 0.5, 2.0]), size
    )


def padded(kernel: torch.Tensor, by: int) -> torch.Tensor:
    return torch.nn.functional.pad(kernel, (by,) * 4)


def test_unsharp_mask_equals_scipy() -> None:
    image = np.random.default_rng(1).random((3, 2, 17, 23))
    taps = np.outer([1, 2, 1], [1, 2, 1]) / 16
    blurred = ndimage.correlate(image, taps[None, None], mode="nearest")
    expected = image + AMOUNTS.double().numpy()[:, None, None, None] * (image - blurred)
    ours = sharpened(torch.from_numpy(image), AMOUNTS.double())
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_effective_kernel_equals_scipy(scale: int) -> None:
    kernel = padded(slanted(21, 2.0), scale)
    ours = effective_kernel(kernel, AMOUNTS, scale)
    mask = np.zeros((2 * scale + 1,) * 2)
    mask[::scale, ::scale] = np.outer([1, 2, 1], [1, 2, 1]) / 16
    for index, amount in enumerate(AMOUNTS.tolist()):
        taps = kernel[index, 0].numpy()
        smooth = ndimage.convolve(taps, mask, mode="constant")
        expected = taps + amount * (taps - smooth)
        np.testing.assert_allclose(ours[index, 0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_damaged_photo_is_what_the_target_kernel_gives(scale: int) -> None:
    """Without noise and JPEG, but for the borders and the 8 bits."""
    hr = torch.rand(3, 3, 40 * scale, 36 * scale, generator=torch.Generator().manual_seed(scale))
    hr = hr.double()
    kernel = padded(slanted(21, scale / 2), scale).double()
    blurred = degrade(hr, kernel, scale)
    amount = AMOUNTS.double()
    apart = sharpened(blurred, amount)
    together = degrade(hr, effective_kernel(kernel, amount, scale), scale)
    # The mask replicates its borders, which the blur mirrors.
    reach = math.ceil((21 // 2 + scale) / scale) + 2
    inside = np.s_[..., reach:-reach, reach:-reach]
    assert (apart - together)[inside].abs().max() < 1e-5
    assert (apart - degrade(hr, kernel, scale))[inside][1:].abs().max() > 1e-2

    damage = replace(PhotoDamage.none(kernel.float(), (40, 36)), sharpening=AMOUNTS)
    lr, _, target = damage_photo(hr.float(), damage, scale)
    expected = degrade(hr.float(), target, scale).clamp(0, 1)
    assert (lr - expected)[inside].abs().max() < 0.5 / 255 + 1e-5


@pytest.mark.parametrize(
    ("scale", "sigma", "strength", "most"),
    [(2, 2.0, 1.2, 1e-5), (3, 3.0, 1.2, 3e-3), (4, 2.4, 0.6, 1e-3), (4, 4.0, 1.2, 2e-2)],
)
def test_what_cropping_the_target_costs(
    scale: int, sigma: float, strength: float, most: float
) -> None:
    """21 taps hold all but the widest blurs of training with the strongest sharpening.

    Of an image of black and white blocks, whose reduction has a standard deviation of 0.29.
    """
    random = torch.Generator().manual_seed(0)
    edges = (torch.rand(1, 3, 20, 20, generator=random) > 0.5).double()
    hr = edges.repeat_interleave(2 * scale, -1).repeat_interleave(2 * scale, -2)
    wide = torch.tensor([sigma], dtype=torch.float64)
    amount = torch.tensor([strength], dtype=torch.float64)
    kernel = anisotropic_gaussian_kernel(wide, wide, torch.zeros_like(wide), 21)
    whole = degrade(hr, effective_kernel(padded(kernel, scale), amount, scale), scale)

    def error(other: torch.Tensor) -> float:
        difference = (whole - degrade(hr, other, scale))[..., 8:-8, 8:-8]
        return float(difference.square().mean().sqrt())

    cropped = error(effective_kernel(kernel, amount, scale))
    assert cropped < most
    assert cropped < 0.5 * error(kernel)
