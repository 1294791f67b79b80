"""Brightness, neutral colours and the masks of cut-outs."""

import numpy as np
import pytest
from PIL import Image

from dcls_cli.image import from_array
from dcls_cli.image.photo import collect
from dcls_cli.upscaling import upscale
from dcls_cli.upscaling.finishing import edge_width, keep_brightness, keep_smooth
from dcls_cli.upscaling.planes import enlarged_by
from tests.upscaling.pictures import dog, graphic, network, reduced

BYTES = np.dtype(np.uint8)
SCALE = 4


def tone(period: int) -> np.ndarray:
    """Screen tone: black diagonal lines, (96, 96, 3)."""
    rows, columns = np.mgrid[:96, :96]
    lines = ((rows + columns) % period == 0)[..., None]
    return np.where(lines, 255, 0).repeat(3, axis=2).astype(np.uint8)


def checks(side: int) -> np.ndarray:
    rows, columns = np.mgrid[:96, :96] // side
    return np.where((rows + columns)[..., None] % 2, 235, 25).repeat(3, axis=2).astype(np.uint8)


def halftone() -> np.ndarray:
    return reduced(graphic("halftone-03").mean(axis=2, keepdims=True).repeat(3, 2), 4).to_samples(8)


PRINT = [tone(3), tone(4), checks(1), checks(2), halftone()]


@pytest.mark.parametrize("picture", PRINT, ids=["lines 3", "lines 4", "checks 1", "2", "halftone"])
@pytest.mark.parametrize("name", ["dcls-light-x4", "dcls-photo-x4"])
def test_print_keeps_its_shade_and_gets_no_colour(name: str, picture: np.ndarray) -> None:
    restored = collect(upscale(from_array(picture), network(name)), BYTES)
    assert np.array_equal(restored[..., 0], restored[..., 1])
    assert np.array_equal(restored[..., 0], restored[..., 2])
    assert abs(restored.mean() - picture.mean()) < 1


def test_an_even_slope_is_enlarged_bicubically() -> None:
    down, across = np.mgrid[:40, :50]
    slope = np.rint(60 + 0.7 * across + 0.3 * down)
    lr = (slope / 255).astype(np.float32)[None, None].repeat(3, axis=1)
    lr[..., 20:, :] = 1 - lr[..., 20:, :]
    plain = enlarged_by(lr, SCALE, Image.Resampling.BICUBIC)
    wrong = plain + 0.03
    kept = keep_smooth(lr, wrong, 1 / 255)
    for part in (np.s_[..., : 14 * SCALE, :], np.s_[..., 26 * SCALE :, :]):
        np.testing.assert_allclose(kept[part], plain[part], atol=1e-6)
    np.testing.assert_array_equal(kept[..., 79:81, :], wrong[..., 79:81, :])
    # Of 16 bits the same steps are detail.
    assert keep_smooth(lr, wrong, 1 / 65535) is wrong


def test_the_brightness_of_every_region_is_kept() -> None:
    random = np.random.default_rng(0)
    lr = random.random((1, 3, 40, 50), np.float32) * 0.2 + 0.4
    wrong = lr.repeat(SCALE, 2).repeat(SCALE, 3) + 0.1
    kept = keep_brightness(lr, wrong)
    difference = kept.reshape(1, 3, 40, SCALE, 50, SCALE).mean(axis=(3, 5)) - lr
    assert np.abs(difference.mean(axis=1)).max() < 1.5 / 255


def test_what_is_bright_enough_is_not_touched() -> None:
    lr = np.random.default_rng(0).random((2, 3, 20, 20), np.float32)
    exact = lr.repeat(SCALE, 2).repeat(SCALE, 3)
    assert keep_brightness(lr, exact) is exact


def test_a_photograph_is_hardly_touched() -> None:
    photo, backend = dog(1.6, SCALE), network()
    lr = photo.colour[:, slice(None), slice(None)][None]
    restored = backend.restore(lr, backend.estimate(lr[0], tiled=False))
    kept = keep_brightness(lr, restored)
    assert np.abs(kept.clip(0, 1) - restored.clip(0, 1)).mean() < 0.1 / 255


def disc(width: float) -> tuple[np.ndarray, np.ndarray]:
    """A mask whose edge is a ramp of so many LR pixels: large (H, W) and small, in [0, 1]."""
    side, fine = 64, SCALE * 8
    rows, columns = (np.mgrid[: side * fine, : side * fine] + 0.5) / fine
    outside = np.hypot(columns - side / 2 - 0.13, rows - side / 2 + 0.21) - 22.3
    mask = (0.5 - outside / width).clip(0, 1) if width else (outside < 0).astype(float)
    large = mask.reshape(side * SCALE, 8, side * SCALE, 8).mean(axis=(1, 3))
    return large, mask.reshape(side, fine, side, fine).mean(axis=(1, 3))


def errors(width: float) -> tuple[float, float, np.ndarray]:
    """RMSE of the alpha channel and of its bicubic enlargement, levels, and the alpha itself."""
    large, small = disc(width)
    levels = np.rint(small * 255).astype(np.uint8)
    picture = np.dstack([np.full((*levels.shape, 3), 200, np.uint8), levels])
    alpha = collect(upscale(from_array(picture), network()), BYTES)[..., 3].astype(float)
    size = tuple(side * SCALE for side in levels.shape)
    plain = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC), float)
    inner = np.s_[32:-32, 32:-32]
    rmse = [float(np.sqrt(np.mean((one - large * 255)[inner] ** 2))) for one in (alpha, plain)]
    return rmse[0], rmse[1], alpha


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6])
def test_soft_edges_of_transparency_are_no_worse_than_bicubic(width: float) -> None:
    ours, plain, alpha = errors(width)
    assert ours <= plain + 0.1
    across = alpha[128, 128:]
    assert (np.diff(across) <= 2).all()  # it falls outwards, without a second contour


@pytest.mark.parametrize("width", [0, 0.5])
def test_hard_edges_of_transparency_are_restored(width: float) -> None:
    ours, plain, _ = errors(width)
    assert ours < plain / 2


def test_a_mask_of_hard_and_soft_edges_has_both() -> None:
    """A cut-out with a shadow: each edge as it would be alone."""
    (hard_large, hard), (soft_large, soft) = disc(0), disc(6)
    mask, truth = np.hstack([hard, soft]), np.hstack([hard_large, soft_large])
    levels = np.rint(mask * 255).astype(np.uint8)
    picture = np.dstack([np.full((*levels.shape, 3), 200, np.uint8), levels])
    alpha = collect(upscale(from_array(picture), network()), BYTES)[..., 3] / 255
    for part, least in ((np.s_[32:-32, 32:224], 8), (np.s_[32:-32, 288:480], 1.2)):
        assert np.sqrt(np.mean((alpha - truth)[part] ** 2)) * 255 < least


def test_the_width_of_a_linear_edge() -> None:
    ramp = np.clip((np.arange(60, dtype=np.float32) - 20) / 12, 0, 1)
    mask = np.broadcast_to(ramp, (3, 40, 60))
    assert edge_width(mask) == pytest.approx(12 / 6, rel=0.02)
    assert edge_width(np.zeros((3, 5, 5), np.float32)) == 0
    assert edge_width(np.broadcast_to(np.float32([0, 0, 1, 1]), (3, 4, 4))) == 0


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_constant_alpha_channel_stays_so(level: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 4), np.uint8)
    picture[..., 3] = level
    alpha = collect(upscale(from_array(picture), network()), BYTES)[..., 3]
    assert np.abs(alpha.astype(int) - level).max() <= 1
