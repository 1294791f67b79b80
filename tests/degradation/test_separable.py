"""Any blur and bicubic in one, against the convolution and the reduction one after the other."""

import math

import pytest
import torch

from dcls_cli.degradation import anisotropic_gaussian_kernel, bicubic, blur
from dcls_cli.degradation.classical import SMALLEST_PART, degrade, separable_parts


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(31, 47), (60, 60)])
def test_equals_blur_then_bicubic_for_any_kernel(scale: int, size: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(scale)
    image = torch.rand(3, 3, *size, generator=random, dtype=torch.float64)
    kernel = torch.rand(3, 1, 11, 11, generator=random, dtype=torch.float64)
    kernel /= kernel.sum((2, 3), keepdim=True)
    expected = bicubic(blur(image, kernel), 1 / scale)
    assert torch.allclose(degrade(image, kernel, scale), expected, rtol=0, atol=1e-12)


def test_parts_add_up_to_the_kernel() -> None:
    angles = torch.linspace(0, math.pi, 9)
    kernel = anisotropic_gaussian_kernel(torch.full((9,), 4.0), torch.full((9,), 1.0), angles, 21)
    down, across = separable_parts(kernel[:, 0])
    error = (torch.einsum("brh,brw->bhw", down, across) - kernel[:, 0]).abs().max()
    assert error < 10 * SMALLEST_PART * kernel.max()


def test_a_blur_along_the_axes_is_one_part() -> None:
    across = torch.full((1,), math.pi / 2)
    kernel = anisotropic_gaussian_kernel(torch.tensor([4.0]), torch.tensor([1.0]), across, 21)
    down, _ = separable_parts(kernel[:, 0])
    assert down.shape == (1, 1, 21)


def test_photos_of_fp32_stay_far_below_a_step_of_8_bits() -> None:
    random = torch.Generator().manual_seed(0)
    image = torch.rand(4, 3, 80, 80, generator=random)
    wide = torch.tensor([4.0, 3.0, 2.0, 0.2])
    kernel = anisotropic_gaussian_kernel(wide, wide / 3, torch.tensor([0.3, 1.0, 2.0, 0.0]), 21)
    difference = degrade(image, kernel, 4) - bicubic(blur(image, kernel), 1 / 4)
    assert difference.abs().max() < 0.01 / 255
