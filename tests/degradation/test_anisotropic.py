"""The paper's second setting against numpy: how kernels are drawn, and what they do."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from dcls_cli.degradation import blur as direct_blur
from dcls_cli.degradation import gaussian_kernel
from dcls_cli.degradation.classical import (
    blur_by_fft,
    degrade_anisotropic,
    draw_kernels,
    fast_length,
)
from tests import oracle


def drawn(count: int, disturbance: float, size: int = 31, seed: int = 0) -> np.ndarray:
    random = torch.Generator().manual_seed(seed)
    kernels = draw_kernels(count, size, (0.6, 5.0), disturbance, random)
    return kernels[:, 0].double().numpy()


def gaussian(size: int, sigma_x: float, sigma_y: float, angle: float) -> np.ndarray:
    """By the covariance matrix, as the authors write it."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T)
    axis = np.arange(size) - size // 2
    place = np.stack(np.meshgrid(axis, axis), axis=-1)
    kernel = np.exp(-0.5 * np.einsum("yxi,ij,yxj->yx", place, inverse, place))
    return np.asarray(kernel / kernel.sum())


def ellipse(kernel: np.ndarray) -> tuple[float, float, float]:
    """Standard deviations and angle of the wide axis, from second moments."""
    axis = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    x, y = np.meshgrid(axis, axis)
    xx, yy, xy = ((kernel * product).sum() for product in (x * x, y * y, x * y))
    values, vectors = np.linalg.eigh([[xx, xy], [xy, yy]])
    return (*np.sqrt(values), np.arctan2(vectors[1, 1], vectors[0, 1]))


def test_kernels_are_gaussians_of_both_axes_and_all_angles() -> None:
    narrow, wide, angles = [], [], []
    for kernel in drawn(400, 0.0, size=61):  # wide enough for 12 standard deviations
        small, large, angle = ellipse(kernel)
        np.testing.assert_allclose(kernel, gaussian(61, large, small, angle), atol=1e-3)
        narrow.append(small)
        wide.append(large)
        angles.append(angle % np.pi)
    assert min(narrow) > 0.55 and max(wide) < 5.01
    # Smaller and larger of two uniform draws from [0.6, 5]: a third and two thirds of the way.
    assert np.mean(narrow) == pytest.approx(0.6 + 4.4 / 3, abs=0.15)
    assert np.mean(wide) == pytest.approx(0.6 + 4.4 * 2 / 3, abs=0.15)
    counts, _ = np.histogram(angles, bins=4, range=(0, np.pi))
    assert counts.min() > 70


def test_every_tap_is_disturbed_by_up_to_a_quarter() -> None:
    # The same Gaussians, but for the sum; far from the middle fp32 has no digits left.
    disturbed, smooth = (drawn(200, share)[:, 13:18, 13:18] for share in (0.25, 0.0))
    ratio = disturbed / smooth
    span = ratio.max((1, 2)) / ratio.min((1, 2))
    assert span.max() <= 1.25 + 1e-4
    assert np.median(span) > 1.2  # of 25 uniform draws the extremes are near the ends
    # (1 + u) / mean(1 + u), u uniform in [0, 0.25]
    assert ratio.std() == pytest.approx(0.25 / 12**0.5 / 1.125, rel=0.05)
    assert ratio.mean() == pytest.approx(1.0, abs=0.005)
    np.testing.assert_allclose(drawn(50, 0.25).sum((1, 2)), 1, atol=1e-6)


@pytest.mark.parametrize(("size", "scale"), [(11, 2), (31, 4), (21, 3)])
def test_images_equal_scipy_and_the_oracle(size: int, scale: int) -> None:
    random = np.random.default_rng(1)
    image = random.random((3, 58, 67, 3))
    kernels = drawn(3, 0.25, size)
    tensor = torch.from_numpy(image.transpose(0, 3, 1, 2))
    got = degrade_anisotropic(tensor, torch.from_numpy(kernels)[:, None], scale)
    for index in range(3):
        mirrored = ndimage.correlate(image[index], kernels[index][..., None], mode="mirror")
        expected = oracle.imresize(mirrored, 1 / scale).transpose(2, 0, 1)
        np.testing.assert_allclose(got[index].numpy(), expected, atol=1e-10)


def test_the_fourier_blur_equals_the_direct_one() -> None:
    image = torch.rand(2, 3, 40, 33)
    kernel = gaussian_kernel(torch.tensor([0.7, 2.5]), 21)
    kernel[0, 0, 3, 5] += 0.2  # no symmetry
    torch.testing.assert_close(
        blur_by_fft(image, kernel), direct_blur(image, kernel), atol=2e-6, rtol=0
    )


def test_fast_lengths_have_small_factors() -> None:
    assert [fast_length(least) for least in (1, 7, 31, 334, 337, 1000)] == [
        2, 8, 32, 360, 360, 1000,
    ]  # fmt: skip
