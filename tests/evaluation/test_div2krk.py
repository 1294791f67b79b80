"""DIV2KRK: its construction against scipy, and the original's files as MATLAB writes them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import center_of_mass, correlate

from dcls_cli.errors import ImageError, UsageError
from dcls_cli.evaluation.benchmarks import BENCHMARKS, find_items
from dcls_cli.evaluation.div2krk import applied_twice, random_kernel, sampled, substitute
from dcls_cli.evaluation.gaussian8 import bicubic_restore
from dcls_cli.evaluation.matlab import read_matrix
from tests import oracle, scenes


def hr_of(height: int = 96, width: int = 80, seed: int = 0) -> np.ndarray:
    return np.uint8(np.round(255 * scenes.natural(height, width, seed))).transpose(2, 0, 1)


# ---------- kernels ----------


@pytest.mark.parametrize(("scale", "size"), [(2, 11), (4, 31)])
def test_kernels_have_the_size_the_sum_and_the_centre(scale: int, size: int) -> None:
    for seed in range(20):
        kernel = random_kernel(np.random.RandomState(seed), scale)
        assert kernel.shape == (size, size)
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1, abs=1e-12)
        wanted = size // 2 + (scale - 1) / 2
        assert center_of_mass(kernel) == pytest.approx((wanted, wanted), abs=1e-4)


def test_variances_lie_in_their_range_and_directions_anywhere() -> None:
    angles = []
    for seed in range(200):
        kernel = random_kernel(np.random.RandomState(seed), 2)
        offset = np.indices(kernel.shape) - 5.5
        covariance = np.einsum("iyx,jyx,yx->ij", offset, offset, kernel)
        small, large = np.linalg.eigvalsh(covariance)
        # 11 taps cut the widest Gaussians, and the taps are uneven.
        assert 0.4 < small <= large < 5.6
        angles.append(0.5 * np.arctan2(2 * covariance[0, 1], covariance[0, 0] - covariance[1, 1]))
    assert np.histogram(angles, 4, (-np.pi / 2, np.pi / 2))[0].min() > 25


def test_taps_are_uneven_by_a_quarter_at_most() -> None:
    kernel = random_kernel(np.random.RandomState(3), 2)
    logarithm = np.log(kernel)
    row, column = np.indices(kernel.shape).reshape(2, -1) - 5.5
    terms = np.stack([np.ones_like(row), row, column, row**2, column**2, row * column], 1)
    fitted = terms @ np.linalg.lstsq(terms, logarithm.ravel(), rcond=None)[0]
    uneven = np.exp(logarithm.ravel() - fitted)
    assert 0.1 < uneven.std() < 0.2  # uniform in 1 +- 0.25 has 0.144
    assert uneven.max() / uneven.min() < 1.25 / 0.75 * 1.3


def test_applied_twice_is_two_reductions() -> None:
    kernel = random_kernel(np.random.RandomState(1), 2)
    image = scenes.natural(128, 128).transpose(2, 0, 1)
    once = sampled(sampled(image, kernel, 2), kernel, 2)
    both = sampled(image, applied_twice(kernel), 4)
    np.testing.assert_allclose(both[:, 8:-8, 8:-8], once[:, 8:-8, 8:-8], atol=1e-12)


@pytest.mark.parametrize("scale", [2, 4])
def test_sampling_is_scipy_s_correlation(scale: int) -> None:
    kernel = random_kernel(np.random.RandomState(2), scale)
    image = scenes.natural(64, 48)
    expected = correlate(image, kernel[..., None], mode="reflect")[::scale, ::scale]
    found = sampled(image.transpose(2, 0, 1), kernel, scale).transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=1e-12)


# ---------- the substitute ----------


def test_the_substitute_depends_on_the_pixels_alone() -> None:
    first, again = substitute("a", hr_of(), 4), substitute("b", hr_of(), 4)
    assert np.array_equal(first.lr, again.lr)
    other = substitute("a", hr_of(seed=1), 4)
    assert first.kernels[0] is not None
    assert other.kernels[0] is not None
    assert np.abs(first.kernels[0].taps - other.kernels[0].taps).max() > 1e-4


def test_the_enlarged_image_is_aligned_with_the_original() -> None:
    sample = substitute("a", hr_of(128, 128), 2)
    sharp = oracle.to_y(sample.hr.transpose(1, 2, 0) / 255.0)
    small = sample.lr[0].astype(np.float32) / np.float32(255)
    enlarged = oracle.to_y(bicubic_restore(2)(small).transpose(1, 2, 0))
    errors = {
        shift: np.mean((np.roll(enlarged, shift, (0, 1)) - sharp)[8:-8, 8:-8] ** 2)
        for shift in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
    }
    assert min(errors, key=lambda shift: errors[shift]) == (0, 0)


def test_there_is_no_such_set_at_three() -> None:
    with pytest.raises(UsageError, match="scales 2 and 4, got 3"):
        substitute("a", hr_of(), 3)


# ---------- the original ----------


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Two images in the layout of the original, with kernels as SciPy writes them."""
    root = tmp_path / "DIV2KRK"
    for folder in ("gt", "lr_x4", "gt_k_x4"):
        (root / folder).mkdir(parents=True)
    for number in (1, 10):
        hr = hr_of(seed=number)
        sample = substitute("x", hr, 4)
        assert sample.kernels[0] is not None
        Image.fromarray(hr.transpose(1, 2, 0)).save(root / "gt" / f"img_{number}_gt.png")
        Image.fromarray(sample.lr[0].transpose(1, 2, 0)).save(root / "lr_x4" / f"im_{number}.png")
        savemat(root / "gt_k_x4" / f"kernel_{number}.mat", {"Kernel": sample.kernels[0].taps})
    return tmp_path


