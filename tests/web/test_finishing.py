"""What the page makes of restored tiles equals what Python makes of them; needs Node only."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dcls_cli.config import KernelSpace
from dcls_cli.image.photo import SampleRaster
from dcls_cli.upscaling import consistency, fidelity, finishing
from dcls_cli.upscaling.survey import survey
from tests.web import pictures
from tests.web.nodes import call

#: Of full scale: what the order of sums in float32 makes.
CLOSE = 2e-6

MASKS: dict[str, Callable[[], np.ndarray]] = {
    "discs": lambda: pictures.discs(70, 93),
    **{f"ramp of {edge} px": lambda edge=edge: pictures.ramp(61, 80, edge) for edge in range(1, 7)},
    "both": lambda: pictures.half_soft(80, 70),
    "noise": lambda: pictures.noise(40, 33)[..., 0],
    "one level": lambda: 100 + pictures.discs(40, 40) // 255,
    "empty": lambda: np.zeros((20, 30), np.uint8),
    "smallest": lambda: pictures.ramp(8, 8, 3),
    "narrow": lambda: pictures.discs(8, 40),
}


def colours(photo: np.ndarray) -> np.ndarray:
    """(1, 3, h, w) in [0, 1]."""
    return SampleRaster(photo, 255)[:, :, :][None]


def degraded(lr: np.ndarray, seed: int = 7, bias: float = 0.0) -> np.ndarray:
    """A restoration (N, 3, 4 h, 4 w) that is too dark or too bright in places, and out of range."""
    random = np.random.default_rng(seed)
    large = lr.repeat(4, axis=2).repeat(4, axis=3)
    wave = 0.2 * np.sin(np.arange(large.shape[3]) / 19)
    return np.asarray(large + wave + bias + random.normal(0, 0.2, large.shape), np.float32)


def finished(module: str, code: str, lr: np.ndarray, sr: np.ndarray, *more: object) -> np.ndarray:
    """What `code` makes of the tile and its restoration, flat."""
    height, width = lr.shape[2:]
    full = f"""
      const [lr, sr] = given.slice(0, 2).map((values) => Float32Array.from(values));
      const [high, wide] = given[2];
      const sides = {{ high, wide, scale: 4 }};
      {code}
    """
    flat = [part.ravel().tolist() for part in (lr, sr)]
    return np.array(call(module, full, *flat, [height, width], *more), np.float32)


@pytest.mark.parametrize("size", [(64, 50), (8, 8), (9, 33)])
@pytest.mark.parametrize("bias", [0.0, 0.05])
def test_brightness_is_kept_as_in_python(size: tuple[int, int], bias: float) -> None:
    lr = colours(pictures.noise(*size))
    sr = degraded(lr, bias=bias)
    code = "return module.keepBrightness(lr, sr, sides);"
    expected = finishing.keep_brightness(lr, sr)
    assert np.abs(expected - sr).max() > 0.01
    ours = finished("finishing.mjs", code, lr, sr)
    np.testing.assert_allclose(ours.reshape(expected.shape), expected, atol=CLOSE)


def test_a_right_restoration_stays_as_it_is() -> None:
    lr = colours(pictures.flag(30, 40))
    sr = lr.repeat(4, axis=2).repeat(4, axis=3)
    code = "return module.keepBrightness(lr, sr, sides);"
    np.testing.assert_array_equal(finished("finishing.mjs", code, lr, sr), sr.ravel())


@pytest.mark.parametrize("name", ["flag", "logo", "tone", "flat", "noise", "slope"])
def test_smooth_parts_are_kept_as_in_python(name: str) -> None:
    lr = colours(getattr(pictures, name)(40, 57))
    sr = degraded(lr)
    expected = finishing.keep_smooth(lr, sr, 1 / 255)
    assert (expected == sr).all() == (name in ("tone", "noise"))
    ours = finished("finishing.mjs", "return module.keepSmooth(lr, sr, sides);", lr, sr)
    np.testing.assert_allclose(ours.reshape(expected.shape), expected, atol=CLOSE)


@pytest.mark.parametrize("few_colours", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("name", ["flag", "logo", "tone", "flat", "noise"])
def test_ranges_are_kept_as_in_python(name: str, few_colours: float) -> None:
    lr = colours(getattr(pictures, name)(40, 57))
    sr = degraded(lr)
    expected = finishing.keep_range(lr, sr, few_colours)
    ours = finished(
        "finishing.mjs", f"return module.keepRange(lr, sr, sides, {few_colours});", lr, sr
    )
    np.testing.assert_allclose(ours.reshape(expected.shape), expected, atol=CLOSE)


def slanted(taps: int) -> np.ndarray:
    """A kernel that neither axis mirrors."""
    y, x = np.mgrid[:taps, :taps] - taps // 2
    kernel = np.exp(-((x + y) ** 2) / 12 - (x - y) ** 2 / 5)
    kernel[taps // 2 + 1, taps // 2 - 2] += 0.3
    return np.asarray(kernel / kernel.sum(), np.float32)


@pytest.mark.parametrize(("space", "taps"), [("hr", 21), ("lr", 7)])
@pytest.mark.parametrize("size", [(24, 31), (8, 8)])
def test_consistency_is_kept_as_in_python(
    size: tuple[int, int], space: KernelSpace, taps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consistency, "SMALLEST_PART", 1e-6)
    lr = colours(pictures.tone(*size))
    sr = degraded(lr)
    kernel = slanted(taps)
    expected = consistency.keep_consistent(lr, sr, kernel, space)
    assert np.abs(expected - sr).max() > 0.1
    code = """
      const kernel = { taps: Float32Array.from(given[3]), space: given[4] };
      return module.keepConsistent(lr, sr, sides, kernel);
    """
    ours = finished("consistency.mjs", code, lr, sr, kernel.ravel().tolist(), space)
    np.testing.assert_allclose(ours.reshape(expected.shape), expected, atol=1e-3)


@pytest.mark.parametrize("wanted", [0.0, 0.25, 0.5, 0.6, 0.9])
@pytest.mark.parametrize(("space", "taps"), [("hr", 21), ("lr", 7)])
def test_fidelity_is_reached_as_in_python(
    space: KernelSpace, taps: int, wanted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fidelity, "_SMALLEST_PART", 1e-6)
    lr = colours(pictures.noise(19, 24))
    sr = degraded(lr).clip(0, 1)
    kernel = slanted(taps)
    expected = fidelity.keep_faithful(lr, sr, kernel, space, wanted, level=1 / 255)
    assert (np.abs(expected - sr).max() > 0.02) == (wanted > 0)
    code = """
      const kernel = { taps: Float32Array.from(given[3]), space: given[4] };
      return module.keepFaithful(lr, sr, sides, kernel, given[5]);
    """
    flat = kernel.ravel().tolist()
    ours = finished("fidelity.mjs", code, lr, sr, flat, space, wanted)
    np.testing.assert_allclose(ours.reshape(expected.shape), expected, atol=1e-4)


@pytest.mark.parametrize("neutral", [True, False])
def test_colours_are_finished_as_in_python(neutral: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consistency, "SMALLEST_PART", 1e-6)
    photo = pictures.tone(40, 57) if neutral else pictures.logo(40, 57)
    lr = colours(photo)
    sr = degraded(lr)
    kernel = slanted(21)
    seen = replace(survey(SampleRaster(photo, 255)), few_colours=0.5)
    assert seen.neutral == neutral
    expected = finishing.finish_colours("hr", seen, 1 / 255)(lr, sr, kernel)
    code = """
      const kernel = { taps: Float32Array.from(given[4]), space: "hr" };
      const seen = { neutral: given[3], fewColours: 0.5 };
      return module.finishColours(seen, kernel, 0)(lr, sr, sides);
    """
    flat = kernel.ravel().tolist()
    ours = finished("finishing.mjs", code, lr, sr, neutral, flat).reshape(expected.shape)
    np.testing.assert_allclose(ours, expected, atol=2e-3)
    if neutral:
        np.testing.assert_array_equal(ours[:, 0], ours[:, 2])


@pytest.mark.parametrize("name", MASKS)
def test_masks_are_finished_as_in_python(name: str) -> None:
    mask = MASKS[name]()
    raster = SampleRaster(mask[..., None], 255)
    lr = raster[:, :, :][None]
    sr = degraded(lr)
    expected = finishing.finish_mask(raster)(lr, sr, slanted(3))
    code = """
      const picture = { ...given[3], samples: Uint8ClampedArray.from(given[3].samples) };
      return [...module.finishMask(picture)(lr, sr, sides), module.edgeWidth(picture)];
    """
    rgba = np.dstack([pictures.noise(*mask.shape), mask])
    picture = {"width": mask.shape[1], "height": mask.shape[0], "samples": rgba.ravel().tolist()}
    *plane, width = finished("masks.mjs", code, lr, sr, picture)
    assert width == pytest.approx(finishing.edge_width(raster), rel=1e-6)
    for channel in expected[0]:
        np.testing.assert_allclose(np.reshape(plane, channel.shape), channel, atol=CLOSE)


@pytest.mark.parametrize("name", MASKS)
def test_hardness_is_that_of_python(name: str) -> None:
    mask = (MASKS[name]() / np.float32(255)).astype(np.float32)
    code = """
      const [high, wide] = given[1];
      return module.hardness(Float32Array.from(given[0]), { high, wide });
    """
    ours = call("masks.mjs", code, mask.ravel().tolist(), [*mask.shape])
    theirs = finishing._hardness(mask[None, None])[0, 0]
    np.testing.assert_array_equal(np.reshape(ours, mask.shape).astype(np.float32), theirs)
