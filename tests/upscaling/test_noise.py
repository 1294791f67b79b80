"""The network gets the noise that the user states, as power over variance."""

import numpy as np
import pytest

from dcls_cli.errors import UsageError
from dcls_cli.image import Photo, from_array
from dcls_cli.image.photo import collect
from dcls_cli.upscaling import upscale
from dcls_cli.upscaling.noise import KnownNoise, noise_of
from tests.upscaling.pictures import dog, network

BYTES = np.dtype(np.uint8)
ENGINES = ["torch", "onnx"]


@pytest.fixture(scope="module")
def grainy() -> Photo:
    clean = dog(1.2, 4).to_samples(8)[:64, :72].astype(float)
    noise = np.random.default_rng(0).normal(0, 6, clean.shape)
    return from_array(np.rint((clean + noise).clip(0, 255)).astype(np.uint8))


def variation(photo: Photo, engine: str, **options: object) -> float:
    """Mean step between neighbouring pixels of the result, levels."""
    restored = collect(upscale(photo, network("dcls-photo-x4", engine), **options), BYTES)  # type: ignore[arg-type]
    return float(np.abs(np.diff(restored.astype(float), axis=1)).mean())


@pytest.mark.parametrize("engine", ENGINES)
def test_less_noise_keeps_grain_and_more_smooths(grainy: Photo, engine: str) -> None:
    pytest.importorskip({"torch": "torch", "onnx": "onnxruntime"}[engine])
    steps = [variation(grainy, engine, noise=sigma) for sigma in (0.0, 3.0, 8.0, 20.0)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > 1.2 * steps[-1]


def test_engines_and_tiles_are_told_the_same(grainy: Photo) -> None:
    pytest.importorskip("onnxruntime")
    found = [
        collect(upscale(grainy, network("dcls-photo-x4", engine), noise=2.0, tile=tile), BYTES)
        for engine, tile in (("torch", 0), ("onnx", 0), ("torch", 64))
    ]
    for other in found[1:]:
        assert np.abs(found[0].astype(int) - other).max() <= 1


def test_the_ratio_is_that_of_powers() -> None:
    rng = np.random.default_rng(1)
    clean = rng.uniform(0.2, 0.8, (3, 700, 50)).astype(np.float32)
    noisy = clean + rng.normal(0, 10 / 255, clean.shape).astype(np.float32)
    told = KnownNoise(network("dcls-photo-x4"), noisy, 10.0).estimate(noisy[:, :64], tiled=False)
    expected = (10 / 255) ** 2 / clean.var()
    assert told.noise == pytest.approx(expected, rel=0.01)
    estimate = network("dcls-photo-x4").estimate(noisy[:, :64], tiled=False)
    np.testing.assert_array_equal(told.kernel, estimate.kernel)
    silent = KnownNoise(network("dcls-photo-x4"), noisy, 0.0).estimate(noisy[:, :64], tiled=False)
    assert silent.noise == pytest.approx(1e-6)


def test_a_network_that_takes_no_noise_refuses_it(grainy: Photo) -> None:
    with pytest.raises(UsageError, match="this one does not; give -m dcls-photo-x4"):
        upscale(grainy, network("dcls-light-x4"), noise=2.0)


@pytest.mark.parametrize("value", [-1.0, 129.0, float("nan")])
def test_what_is_no_noise_is_refused(value: float, grainy: Photo) -> None:
    with pytest.raises(UsageError, match="expected auto, or its standard deviation"):
        noise_of(value)
    with pytest.raises(UsageError, match="noise"):
        upscale(grainy, network("dcls-photo-x4"), noise=value)