def test_the_original_is_read_as_it_was_made(data_set: Path) -> None:
    items = find_items("div2krk", 4, None, None, data_set)
    assert [item.hr.name for item in items] == ["img_1_gt.png", "img_10_gt.png"]
    for item, number in zip(items, (1, 10), strict=True):
        found = BENCHMARKS["div2krk"].prepare(item, 4)
        made = substitute("x", hr_of(seed=number), 4)
        assert np.array_equal(found.lr, made.lr)
        assert np.array_equal(found.hr, made.hr)
        assert found.kernels[0] is not None
        assert made.kernels[0] is not None
        np.testing.assert_allclose(found.kernels[0].taps, made.kernels[0].taps, atol=1e-15)


def test_without_kernels_the_pictures_are_read_all_the_same(data_set: Path) -> None:
    for path in (data_set / "DIV2KRK" / "gt_k_x4").iterdir():
        path.unlink()
    item = find_items("div2krk", 4, None, None, data_set / "DIV2KRK")[0]
    assert BENCHMARKS["div2krk"].prepare(item, 4).kernels == (None,)


def test_what_is_missing_is_named(data_set: Path) -> None:
    (data_set / "DIV2KRK" / "lr_x4" / "im_10.png").unlink()
    with pytest.raises(ImageError, match=r"lr_x4: no image of number 10, which img_10_gt\.png has"):
        find_items("div2krk", 4, None, None, data_set)
    with pytest.raises(ImageError, match="lr_x2"):
        find_items("div2krk", 2, None, None, data_set)


# ---------- MATLAB files ----------


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["<f8", "<f4", "<i2", "<u1"])
def test_matrices_as_scipy_writes_them(tmp_path: Path, compressed: bool, kind: str) -> None:
    matrix = (np.arange(12).reshape(3, 4) * 3.5).astype(kind)
    path = tmp_path / "k.mat"
    savemat(path, {"a": np.eye(2), "Kernel": matrix}, do_compression=compressed)
    found = read_matrix(path, "Kernel")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, matrix.astype(np.float64))
    with pytest.raises(ImageError, match="has no matrix kernel"):
        read_matrix(path, "kernel")


def test_files_that_are_none(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mat"
    savemat(whole, {"Kernel": np.eye(31)})
    content = whole.read_bytes()
    for name, bad in (
        ("cut", content[:2000]),
        ("text", b"no kernel"),
        ("noise", content[:128] + bytes(range(256)) * 8),
        ("empty", b""),
    ):
        path = tmp_path / f"{name}.mat"
        path.write_bytes(bad)
        with pytest.raises(ImageError, match=f"{name}.mat"):
            read_matrix(path, "Kernel")
    with pytest.raises(ImageError, match="missing.mat"):
        read_matrix(tmp_path / "missing.mat", "Kernel")
