"""The page's modules and their counterparts in Python agree; needs Node, but no package."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dcls_cli.image.colour import without_hidden_colours
from dcls_cli.kernels import kernel_width_px
from dcls_cli.tiling import Span, plan
from tests.web.nodes import call

OVERLAP = 32


@pytest.mark.parametrize(
    ("height", "width", "tile"), [(40, 64, 64), (65, 64, 64), (300, 517, 128), (129, 1000, 96)]
)
def test_tiles_are_those_of_the_python_engine(height: int, width: int, tile: int) -> None:
    def span(part: Span) -> dict[str, object]:
        return {
            "start": part.start,
            "stop": part.stop,
            "rise": [*part.rise],
            "fall": [*part.fall],
        }

    ours = call("tiling.mjs", "return module.plan(...given)", height, width, tile)
    assert ours == [
        {"rows": span(item.rows), "columns": span(item.columns)}
        for item in plan(height, width, tile, OVERLAP)
    ]


@pytest.mark.parametrize(("height", "width", "tile"), [(150, 170, 64), (66, 65, 64), (30, 20, 64)])
def test_joined_tiles_of_a_picture_are_the_picture(height: int, width: int, tile: int) -> None:
    """Each tile's context is garbage, so that a wrong place or weight would show."""
    code = """
      const [height, width, tile, scale] = given;
      const value = (y, x, c) => ((y * 7 + x * 3 + c * 50) % 256) / 255;
      const stitcher = new module.Stitcher(width, scale, 3);
      const rows = [];
      for (const item of module.plan(height, width, tile)) {
        const [high, wide] = [item.rows, item.columns].map((s) => (s.stop - s.start) * scale);
        const patch = new Float32Array(3 * high * wide).fill(9);
        const [top, left] = [item.rows, item.columns].map((s) => s.start * scale);
        for (let y = item.rows.rise[0] * scale; y < item.rows.fall[1] * scale; y++)
          for (let x = item.columns.rise[0] * scale; x < item.columns.fall[1] * scale; x++)
            for (let c = 0; c < 3; c++)
              patch[(c * high + y - top) * wide + x - left] = value(y, x, c);
        const done = stitcher.add(item, patch);
        if (done) rows.push(...done);
      }
      return rows;
    """
    scale = 2
    joined = np.array(call("tiling.mjs", code, height, width, tile, scale))
    y, x, c = np.indices((height * scale, width * scale, 3))
    np.testing.assert_array_equal(joined, ((y * 7 + x * 3 + c * 50) % 256).ravel())


@pytest.mark.parametrize("channels", [3, 4])
def test_pillow_reads_the_samples_that_were_written(channels: int) -> None:
    height, width = 37, 53
    samples = np.random.default_rng(1).integers(0, 256, (height, width, channels), np.uint8)
    samples[10:20] = 200
    code = """
      const [width, height, channels, samples] = given;
      const png = new module.PngWriter(width, height, channels);
      const rows = new Uint8ClampedArray(samples);
      await png.write(rows.slice(0, 9 * width * channels));
      await png.write(rows.slice(9 * width * channels));
      return Buffer.from(await (await png.close()).arrayBuffer()).toString("base64");
    """
    text = call("png.mjs", code, width, height, channels, samples.ravel().tolist())
    content = io.BytesIO(base64.b64decode(text))
    Image.open(content).verify()
    with Image.open(content) as image:
        assert (image.mode, image.info["srgb"]) == ("RGB" if channels == 3 else "RGBA", 0)
        np.testing.assert_array_equal(np.asarray(image), samples)


@pytest.mark.parametrize("size", [(16, 16), (13, 22), (1, 9)])
def test_hidden_colours_are_filled_as_in_python(size: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    samples = random.integers(0, 256, (*size, 4), np.uint8)
    samples[..., 3] *= random.random(size) < 0.2
    samples[: size[0] // 2, : size[1] // 2, 3] = 0
    code = """
      const samples = new Uint8ClampedArray(given[0]);
      module.fillHidden(samples, given[1]);
      return samples;
    """
    ours = call("transparency.mjs", code, samples.ravel().tolist(), size[1])
    theirs = without_hidden_colours(samples)
    assert (theirs != samples).any()
    np.testing.assert_array_equal(np.array(ours).reshape(samples.shape), theirs)


def test_width_of_a_kernel_is_that_of_python() -> None:
    kernel = np.random.default_rng(3).normal(0.2, 1, (21, 21)).astype(np.float32)
    ours = call(
        "kernel.mjs", "return module.widthOf(new Float32Array(given))", *kernel.ravel().tolist()
    )
    assert ours == pytest.approx(kernel_width_px(kernel), rel=1e-6)
    assert call("kernel.mjs", "return module.widthOf(new Float32Array(9).fill(-1))") == 0


@pytest.mark.parametrize("content", ["", "not a graph", "\x08\x0a\xf2\x01\xff"])
def test_what_is_no_graph_is_refused_with_its_name(content: str) -> None:
    code = """
      try { module.describe(new TextEncoder().encode(given[0]), "models/x.onnx") }
      catch (error) { return [error.kind, error.message] }
    """
    kind, message = call("metadata.mjs", code, content)
    assert kind == "files"
    assert message.startswith("models/x.onnx is not a graph of dcls")


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["BICUBIC", "BILINEAR"])
def test_enlarging_is_that_of_pillow(scale: int, name: str) -> None:
    sizes = [(8, 8), (1, 1), (3, 2), (17, 30), (64, 5)]
    random = np.random.default_rng(4)
    planes = [random.normal(0.5, 1, size).astype(np.float32) for size in sizes]
    code = """
      const [planes, sizes, scale, name] = given;
      return planes.map((plane, index) =>
        module.enlarged(Float32Array.from(plane), ...sizes[index], scale, module[name]));
    """
    flat = [plane.ravel().tolist() for plane in planes]
    for plane, ours in zip(
        planes, call("resampling.mjs", code, flat, sizes, scale, name), strict=True
    ):
        size = (scale * plane.shape[1], scale * plane.shape[0])
        theirs = np.asarray(Image.fromarray(plane).resize(size, Image.Resampling[name]))
        np.testing.assert_allclose(np.reshape(ours, theirs.shape), theirs, rtol=0, atol=1e-6)
