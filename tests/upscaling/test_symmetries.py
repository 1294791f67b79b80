"""Eight flips and rotations: seen rightly, with the blur turned along, and better in the mean."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcls_cli.errors import UsageError
from dcls_cli.image import Photo, from_array
from dcls_cli.image.photo import collect
from dcls_cli.metrics import psnr
from dcls_cli.upscaling import upscale
from dcls_cli.upscaling.symmetries import Turned, symmetries
from tests.upscaling.pictures import ROOT, dog, network
from tests.upscaling.test_fidelity import slanted

FLOATS = np.dtype(np.float32)


def restored(photo: Photo, engine: str = "torch", name: str = "dcls-light-x4", **how: Any) -> Any:  # noqa: ANN401
    return collect(upscale(photo, network(name, engine), **how), FLOATS)


@pytest.fixture(scope="module")
def photo() -> Photo:
    return from_array(dog(1.8, 4).to_samples(8)[:52, :60])


def test_there_are_eight_and_each_is_undone() -> None:
    image = np.random.default_rng(0).random((2, 3, 5, 7))
    turned = [symmetry.of(image) for symmetry in symmetries()]
    np.testing.assert_array_equal(turned[0], image)
    assert len({each.tobytes() for each in turned}) == 8
    for symmetry, each in zip(symmetries(), turned, strict=True):
        np.testing.assert_array_equal(symmetry.back(each), image)


def test_windows_of_a_turned_photo_are_those_of_the_whole() -> None:
    image = np.random.default_rng(0).random((3, 9, 14), np.float32)
    window = np.s_[:, 2:8, 3:7]
    for symmetry in symmetries():
        whole, seen = symmetry.of(image), Turned(image, symmetry)
        assert seen.shape == whole.shape
        np.testing.assert_array_equal(seen[window], whole[window])
        np.testing.assert_array_equal(seen[:, slice(None), slice(None)], whole)


def test_a_turned_photo_with_its_blur_turned_gives_the_turned_result(photo: Photo) -> None:
    kernel = slanted(21).astype(np.float32)
    samples = photo.samples
    turned = from_array(np.ascontiguousarray(samples[:, ::-1].swapaxes(0, 1)))
    kernel_turned = np.ascontiguousarray(kernel[:, ::-1].T)

    def agreement_db(*, tta: bool) -> float:
        one = restored(photo, kernel=kernel, tta=tta)
        other = restored(turned, kernel=kernel_turned, tta=tta)
        return psnr(other, one[:, ::-1].swapaxes(0, 1), peak=1.0)

    assert agreement_db(tta=True) > 75
    assert agreement_db(tta=False) < 60


def test_the_mean_is_better() -> None:
    original = np.asarray(Image.open(ROOT / "examples" / "dog-original.png").convert("RGB")) / 255

    def psnr_db(*, tta: bool) -> float:
        return psnr(restored(dog(1.8, 4), tta=tta), original, peak=1.0)

    assert psnr_db(tta=True) > psnr_db(tta=False) + 0.03


@pytest.mark.parametrize("name", ["dcls-light-x4", "dcls-photo-x4"])
def test_tiles_and_engines_agree(photo: Photo, name: str) -> None:
    whole = restored(photo, name=name, tta=True, tile=0)
    tiled = restored(photo, name=name, tta=True, tile=48, overlap=40)
    assert psnr(tiled, whole, peak=1.0) > 90
    assert np.abs(restored(photo, "onnx", name, tta=True, tile=0) - whole).max() < 1 / 255


def test_alpha_is_restored_once(photo: Photo) -> None:
    alpha = np.linspace(0, 255, photo.samples[..., 0].size).reshape(photo.samples.shape[:2])
    clear = from_array(np.dstack([photo.samples, alpha.astype(np.uint8)]))
    single, mean = (restored(clear, tta=tta) for tta in (False, True))
    np.testing.assert_array_equal(mean[..., 3], single[..., 3])
    assert np.abs(mean[..., :3] - single[..., :3]).max() > 1e-3


def test_a_blur_for_each_tile_is_refused(photo: Photo) -> None:
    with pytest.raises(UsageError, match="--tta turns one blur"):
        restored(photo, tta=True, kernel_mode="tile")
