"""What the page finds of a picture and its blur equals what Python finds; needs Node only."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcls_cli.backends import Blur
from dcls_cli.config import ModelConfig
from dcls_cli.image.photo import SampleRaster
from dcls_cli.kernels import kernel_width_px
from dcls_cli.upscaling import finding, survey
from dcls_cli.upscaling.finding import find_blur
from tests.web import pictures
from tests.web.nodes import SOURCE, call

PHOTOS: dict[str, Callable[[], np.ndarray]] = {
    "noise": lambda: pictures.noise(143, 201),
    "small noise": lambda: pictures.noise(40, 31),
    "one band and a row": lambda: pictures.noise(129, 66),
    "smallest": lambda: pictures.noise(8, 8),
    "flat": lambda: pictures.flat(70, 90),
    "smallest flat": lambda: pictures.flat(8, 8),
    "neutral": lambda: np.repeat(pictures.noise(99, 150)[..., :1], 3, axis=2),
    "flag": lambda: pictures.flag(135, 201),
    "logo": lambda: pictures.logo(100, 120),
    "tone": lambda: pictures.tone(150, 200),
    "long": lambda: pictures.noise(9, 700),
}


def given(photo: np.ndarray) -> dict[str, object]:
    """A picture as the page has it: RGB and alpha, opaque where it has three channels."""
    height, width, channels = photo.shape
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[..., :channels] = photo
    return {"width": width, "height": height, "samples": rgba.ravel().tolist()}


_PICTURE = "const picture = { ...given[0], samples: Uint8ClampedArray.from(given[0].samples) };"


@pytest.mark.parametrize("name", PHOTOS)
def test_a_glance_sees_what_it_sees_in_python(name: str) -> None:
    photo = PHOTOS[name]()
    ours = call("survey.mjs", f"{_PICTURE} return module.survey(picture, 'colour');", given(photo))
    theirs = survey.survey(SampleRaster(photo, 255))
    assert (ours["rows"], ours["columns"]) == theirs.detail.shape
    np.testing.assert_array_equal(np.reshape(ours["detail"], theirs.detail.shape), theirs.detail)
    assert ours["flat"] == theirs.flat
    assert ours["neutral"] == theirs.neutral
    assert ours["fewColours"] == theirs.few_colours
    assert (ours["colours"] is None) == (theirs.colours is None)
    if theirs.colours is not None:
        np.testing.assert_allclose(ours["colours"], theirs.colours, atol=1e-5)


def test_the_alpha_channel_is_looked_at_as_a_grey_picture() -> None:
    rgba = np.dstack([pictures.noise(70, 90), pictures.discs(70, 90)])
    ours = call("survey.mjs", f"{_PICTURE} return module.survey(picture, 'alpha');", given(rgba))
    theirs = survey.survey(SampleRaster(rgba[..., 3:], 255))
    np.testing.assert_array_equal(np.reshape(ours["detail"], theirs.detail.shape), theirs.detail)
    assert (ours["flat"], ours["neutral"], ours["colours"]) == (theirs.flat, True, None)


@pytest.mark.parametrize("name", PHOTOS)
def test_windows_of_the_sample_are_those_of_python(name: str) -> None:
    photo = PHOTOS[name]()
    raster = SampleRaster(photo, 255)
    theirs = [
        {"top": rows.start, "left": columns.start}
        for rows, columns in finding._places(raster, survey.survey(raster))
    ]
    code = f"""
      const {{ survey }} = await import({(SOURCE / "survey.mjs").as_uri()!r});
      {_PICTURE}
      return module.places(picture.height, picture.width, survey(picture, "colour"));
    """
    assert call("sample.mjs", code, given(photo)) == theirs


def test_values_between_points_are_those_of_numpy() -> None:
    places = [0.5, 1.08, 1.1, 1.38, 1.6, 2.0, 2.5]
    code = """
      const { interpolated, SHARPNESS, WIDEST_LR_PX } = module;
      return given[0].map((at) => interpolated(at, SHARPNESS, WIDEST_LR_PX));
    """
    theirs = np.interp(places, finding._SHARPNESS, finding._WIDEST_LR_PX)
    np.testing.assert_allclose(call("finding.mjs", code, places), theirs, rtol=1e-12)


@dataclass(frozen=True)
class Echo:
    """A network that finds `kernel`, and restores by an enlargement that its kernel sharpens."""

    kernel: np.ndarray
    narrow: np.ndarray
    strength: float
    config: ModelConfig

    def estimate(self, lr: Any, *, tiled: bool, kernel: None = None) -> Blur:  # noqa: ANN401
        assert kernel is None
        window = lr[slice(0, 3), slice(0, 9999), slice(0, 9999)]
        if isinstance(lr, np.ndarray):
            assert lr.shape == (3, 96, 96)
            return Blur(self.narrow, np.zeros((2, 3, 3), np.float32), np.float32(0.5))
        mean = np.float32(np.mean(window, dtype=np.float64))
        return Blur(self.kernel, np.full((2, 3, 3), mean, np.float32), np.float32(0.25))

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        """Each step of the enlargement by pixel, with stripes as strong as the kernel is wide."""
        assert blur.smoothing is not None
        sharp = lr.repeat(4, axis=2).repeat(4, axis=3)
        stripe = np.where(np.arange(sharp.shape[3]) % 2, 1, -1) * (1 + blur.smoothing[0, 0, 0])
        return np.asarray(sharp + self.strength * kernel_width_px(blur.kernel) * stripe, np.float32)


_ECHO = """
  globalThis.fetch = async () => new Response(new Uint8Array(96 * 96));
  const { widthOf } = await import(new URL("kernel.mjs", given[1].base));
  const { kernel, narrow, strength } = given[1];
  class Tensor { constructor(type, data, dims) { Object.assign(this, { data, dims }); } }
  const tensor = (data, dims) => new Tensor("float32", Float32Array.from(data), dims);
  const sides = [1, 1, 21, 21];
  const network = {
    ort: { Tensor },
    config: { scale: 4, kernel_space: "hr", estimator_blocks: 5 },
    estimate: async (height, width, cut) => {
      const whole = { rows: { start: 0, stop: height }, columns: { start: 0, stop: width } };
      const planes = cut(whole);
      const mean = planes.reduce((sum, value) => sum + value, 0) / planes.length;
      const sharp = planes.every((value) => value === 0);
      return {
        kernel: tensor(sharp ? narrow : kernel, sides),
        smoothing: tensor(Array(18).fill(sharp ? 0 : mean), [1, 2, 3, 3]),
        noise: tensor([sharp ? 0.5 : 0.25], [1]),
      };
    },
    restore: async (lr, high, wide, blur) => {
      const strong = strength * widthOf(blur.kernel.data) * (1 + blur.smoothing.data[0]);
      return Float32Array.from({ length: 16 * lr.length }, (_, at) => {
        const [x, y] = [at % (4 * wide), Math.floor(at / (4 * wide))];
        const from = Math.floor(y / 4) * wide + Math.floor(x / 4);
        return lr[from] + strong * (x % 2 ? 1 : -1);
      });
    },
  };
