"""What the user asks to be given back is what the photo has, seen by SciPy and Pillow."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dcls_cli.config import KernelSpace
from dcls_cli.errors import UsageError
from dcls_cli.image import Photo, from_array
from dcls_cli.image.photo import collect
from dcls_cli.upscaling import upscale
from dcls_cli.upscaling.consistency import Damage
from dcls_cli.upscaling.fidelity import Misfit, check_fidelity, keep_faithful
from tests.upscaling.pictures import dog, network

FLOATS, BYTES = np.dtype(np.float32), np.dtype(np.uint8)

#: Pillow leaves out the taps beyond the borders, where ours repeat the last pixels.
INSIDE = np.s_[..., 8:-8, 8:-8]


def slanted(taps: int) -> np.ndarray:
    """A kernel that neither axis mirrors, so that a turned one is seen."""
    y, x = np.mgrid[:taps, :taps] - taps // 2
    kernel = np.exp(-((x + y) ** 2) / 12 - (x - y) ** 2 / 5)
    kernel[taps // 2 + 1, taps // 2 - 2] += 0.3
    return np.asarray(kernel / kernel.sum())


def disc(taps: int) -> np.ndarray:
    """Out of focus: some frequencies come back with their sign turned."""
    y, x = np.mgrid[:taps, :taps] - taps // 2
    kernel = (y**2 + x**2 <= (taps // 2) ** 2).astype(float)
    return np.asarray(kernel / kernel.sum())


def seen(sr: np.ndarray, kernel: np.ndarray, scale: int, space: KernelSpace) -> np.ndarray:
    """(C, s h, s w), blurred by SciPy and reduced by Pillow."""
    size = (sr.shape[2] // scale, sr.shape[1] // scale)

    def smaller(plane: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))

    def blurred(plane: np.ndarray) -> np.ndarray:
        return ndimage.correlate(plane, kernel.astype(np.float32), mode="nearest")

    order = (blurred, smaller) if space == "hr" else (smaller, blurred)
    return np.stack([order[1](order[0](plane)) for plane in sr.astype(np.float32)])


def explained_db(lr: np.ndarray, sr: np.ndarray, *how: object) -> float:
    error = (seen(sr, *how) - lr)[INSIDE]  # type: ignore[arg-type]
    return float(-10 * np.log10(np.square(error, dtype=float).mean()))


def noisy_dog() -> np.ndarray:
    """(3, h, w) in [0, 1], with noise that no sharp picture explains by itself."""
    photo = dog(1.6, 4)
    lr = photo.colour[:, slice(0, 60), slice(0, 72)]
    noise = np.random.default_rng(0).normal(0, 3 / 255, lr.shape)
    return np.asarray((lr + noise).clip(0.05, 0.95), np.float32)


@pytest.mark.parametrize("space", ["hr", "lr"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_misfit_goes_back_where_it_came_from(scale: int, space: KernelSpace) -> None:
    """<D x, y> = <x, D' y> for pictures that are black about the borders."""
    rng = np.random.default_rng(scale)
    damage = Damage(slanted(21 if space == "hr" else 5), scale, space, 1e-9)
    high, wide = np.zeros((1, 1, 50 * scale, 61 * scale), np.float32), np.zeros((1, 1, 50, 61))
    high[..., 20 * scale : 30 * scale, 20 * scale : 41 * scale] = rng.random(
        (10 * scale, 21 * scale)
    )
    wide[..., 16:34, 16:45] = rng.random((18, 29))
    back = damage.back(wide)
    assert back.shape == high.shape
    one, other = (damage.of(high) * wide).sum(), (high * back).sum() / scale**2
    np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(damage.back(np.ones((1, 2, 17, 5))), 1, atol=1e-5)


