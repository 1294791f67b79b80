"""Blur, bicubic, noise and rounding against the oracle, hand-computed values and identities."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate
from torch import Tensor

from dcls_cli.degradation import (
    anisotropic_gaussian_kernel,
    bicubic,
    blur,
    degrade_isotropic,
    gaussian8_sigmas,
    gaussian_kernel,
    gaussian_taps,
    quantise,
)
from dcls_cli.errors import UsageError
from tests import oracle

SHARED = Path(__file__).resolve().parents[3] / "shared"
ODD_SIZES = [(61, 37), (40, 40), (23, 64)]


def images(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, height, width, generator=generator, dtype=torch.float64)


def channels_last(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


def widths(*sigma: float) -> Tensor:
    return torch.tensor(sigma, dtype=torch.float64)


class TestSigmas:
    """The widths of the protocol."""

    @pytest.mark.parametrize(
        ("scale", "ends"), [(2, (0.8, 1.6)), (3, (1.35, 2.4)), (4, (1.8, 3.2))]
    )
    def test_are_eight_equally_spaced(self, scale: int, ends: tuple[float, float]) -> None:
        sigmas = gaussian8_sigmas(scale)
        assert len(sigmas) == 8
        assert (sigmas[0], sigmas[-1]) == ends
        assert np.allclose(np.diff(sigmas), (ends[1] - ends[0]) / 7)

    def test_refuse_another_scale(self) -> None:
        with pytest.raises(UsageError, match="scales 2, 3 and 4, got 5"):
            gaussian8_sigmas(5)


class TestKernels:
    """Gaussians: values, sums, moments."""

    @pytest.mark.parametrize("size", [11, 20, 21])
    def test_isotropic_equals_oracle(self, size: int) -> None:
        kernel = gaussian_kernel(widths(0.4, 1.8, 3.2), size)
        assert kernel.shape == (3, 1, size, size)
        for sigma, one in zip((0.4, 1.8, 3.2), kernel[:, 0].numpy(), strict=True):
            np.testing.assert_allclose(one, oracle.gauss_iso(size, sigma), atol=1e-15)

    def test_sum_to_one(self) -> None:
        sigma, angle = widths(0.1, 1.0, 8.0), widths(0.0, 0.5, 2.0)
        for kernel in (
            gaussian_kernel(sigma, 21),
            anisotropic_gaussian_kernel(sigma, 2 * sigma, angle, 21),
        ):
            torch.testing.assert_close(kernel.sum((1, 2, 3)), torch.ones(3, dtype=torch.float64))

    def test_tiny_width_is_an_impulse(self) -> None:
        impulse = torch.zeros(1, 1, 5, 5)
        impulse[0, 0, 2, 2] = 1
        assert torch.equal(gaussian_kernel(torch.tensor([1e-3]), 5), impulse)

    def test_anisotropic_of_equal_widths_is_isotropic(self) -> None:
        sigma = widths(0.7, 2.5)
        round_kernel = anisotropic_gaussian_kernel(sigma, sigma, widths(0.3, 1.2), 21)
        torch.testing.assert_close(round_kernel, gaussian_kernel(sigma, 21), atol=1e-15, rtol=0)

    def test_anisotropic_has_the_covariance_asked_for(self) -> None:
        sigma_x, sigma_y, angle = 3.0, 1.5, math.radians(30)
        kernel = anisotropic_gaussian_kernel(widths(sigma_x), widths(sigma_y), widths(angle), 61)[
            0, 0
        ].numpy()
        rows, columns = np.mgrid[-30:31, -30:31]
        moments = [(kernel * m).sum() for m in (columns**2, rows**2, rows * columns)]
        cosine, sine = math.cos(angle), math.sin(angle)
        expected = [
            sigma_x**2 * cosine**2 + sigma_y**2 * sine**2,
            sigma_x**2 * sine**2 + sigma_y**2 * cosine**2,
            (sigma_x**2 - sigma_y**2) * cosine * sine,
        ]
        np.testing.assert_allclose(moments, expected, rtol=1e-6)

    def test_gradient_reaches_the_width(self) -> None:
        sigma = widths(0.8, 2.0).requires_grad_()
        assert torch.autograd.gradcheck(lambda s: gaussian_taps(s, 7), (sigma,))


class TestBlur:
    """Correlation with one kernel an image."""

    @pytest.mark.parametrize(("height", "width"), ODD_SIZES)
    @pytest.mark.parametrize("kernel_size", [(21, 21), (11, 5), (4, 6)])
    def test_equals_scipy_with_one_kernel_each(
        self, height: int, width: int, kernel_size: tuple[int, int]
    ) -> None:
        image = images(2, height, width)
        generator = torch.Generator().manual_seed(1)
        kernel = torch.rand(2, 1, *kernel_size, generator=generator, dtype=torch.float64)
        blurred = blur(image, kernel).numpy()
        # scipy centres an even kernel one tap later.
        origin = tuple(-1 if side % 2 == 0 else 0 for side in kernel_size)
        for sample in range(2):
            for channel in range(3):
                expected = correlate(
                    image[sample, channel].numpy(),
                    kernel[sample, 0].numpy(),
                    mode="mirror",
                    origin=origin,
                )
                np.testing.assert_allclose(blurred[sample, channel], expected, atol=1e-12)

    def test_is_a_correlation_not_a_convolution(self) -> None:
        kernel = torch.zeros(1, 1, 3, 3)
        kernel[0, 0, 1, 2] = 1  # looks at the right-hand neighbour
        image = torch.arange(5.0).expand(1, 1, 3, 5)
        assert blur(image, kernel)[0, 0, 1].tolist() == [1, 2, 3, 4, 3]

    def test_shares_one_kernel(self) -> None:
        image, kernel = images(3, 9, 8), gaussian_kernel(widths(1.0), 5)
        torch.testing.assert_close(blur(image, kernel), blur(image, kernel.expand(3, 1, 5, 5)))

    def test_image_smaller_than_the_kernel(self) -> None:
        image = images(1, 3, 1)
        expected = oracle.blur(channels_last(image[0]), 3.0)
        got = channels_last(blur(image, gaussian_kernel(widths(3.0), 21))[0])
        np.testing.assert_allclose(got, expected, atol=1e-12)

    def test_keeps_fp32_under_autocast(self) -> None:
        image, kernel = images(1, 12, 12).float(), gaussian_kernel(torch.tensor([1.0]), 5)
        with torch.autocast("cpu", torch.bfloat16):
            half = blur(image, kernel), bicubic(image, 0.5)
            half = (*half, degrade_isotropic(image, torch.tensor([1.0]), 2, 5))
        full = blur(image, kernel), bicubic(image, 0.5)
        full = (*full, degrade_isotropic(image, torch.tensor([1.0]), 2, 5))
        for a, b in zip(half, full, strict=True):
            assert torch.equal(a, b)

    def test_gradients(self) -> None:
        image = images(2, 6, 5)[:, :1].clone().requires_grad_()
        kernel = gaussian_kernel(widths(0.8, 1.5), 3).requires_grad_()
        assert torch.autograd.gradcheck(blur, (image, kernel))


class TestDegradeIsotropic:
    """Blur and bicubic in one."""

    @pytest.mark.parametrize(("height", "width"), [*ODD_SIZES, (5, 3), (1, 30)])
    @pytest.mark.parametrize("scale", [2, 3, 4])
    def test_equals_blur_then_bicubic_and_oracle(self, height: int, width: int, scale: int) -> None:
        image, sigma = images(3, height, width), widths(0.3, 1.8, 4.0)
        small = degrade_isotropic(image, sigma, scale)
        two_steps = bicubic(blur(image, gaussian_kernel(sigma, 21)), 1 / scale)
        torch.testing.assert_close(small, two_steps, atol=1e-12, rtol=0)
        for sample in range(3):
            blurred = oracle.blur(channels_last(image[sample]), float(sigma[sample]))
            expected = oracle.imresize(blurred, 1 / scale)
            np.testing.assert_allclose(channels_last(small[sample]), expected, atol=1e-12)

    def test_even_kernel(self) -> None:
        image, sigma = images(1, 17, 16), widths(1.5)
        two_steps = bicubic(blur(image, gaussian_kernel(sigma, 12)), 0.5)
        torch.testing.assert_close(degrade_isotropic(image, sigma, 2, 12), two_steps)

    def test_single_precision_is_enough(self) -> None:
        image, sigma = images(2, 48, 60), widths(0.5, 3.0)
        exact = degrade_isotropic(image, sigma, 4)
        single = degrade_isotropic(image.float(), sigma.float(), 4)
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), exact, atol=1e-6, rtol=0)

    def test_gradients(self) -> None:
        image, sigma = images(2, 6, 9)[:, :1].clone().requires_grad_(), widths(0.7, 1.4)
        assert torch.autograd.gradcheck(
            lambda x, s: degrade_isotropic(x, s, 3, 5), (image, sigma.requires_grad_())
        )

    @pytest.mark.parametrize("scale", [2, 3, 4])
    def test_goldens(self, scale: int) -> None:
        paths = sorted((SHARED / "evaluation" / "set5_lr" / f"x{scale}").glob("*.png"))
        if not paths:
            pytest.skip("the LR goldens are not part of this checkout")
        for path in paths:
            name, sigma = path.stem.split("_sigma")
            sharp = SHARED / "data" / "Set5" / f"x{scale}" / "HR" / f"{name}.png"
            hr = torch.from_numpy(np.array(Image.open(sharp).convert("RGB"))).permute(2, 0, 1)
            golden = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
            for dtype in (torch.float64, torch.float32):
                width = torch.tensor([float(sigma)], dtype=dtype)
                lr = quantise(degrade_isotropic(hr[None].to(dtype) / 255, width, scale))[0]
                off = ((lr * 255).round() - golden).abs()
                assert off.max() <= 1, path.name
                assert (off > 0).double().mean() <= 1e-3, path.name


class TestQuantise:
    """Rounding to 8 bit."""

    def test_clamps_and_rounds(self) -> None:
        values = torch.tensor([-0.1, 0.0, 0.4 / 255, 0.6 / 255, 100.2 / 255, 1.0, 1.3])
        assert (quantise(values) * 255).round().tolist() == [0, 0, 0, 1, 100, 255, 255]

    def test_is_idempotent(self) -> None:
        levels = torch.arange(256) / 255
        assert torch.equal(quantise(levels), levels)