"""


def gaussian(sigma: float) -> np.ndarray:
    """A kernel of 21 x 21 taps."""
    squares = (np.arange(21) - 10) ** 2
    taps = np.exp(-0.5 * squares / sigma**2)
    return np.asarray(np.outer(taps, taps) / taps.sum() ** 2, np.float32)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(("sigma", "strength"), [(0.9, 0.0), (0.9, 0.05), (3.2, 0.01), (3.2, 0.05)])
def test_a_blur_is_believed_as_in_python(name: str, strength: float, sigma: float) -> None:
    photo = PHOTOS[name]()
    network = Echo(
        gaussian(sigma), gaussian(0.7), strength, ModelConfig(scale=4, kernel_space="hr")
    )
    theirs = find_blur(SampleRaster(photo, 255), network, tiled=False)  # type: ignore[arg-type]
    code = f"""
      {_ECHO} {_PICTURE}
      const found = await module.findBlur(picture, "colour", network);
      const {{ blur }} = found;
      return [found.confidence, found.estimated, blur.kernel, blur.smoothing, blur.noise];
    """
    options = {
        "base": f"{Path(SOURCE).as_uri()}/",
        "kernel": network.kernel.ravel().tolist(),
        "narrow": network.narrow.ravel().tolist(),
        "strength": strength,
    }
    confidence, estimated, *tensors = call("finding.mjs", code, given(photo), options)
    assert confidence == theirs.confidence
    assert estimated == pytest.approx(theirs.estimated_px)
    blur = theirs.blur
    for ours, exact in zip(tensors, [blur.kernel, blur.smoothing, blur.noise], strict=True):
        assert exact is not None
        np.testing.assert_allclose(ours["data"], exact.ravel(), rtol=1e-5, atol=1e-7)
    assert tensors[0]["dims"] == [1, 1, 21, 21]
