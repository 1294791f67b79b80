"""The Gaussian8 protocol against the oracle and against figures measured before."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli.errors import ImageError, UsageError
from dcls_cli.evaluation.gaussian8 import bicubic_restore, gaussian8, gaussian8_sample
from dcls_cli.evaluation.rows import Row, mean_row, rows_by_sigma
from dcls_cli.evaluation.samples import find_hr, read_hr
from tests import oracle

SHARED = Path(__file__).resolve().parents[3] / "shared"


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth noise, (H, W, 3) uint8."""
    noise = np.random.default_rng(seed).random((height // 4 + 2, width // 4 + 2, 3))
    smooth = oracle.imresize(noise, 4)[:height, :width]
    return np.uint8(np.round(np.clip(smooth, 0, 1) * 255))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, size in enumerate([(41, 50), (38, 33)]):
        Image.fromarray(photo(*size, seed=index)).save(tmp_path / f"photo_{index}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def oracle_rows(pixels: np.ndarray, scale: int) -> list[tuple[float, float, float]]:
    """(sigma, PSNR, SSIM) of bicubic as the oracle has it."""
    height, width = (side - side % scale for side in pixels.shape[:2])
    hr = pixels[:height, :width] / 255.0
    inner = np.s_[scale:-scale, scale:-scale]
    rows = []
    for sigma in oracle.SIG[scale]:
        lr = oracle.q8(oracle.imresize(oracle.blur(hr, sigma), 1 / scale))
        sr = oracle.q8(oracle.imresize(lr, scale))
        a, b = oracle.to_y(sr)[inner], oracle.to_y(hr)[inner]
        rows.append((sigma, oracle.psnr(a, b), oracle.ssim(a, b)))
    return rows


SLOW = pytest.mark.slow


class TestProtocol:
    """What is blurred, rounded, cropped and compared."""

    @pytest.mark.parametrize("scale", [2, 3, 4])
    def test_bicubic_equals_oracle(self, folder: Path, scale: int) -> None:
        paths = find_hr(folder)
        rows = gaussian8(paths, scale, bicubic_restore(scale))
        assert [row.image for row in rows] == ["photo_0.png"] * 8 + ["photo_1.png"] * 8
        expected = [
            figures for path in paths for figures in oracle_rows(np.array(Image.open(path)), scale)
        ]
        for row, (sigma, psnr_y, ssim_y) in zip(rows, expected, strict=True):
            assert row.sigma == sigma
            # A float32 LR image may round one SR sample otherwise.
            assert row.psnr_y == pytest.approx(psnr_y, abs=1e-3)
            assert row.ssim_y == pytest.approx(ssim_y, abs=1e-4)

    @pytest.mark.parametrize("scale", [pytest.param(2, marks=SLOW), pytest.param(3, marks=SLOW), 4])
    def test_bicubic_on_set5_equals_measured_figures(self, scale: int) -> None:
        table = SHARED / "evaluation" / "set5_bicubic.csv"
        if not table.exists():
            pytest.skip("the measured figures are not part of this checkout")
        with table.open() as file:
            measured = [line for line in csv.DictReader(file) if int(line["scale"]) == scale]
        paths = find_hr(SHARED / "data" / "Set5" / f"x{scale}" / "HR")
        rows = gaussian8(paths, scale, bicubic_restore(scale))
        for row, line in zip(rows, measured, strict=True):
            assert line["image"].startswith(row.image.removesuffix(".png"))
            assert row.sigma == pytest.approx(float(line["sigma"]), abs=1e-4)
            assert row.psnr_y == pytest.approx(float(line["psnr_y_db"]), abs=0.002)
            assert row.ssim_y == pytest.approx(float(line["ssim_y"]), abs=0.0002)

    def test_lr_is_float32_in_8_bit_steps(self) -> None:
        seen = []

        def restore(lr: np.ndarray) -> np.ndarray:
            seen.append(lr)
            return np.zeros((3, 40, 36))

        list(gaussian8_sample("x", photo(43, 37).transpose(2, 0, 1), 4).rows(restore))
        assert len(seen) == 8
        for lr in seen:
            assert (lr.shape, lr.dtype) == ((3, 10, 9), np.float32)
            assert np.array_equal(lr, np.round(lr * 255).astype(np.float32) / np.float32(255))

    def test_perfect_restoration(self) -> None:
        hr = photo(40, 40).transpose(2, 0, 1)
        rows = list(gaussian8_sample("x", hr, 2).rows(lambda _: hr / 255 + 1e-4))
        assert all(row.psnr_y == math.inf and row.psnr_rgb == math.inf for row in rows)
        assert all(row.ssim_y == pytest.approx(1) for row in rows)

    def test_borders_do_not_count(self) -> None:
        hr = photo(40, 40).transpose(2, 0, 1)
        framed = np.zeros((3, 40, 40))
        framed[:, 4:-4, 4:-4] = hr[:, 4:-4, 4:-4] / 255
        assert all(
            row.psnr_y == math.inf for row in gaussian8_sample("x", hr, 4).rows(lambda _: framed)
        )

    def test_psnr_rgb_by_hand(self) -> None:
        hr = np.full((3, 30, 30), 100, np.uint8)
        sample = gaussian8_sample("x", hr, 2)
        off = np.full((3, 30, 30), 110 / 255)
        row = next(sample.rows(lambda _: off, with_ssim=False))
        assert row.psnr_rgb == pytest.approx(20 * math.log10(255 / 10))
        assert row.ssim_y is None

    def test_non_finite_restoration_shows(self) -> None:
        sample = gaussian8_sample("x", photo(40, 40).transpose(2, 0, 1), 2)
        row = next(sample.rows(lambda _: np.full((3, 40, 40), np.nan)))
        assert math.isnan(row.psnr_y)


class TestPreparedSamples:
    """Images that are degraded once and evaluated often, as a training does."""

    def test_equal_the_function_each_time(self, folder: Path) -> None:
        paths = find_hr(folder)
        prepared = [gaussian8_sample(path.name, read_hr(path), 3) for path in paths]
        rows = gaussian8(paths, 3, bicubic_restore(3))
        for _ in range(2):
            assert [row for one in prepared for row in one.rows(bicubic_restore(3))] == rows


class TestMeans:
    """Summaries of rows."""

    ROWS = (
        Row("a", 1.0, 20.0, 0.5, 19.0),
        Row("a", 2.0, 18.0, 0.4, 17.0),
        Row("b", 1.0, 30.0, 0.9, 29.0),
        Row("b", 2.0, 28.0, 0.8, 27.0),
    )

    def test_of_all(self) -> None:
        assert mean_row(self.ROWS) == Row("mean", None, 24.0, pytest.approx(0.65), 23.0)

    def test_of_each_sigma(self) -> None:
        assert rows_by_sigma(self.ROWS) == [
            Row("mean", 1.0, 25.0, pytest.approx(0.7), 24.0),
            Row("mean", 2.0, 23.0, pytest.approx(0.6), 22.0),
        ]

    def test_without_ssim(self) -> None:
        assert mean_row([*self.ROWS, Row("c", 1.0, 1.0, None, 1.0)]).ssim_y is None

    def test_of_nothing(self) -> None:
        with pytest.raises(UsageError, match="nothing was evaluated"):
            mean_row([])


class TestBadInput:
    """Refusals."""

    def test_too_small(self) -> None:
        with pytest.raises(ImageError, match="tiny: 30x18 px is too small .* 20 px a side"):
            gaussian8_sample("tiny", np.zeros((3, 18, 30), np.uint8), 4)
        assert gaussian8_sample("just", np.zeros((3, 20, 30), np.uint8), 4).lr.shape == (8, 3, 5, 7)

    def test_not_8_bit_rgb(self) -> None:
        for wrong in (np.zeros((3, 40, 40)), np.zeros((40, 40, 3), np.uint8)):
            with pytest.raises(ImageError, match=r"expected \(3, H, W\) uint8, got"):
                gaussian8_sample("x", wrong, 4)

    def test_unknown_scale(self) -> None:
        with pytest.raises(UsageError, match="got 5"):
            gaussian8_sample("x", np.zeros((3, 40, 40), np.uint8), 5)

    def test_restoration_of_another_size(self) -> None:
        sample = gaussian8_sample("x", np.zeros((3, 40, 40), np.uint8), 4)
        with pytest.raises(ImageError, match=r"shape \(3, 40, 40\), got \(3, 20, 20\)"):
            list(sample.rows(bicubic_restore(2)))

    def test_folders(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="found no folder"):
            find_hr(tmp_path / "missing")
        with pytest.raises(ImageError, match="no HR image"):
            find_hr(tmp_path)


class TestReadHr:
    """Sharp images from files."""

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
    def test_becomes_rgb(self, tmp_path: Path, mode: str) -> None:
        grey = Image.fromarray(photo(20, 30)[..., 0])
        grey.convert(mode).save(tmp_path / "x.png")
        hr = read_hr(tmp_path / "x.png")
        assert (hr.shape, hr.dtype) == ((3, 20, 30), np.uint8)
        assert all(np.array_equal(plane, np.array(grey)) for plane in hr)

    def test_missing_damaged_or_no_image(self, tmp_path: Path) -> None:
        whole = tmp_path / "whole.png"
        Image.fromarray(photo(40, 40)).save(whole)
        (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-900])
        (tmp_path / "text.png").write_text("no image")
        for name in ("missing.png", "cut.png", "text.png"):
            with pytest.raises(ImageError, match=name):
                read_hr(tmp_path / name)