@pytest.mark.parametrize("space", ["hr", "lr"])
@pytest.mark.parametrize("scale", [2, 4])
def test_more_fidelity_explains_more_until_nothing_is_left(scale: int, space: KernelSpace) -> None:
    lr = noisy_dog()
    sr = lr.repeat(scale, 1).repeat(scale, 2)
    kernel = 0.3 * slanted(5)
    kernel[2, 2] += 0.7  # narrow, so that no frequency is lost
    found = []
    for fidelity in (0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        kept = keep_faithful(lr[None], sr[None], kernel, space, fidelity, level=1 / 255)[0]
        found.append(explained_db(lr, np.rint(kept * 255) / 255, kernel, scale, space))
    assert np.minimum(found, 65).tolist() == sorted(np.minimum(found, 65))
    assert found[0] < 45
    assert found[-1] > 58  # 58.9 dB is the rounding of 8 bits


def test_a_blur_that_turns_signs_does_not_run_away() -> None:
    lr = noisy_dog()
    sr = lr.repeat(4, 1).repeat(4, 2)
    half, whole = (
        keep_faithful(lr[None], sr[None], disc(19), "hr", fidelity, level=1 / 255)[0]
        for fidelity in (0.5, 1.0)
    )
    before, one, many = (explained_db(lr, x, disc(19), 4, "hr") for x in (sr, half, whole))
    assert before < one < many
    assert np.abs(whole - sr).mean() < 0.15


def test_the_network_alone_is_left_as_it_is() -> None:
    lr = noisy_dog()[None]
    sr, misfit = lr.repeat(4, 2).repeat(4, 3), Misfit()
    kept = keep_faithful(lr, sr, slanted(21), "hr", 0.0, level=1 / 255, misfit=misfit)
    assert kept is sr
    assert misfit.before_db == misfit.after_db


def test_the_misfit_is_that_of_scipy_and_pillow() -> None:
    lr, misfit = noisy_dog(), Misfit()
    sr = lr.repeat(4, 1).repeat(4, 2)
    kept = keep_faithful(lr[None], sr[None], slanted(21), "hr", 0.5, level=1 / 255, misfit=misfit)
    before, after = (explained_db(lr, x, slanted(21), 4, "hr") for x in (sr, kept[0]))
    assert after > before + 3
    assert misfit.before_db == pytest.approx(before, abs=0.4)  # borders count in one only
    assert misfit.after_db == pytest.approx(after, abs=0.4)


def test_what_is_explained_to_the_last_bit_has_no_figure() -> None:
    misfit = Misfit()
    flat = np.full((1, 3, 8, 8), 0.5, np.float32)
    misfit.add(flat - flat, flat - flat)
    assert misfit.before_db is None and misfit.after_db is None


@pytest.mark.parametrize("value", [-1.0, 2.0, 1.01, float("nan"), float("inf")])
def test_what_is_no_fidelity_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match=r"expected a number from 0 .* to 1"):
        check_fidelity(value)
    with pytest.raises(UsageError, match="fidelity"):
        upscale(from_array(np.zeros((4, 4, 3), np.uint8)), network(), fidelity=value)


@pytest.fixture(scope="module")
def camera() -> Photo:
    lr = np.rint(noisy_dog() * 255).astype(np.uint8)
    return from_array(np.ascontiguousarray(lr.transpose(1, 2, 0)).repeat(2, 0)[:, :96])


@pytest.mark.parametrize("fidelity", [0.3, 1.0])
def test_tiles_agree_with_one_piece(camera: Photo, fidelity: float) -> None:
    photo = network("dcls-photo-x4")
    tiled, whole = (
        collect(upscale(camera, photo, tile=tile, overlap=40, fidelity=fidelity), FLOATS)
        for tile in (80, 0)
    )
    assert -10 * np.log10(np.square(tiled - whole, dtype=float).mean()) > 90


def test_engines_agree(camera: Photo) -> None:
    pytest.importorskip("onnxruntime")
    one, other = (
        collect(upscale(camera, network("dcls-photo-x4", engine), fidelity=1.0), FLOATS)
        for engine in ("torch", "onnx")
    )
    assert np.abs(one - other).max() < 0.2 / 255


def test_a_neutral_picture_stays_neutral_and_transparency_as_it_is(camera: Photo) -> None:
    grey = camera.samples[..., :1].repeat(3, axis=2)
    alpha = np.zeros((*grey.shape[:2], 1), np.uint8)
    alpha[10:40, 20:50] = 255
    source = from_array(np.concatenate([grey, alpha], axis=2))
    plain, faithful = (
        collect(upscale(source, network("dcls-photo-x4"), fidelity=f), BYTES) for f in (0.0, 0.8)
    )
    assert (faithful[..., 0] == faithful[..., 1]).all()
    assert (faithful[..., 0] == faithful[..., 2]).all()
    assert np.abs(faithful[..., 0].astype(int) - plain[..., 0]).max() > 5
    np.testing.assert_array_equal(faithful[..., 3], plain[..., 3])


def test_a_blur_for_each_tile_explains_each_tile(camera: Photo) -> None:
    wide = replace(camera, samples=np.concatenate([camera.samples] * 2, axis=1))
    upscaled = upscale(wide, network("dcls-photo-x4"), kernel_mode="tile", fidelity=0.8)
    collect(upscaled, BYTES)
    before, after = upscaled.misfit.before_db, upscaled.misfit.after_db
    assert before is not None and after is not None
    assert after > before + 6
