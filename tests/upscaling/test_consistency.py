"""The model of the damage against SciPy and Pillow, and what is mended by it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dcls_cli.config import KernelSpace
from dcls_cli.image import decode
from dcls_cli.image.photo import collect
from dcls_cli.upscaling import consistency, upscale
from dcls_cli.upscaling.consistency import degraded, keep_consistent
from dcls_cli.upscaling.finishing import keep_range
from tests.upscaling.pictures import dog, graphic, network, reduced


def slanted(taps: int) -> np.ndarray:
    """A kernel that neither axis mirrors, so that a turned one is seen."""
    y, x = np.mgrid[:taps, :taps] - taps // 2
    kernel = np.exp(-((x + y) ** 2) / 12 - (x - y) ** 2 / 5)
    kernel[taps // 2 + 1, taps // 2 - 2] += 0.3
    return np.asarray(kernel / kernel.sum())


def smooth_noise(*shape: int) -> np.ndarray:
    noise = np.random.default_rng(0).random(shape)
    return ndimage.gaussian_filter(noise, (0, 0, 2, 2)).astype(np.float32)


def smaller(plane: np.ndarray, scale: int) -> np.ndarray:
    size = (plane.shape[1] // scale, plane.shape[0] // scale)
    image = Image.fromarray(plane.astype(np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


@pytest.mark.parametrize("space", ["hr", "lr"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_blur_and_reduction_are_those_of_scipy_and_pillow(
    scale: int, space: KernelSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consistency, "SMALLEST_PART", 1e-6)
    sr = smooth_noise(2, 3, 41 * scale, 36 * scale)
    kernel = slanted(21 if space == "hr" else 7)
    ours = degraded(sr, kernel, scale, space)
    assert ours.shape == (2, 3, 41, 36)
    for image, planes in zip(ours, sr, strict=True):
        for found, plane in zip(image, planes, strict=True):
            if space == "hr":
                expected = smaller(ndimage.correlate(plane, kernel, mode="nearest"), scale)
            else:
                expected = ndimage.correlate(smaller(plane, scale), kernel, mode="nearest")
            # Pillow leaves out the taps beyond the borders.
            inside = np.s_[8:-8, 8:-8]
            assert np.abs(found - expected)[inside].max() < 3e-4
            assert np.abs(found - expected).max() < 0.03


def test_parts_that_are_left_out_change_an_edge_by_little() -> None:
    edge = np.zeros((1, 1, 160, 160), np.float32)
    edge[..., 83:] = 1
    ours = degraded(edge, slanted(21), 4, "hr")[0, 0]
    expected = smaller(ndimage.correlate(edge[0, 0], slanted(21), mode="nearest"), 4)
    assert np.abs(ours - expected)[8:-8, 8:-8].max() < consistency.MISFIT / 4


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (16, 17)])
def test_small_pictures_of_one_value_stay_so(size: tuple[int, int]) -> None:
    lr = np.full((1, 3, *size), 0.4, np.float32)
    sr = lr.repeat(4, 2).repeat(4, 3)
    np.testing.assert_allclose(degraded(sr, slanted(21), 4, "hr"), lr, atol=1e-3)
    assert keep_consistent(lr, sr, slanted(21), "hr") is sr


def test_a_restoration_that_explains_its_input_stays_as_it_is() -> None:
    sr = smooth_noise(1, 3, 120, 160)
    lr = degraded(sr, slanted(21), 4, "hr")
    noisy = lr + np.random.default_rng(1).normal(0, 3 / 255, lr.shape).astype(np.float32)
    assert keep_consistent(noisy, sr, slanted(21), "hr") is sr


def test_what_contradicts_the_input_is_mended_where_it_does() -> None:
    sr = smooth_noise(1, 3, 160, 160)
    kernel = slanted(21)
    lr = degraded(sr, kernel, 4, "hr")
    wrong = sr.copy()
    wrong[..., :80, :80] = 1 - wrong[..., :80, :80]
    wrong[..., :80, :80] += 0.4
    kept = keep_consistent(lr, wrong, kernel, "hr")
    before, after = (np.abs(degraded(x, kernel, 4, "hr") - lr) for x in (wrong, kept))
    assert after[..., :16, :16].mean() < before[..., :16, :16].mean() / 2
    np.testing.assert_array_equal(kept[..., 140:, 140:], wrong[..., 140:, 140:])


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = (one.astype(float) - other)[4:-4, 4:-4]
    return float(10 * np.log10(255**2 / np.mean(error**2)))


@pytest.mark.parametrize("name", ["halftone-00", "halftone-04", "halftone-08"])
def test_print_in_a_jpeg_is_better_than_bicubic(name: str) -> None:
    """Dots as fine as the pixels, which the network takes for others: case 25's kind."""
    file = BytesIO()
    small = reduced(graphic(name), 4).to_samples(8)
    Image.fromarray(small).save(file, "JPEG", quality=75)
    lr = np.asarray(Image.open(file).convert("RGB"))
    restored = collect(upscale(decode(file), network("dcls-photo-x4")), np.dtype(np.uint8))
    large = (lr.shape[1] * 4, lr.shape[0] * 4)
    plain = np.asarray(Image.fromarray(lr).resize(large, Image.Resampling.BICUBIC))
    truth = graphic(name)[: plain.shape[0], : plain.shape[1]]
    assert psnr(restored, truth) > psnr(plain, truth)


def test_drawn_parts_keep_to_the_colours_around_them() -> None:
    lr = np.full((1, 3, 30, 40), 0.2, np.float32)
    lr[..., 20:] = 0.7
    overshot = lr.repeat(4, 2).repeat(4, 3)
    overshot[..., 80:84] += 0.2
    overshot[..., 76:80] -= 0.1
    kept = keep_range(lr, overshot, 0.0)
    np.testing.assert_allclose(kept, np.clip(overshot, 0.2, 0.7), atol=1e-6)


def test_photographs_keep_their_highlights() -> None:
    photo = dog(1.6, 4)
    lr = photo.colour[:, slice(None), slice(None)][None]
    sr = lr.repeat(4, 2).repeat(4, 3) * 1.1 - 0.05
    kept = keep_range(lr, sr, 0.0)
    assert np.abs(kept - sr).mean() < 1e-4
    assert np.abs(keep_range(lr, sr, 1.0) - sr).mean() > 5e-3
