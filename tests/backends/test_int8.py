"""Graphs in int8: how near they are, who gets them, and what happens when one fails."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from dcls_cli import example, graphs
from dcls_cli.backends import sessions, split_graphs, wheels
from dcls_cli.backends.loading import load_backend
from dcls_cli.errors import BackendError, DclsError, WeightsError
from dcls_cli.metrics import psnr
from dcls_cli.models.releases import RELEASES, location, release
from dcls_cli.models.weights import load
from dcls_cli.network.restorer import FP32_LAYERS
from tests import scenes

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]

LIGHT = location(release("dcls-light-x4"))
PHOTO = location(release("dcls-photo-x4"))

ON_GPU = wheels.has_nvidia_gpu() or "CoreMLExecutionProvider" in sessions.available_providers()


@pytest.mark.parametrize("weights", [*map(location, RELEASES)], ids=lambda path: path.stem)
def test_pictures_are_near_those_of_fp32(weights: Path) -> None:
    """A real photo: more than 45 dB, and no value is off by 16 levels."""
    lr = example.pixels()
    exact, quantised = (load_backend(weights, "cpu", kind, "onnx") for kind in ("fp32", "int8"))
    assert (exact.precision, quantised.precision) == ("fp32", "int8")
    blur, other = exact.estimate(lr), quantised.estimate(lr)
    assert np.array_equal(blur.kernel, other.kernel)  # the estimate is the same
    first, second = (
        backend.restore(lr[None], blur)[0].clip(0, 1) for backend in (exact, quantised)
    )
    difference = np.abs(first - second)
    assert psnr(second.astype(float), first.astype(float), peak=1.0) > 45
    assert 0 < difference.max() < 16 / 255


def test_convolutions_are_int8_and_the_closed_forms_are_not() -> None:
    """All convolutions of the restorer are in int8 but those that its code names."""
    _, path = graphs.main_part_paths(LIGHT.with_suffix(".onnx"), "int8")
    model = onnx.load(path)
    made_by = {name: node for node in model.graph.node for name in node.output}
    weights = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    kept = [name for name in weights if made_by[name].op_type != "DequantizeLinear"]
    assert len(weights) == 42
    (filters,) = (name for name in kept if not name.startswith("restorer."))
    assert filters not in {item.name for item in model.graph.initializer}  # made for each kernel
    names = {name.split(".", 1)[1].removesuffix(".weight") for name in kept if name != filters}
    assert names == set(FP32_LAYERS)
    layers = load(LIGHT).restorer.named_modules()
    convolutions = {name for name, layer in layers if isinstance(layer, torch.nn.Conv2d)}
    assert convolutions - set(FP32_LAYERS) == {
        name.removesuffix(".weight_quantized").removeprefix("restorer.").removesuffix(".weight")
        for name in (made_by[name].input[0] for name in weights if name not in kept)
    }


def test_tiles_agree_in_int8_too() -> None:
    """Tiles share ranges and statistics: an inner part is the same but for roundings."""
    backend = load_backend(LIGHT, "cpu", "int8")
    lr = scenes.natural(96, 160).transpose(2, 0, 1).astype(np.float32)
    blur = backend.estimate(lr)
    whole = backend.restore(lr[None], blur)[0]
    part = backend.restore(lr[None, :, :, :112], blur)[0]
    difference = np.abs(whole[:, :, : 4 * 80] - part[:, :, : 4 * 80])
    assert difference.max() < 8 / 255
    assert difference.mean() < 0.5 / 255


@pytest.mark.skipif(ON_GPU, reason="this machine has a GPU")
def test_who_gets_int8_by_himself(monkeypatch: Patch, tmp_path: Path) -> None:
    def precision(weights: Path = LIGHT, device: str = "auto") -> str:
        return load_backend(weights, device, "auto", "onnx").precision

    monkeypatch.setattr(split_graphs, "processor_flags", lambda: frozenset({"avx2"}))
    assert precision() == "fp32"
    for flag in ("avx512_vnni", "avx_vnni"):
        monkeypatch.setattr(split_graphs, "processor_flags", lambda flag=flag: frozenset({flag}))
        assert precision() == precision(device="cpu") == "int8"
    assert not split_graphs.is_int8_faster("cuda")
    for path in (LIGHT, *graphs.main_part_paths(LIGHT.with_suffix(".onnx"))):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert precision(tmp_path / LIGHT.name, "cpu") == "fp32"  # there is none


def test_what_is_refused(tmp_path: Path, capsys: Capture) -> None:
    from dcls_cli.cli.app import run

    with pytest.raises(BackendError, match="int8 runs on ONNX Runtime only; use --backend onnx"):
        load_backend(LIGHT, "cpu", "int8", "torch")
    alone = tmp_path / "alone" / "mine.safetensors"  # without graphs
    alone.parent.mkdir()
    alone.write_bytes(location(release("dcls-light-x2")).read_bytes())
    with pytest.raises(BackendError, match=r"mine-restorer-int8\.onnx, which is not there: make"):
        load_backend(alone, "cpu", "int8")
    with pytest.raises(BackendError, match="ONNX Runtime has no bf16"):
        load_backend(LIGHT, "cpu", "bf16", "onnx")
    _, path = graphs.main_part_paths(LIGHT.with_suffix(".onnx"), "int8")
    with pytest.raises(BackendError, match="precision fp32 is not that of the graph, int8"):
        load_backend(path, "cpu", "fp32")
    small, out = tmp_path / "small.png", tmp_path / "out.png"
    Image.open(example.location()).crop((0, 0, 24, 16)).save(small)
    line = ["upscale", str(small), "--precision", "int8", "-o", str(out)]
    assert run([*line, "-s", "2", "-w", str(alone)]) == 5
    assert run([*line, "--backend", "torch"]) == 5
    assert not out.exists()
    evaluation = ["eval", "--hr", str(tmp_path), "-s", "2", "-w", str(alone)]
    assert run([*evaluation, "--precision", "int8"]) == 5
    capsys.readouterr()
    assert run([*line, "-v", "-m", "dcls-light-x4"]) == 0
    assert "cpu (ONNX Runtime) int8" in capsys.readouterr().out


def with_a_value(path: Path, folder: Path, value: float) -> Path:
    """A copy of a graph with a value in the prior spectrum, with the estimator beside it.

    What the layers in int8 give is always finite: only the linear answer can be otherwise.
    """
    content, info = graphs.read_graph(path)
    model = onnx.load_model_from_string(content)
    (prior,) = (item for item in model.graph.initializer if item.name == "linear.spectrum")
    numbers = onnx.numpy_helper.to_array(prior).copy()
    numbers[0, 1] = value
    prior.CopyFrom(onnx.numpy_helper.from_array(numbers, prior.name))
    copy = folder / path.name
    copy.write_bytes(graphs.stamp(model, info))
    estimator = graphs.part_path(graphs.parse_part_name(path)[0], "estimator")
    (folder / estimator.name).write_bytes(estimator.read_bytes())
    return copy


def test_a_tile_that_is_not_finite_is_restored_in_fp32_or_an_error(tmp_path: Path) -> None:
    whole = LIGHT.with_suffix(".onnx")
    exact = graphs.main_part_paths(whole)[1]
    bad = with_a_value(graphs.main_part_paths(whole, "int8")[1], tmp_path, np.nan)
    lr = example.pixels(24, 20)
    backend = load_backend(bad, "cpu")
    blur = backend.estimate(lr)
    with pytest.raises(DclsError, match="non-finite values in int8, and there is no graph in fp32"):
        backend.restore(lr[None], blur)
    (tmp_path / exact.name).write_bytes(
        graphs.main_part_paths(PHOTO.with_suffix(".onnx"))[1].read_bytes()
    )
    with pytest.raises(WeightsError, match="not of the same network in fp32"):
        backend.restore(lr[None], blur)
    (tmp_path / exact.name).write_bytes(exact.read_bytes())
    expected = load_backend(exact, "cpu").restore(lr[None], blur)
    assert np.array_equal(backend.restore(lr[None], blur), expected)
    with_a_value(exact, tmp_path, np.inf)
    with pytest.raises(DclsError, match="produced non-finite values, even in fp32"):
        load_backend(bad, "cpu").restore(lr[None], blur)
