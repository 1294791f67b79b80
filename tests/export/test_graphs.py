"""Exported graphs: contract, metadata, operators, and what they compute beside PyTorch."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dcls_cli.config import ModelConfig
from dcls_cli.errors import DclsError, ExportError, OutOfMemoryError, UsageError, WeightsError
from dcls_cli.export import ExportOptions, Shape, _write, export, parity
from dcls_cli.graphs import exact_restorer_path, parse_part_name, read_graph
from dcls_cli.models import weights
from dcls_cli.models.releases import location, release
from dcls_cli.network.dcls import DCLS, repeated
from tests import scenes
from tests.export.conftest import CONFIG, Exported, exported


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def shapes(values: object) -> dict[str, list[object]]:
    return {item.name: item.shape for item in values}  # type: ignore[attr-defined]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return scenes.natural(height, width, seed).transpose(2, 0, 1)[None].astype(np.float32)


def test_a_fused_graph_restores_batches_of_any_size(fused: Exported) -> None:
    (path,) = fused.paths
    graph = session(path)
    assert shapes(graph.get_inputs()) == {"lr": ["batch", 3, "height", "width"]}
    assert list(shapes(graph.get_outputs())) == ["sr", "kernel"]
    for size in ((40, 33), (8, 8), (61, 17)):
        lr = np.concatenate([picture(*size, seed) for seed in (1, 2, 3)])
        sr, kernel = graph.run(["sr", "kernel"], {"lr": lr})
        with torch.inference_mode():
            expected = fused.network(torch.from_numpy(lr))
        assert np.abs(sr - expected.sr.numpy()).max() < 2e-5
        assert np.abs(kernel - expected.kernel.numpy()).max() < 1e-6
        assert np.abs(kernel[0] - kernel[1]).max() > 1e-5  # each image has its own blur


def test_the_standard_graph_has_spectra_that_are_a_power_of_two(standard: Exported) -> None:
    (path,) = standard.paths
    side = 256 - 2 * 21
    assert shapes(session(path).get_inputs()) == {"lr": ["batch", 3, side, side]}
    model = onnx.load(path)
    inferred = onnx.shape_inference.infer_shapes(model)
    known = {item.name: item.type.tensor_type.shape for item in inferred.graph.value_info}
    sizes = {
        tuple(axis.dim_value for axis in known[node.output[0]].dim)[2:4]
        for node in model.graph.node
        if node.op_type == "DFT"
    }
    assert sizes <= {(256, 256), (256, 129)}
    assert sizes


def test_which_operators_are_in_which_graph(
    fused: Exported, standard: Exported, split: Exported
) -> None:
    (graph,) = standard.report.graphs
    assert graph.operators["DFT"] == 4
    assert graph.beyond_cuda == ("DFT",)
    for graph in (*fused.report.graphs, *split.report.graphs):
        assert "DFT" not in graph.operators
        assert graph.beyond_cuda == ()


def test_files_are_whole_checked_and_say_what_they_are(
    fused: Exported, standard: Exported, split: Exported
) -> None:
    for each, fft in ((fused, "matmul"), (standard, "dft"), (split, "matmul")):
        for graph in each.report.graphs:
            model = onnx.load(graph.path)
            onnx.checker.check_model(model, full_check=True)
            assert ("", 20) in [(item.domain, item.version) for item in model.opset_import]
            assert not any(tensor.external_data for tensor in model.graph.initializer)
            content, info = read_graph(graph.path)
            assert len(content) == graph.size == graph.path.stat().st_size
            precision = "int8" if "int8" in graph.path.name else "fp32"
            assert graph.precision == precision
            assert (info.kind, info.fft, info.precision) == (graph.kind, fft, precision)
            assert info.config == CONFIG
            assert info.weights_sha256 == hashlib.sha256(each.weights.read_bytes()).hexdigest()
            assert info.metrics == {"validation_psnr_y_db": "12.345"}
    assert sorted(path.name for path in split.paths[0].parent.iterdir()) == [
        "tiny-estimator.onnx",
        "tiny-restorer-int8.onnx",
        "tiny-restorer.onnx",
    ]
    estimator, restorer, quantised = split.paths
    whole = estimator.with_name("tiny.onnx")
    kinds = ["estimator", "restorer", "restorer"]
    assert [parse_part_name(path) for path in split.paths] == [(whole, kind) for kind in kinds]
    assert [exact_restorer_path(path) for path in split.paths] == [restorer] * 3
    assert quantised.stat().st_size < restorer.stat().st_size


def test_halves_give_what_the_network_gives_window_by_window(split: Exported) -> None:
    """The contract of export/README.md, by hand: two windows with a halo, then two tiles."""
    estimator, restorer, _ = (session(path) for path in split.paths)
    lr = picture(40, 52)
    reach = 3 + 2 * CONFIG.estimator_blocks
    columns = np.arange(52)
    pooled = np.zeros((1, 2 * CONFIG.estimator_features), np.float32)
    for first, last in ((0, 20), (20, 52)):
        near = slice(max(first - reach, 0), min(last + reach, 52))
        counts = (columns[near] >= first) & (columns[near] < last)
        window = {
            "lr": lr[..., near],
            "rows": np.full(40, 1 / 40, np.float32),
            "columns": (counts / 52).astype(np.float32),
            "before": pooled,
        }
        names = ["pooled", "kernel", "smoothing", "noise"]
        pooled, kernel, smoothing, noise = estimator.run(names, window)
    with torch.inference_mode():
        blur = split.network.estimate(torch.from_numpy(lr))
        tiles = np.concatenate((lr[..., :30], lr[..., 22:]))
        same = repeated(blur, 2)
        expected = split.network.restore(torch.from_numpy(tiles), same).numpy()
    for got, own in ((kernel, blur.kernel), (smoothing, blur.smoothing), (noise, blur.noise)):
        assert np.abs(got - own.numpy()).max() < 1e-6
    statistics = {"kernel": kernel, "smoothing": smoothing, "noise": noise}
    assert set(shapes(restorer.get_inputs())) == {"lr", *statistics}
    (sr,) = restorer.run(["sr"], {"lr": tiles, **statistics})
    assert np.abs(sr - expected).max() < 2e-5


def test_a_graph_of_another_network_does_not_pass(standard: Exported) -> None:
    torch.manual_seed(1)
    contents = {graph.kind: graph.path.read_bytes() for graph in standard.report.graphs}
    with pytest.raises(ExportError, match=r"differs from the network: by \d.*nothing was written"):
        parity.compare(DCLS(CONFIG).eval(), contents, ExportOptions())


@pytest.mark.parametrize("where", ["before", "PyTorch", "ONNX Runtime"])
def test_memory_that_runs_out_is_told(
    standard: Exported, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """What these engines say where they say it, and a size that is refused at once."""
    options = ExportOptions(shape=(8192, 8192)) if where == "before" else ExportOptions()
    contents = {graph.kind: graph.path.read_bytes() for graph in standard.report.graphs}
    text = {
        "PyTorch": "DefaultCPUAllocator: can't allocate memory: you tried to allocate 327680000",
        "ONNX Runtime": "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory",
    }.get(where, "must not be reached")

    def restore(*_: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(standard.network, "restore", restore)
    words = "not enough memory to compare the graph with PyTorch; give a smaller --shape"
    with pytest.raises(OutOfMemoryError, match=words):
        parity.compare(standard.network, contents, options)


@pytest.mark.slow
def test_a_failed_check_leaves_what_was_there(
    weight_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "TOLERANCE", 1e-9)  # no graph is as exact as that
    output = tmp_path / "x.onnx"
    output.write_bytes(b"old")
    with pytest.raises(ExportError, match=r"differs from the network: by \d.*nothing was written"):
        export(weight_file, output, ExportOptions(shape=(16, 16)), overwrite=True)
    assert output.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]


def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    weight_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(DclsError, match="the folder .* does not exist"):
        export(weight_file, tmp_path / "no" / "x.onnx", ExportOptions())
    (tmp_path / "x-restorer.onnx").write_bytes(b"old")
    with pytest.raises(DclsError, match=r"x-restorer\.onnx: exists already"):
        export(weight_file, tmp_path / "x.onnx", ExportOptions(split=True))
    assert [path.name for path in tmp_path.iterdir()] == ["x-restorer.onnx"]


def test_of_several_files_all_are_written_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "x-estimator.onnx", tmp_path / "x-restorer.onnx"
    first.write_bytes(b"old")
    second.mkdir()  # which no file can replace
    with pytest.raises(DclsError, match=r"x-restorer\.onnx: not written: is a folder"):
        _write([(first, b"new"), (second, b"new")], overwrite=True)
    assert first.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [first, second]
    second.rmdir()
    _write([(first, b"new"), (second, b"newer")], overwrite=True)
    assert (first.read_bytes(), second.read_bytes()) == (b"new", b"newer")
    assert sorted(tmp_path.iterdir()) == [first, second]


@pytest.mark.parametrize(("fft", "opset"), [("dft", 19), ("matmul", 17), ("dft", 99)])
def test_operator_sets_that_are_not_supported(fft: str, opset: int) -> None:
    with pytest.raises(UsageError, match=f"operator set {opset} is not supported: --fft {fft}"):
        ExportOptions(fft=fft, opset=opset)  # type: ignore[arg-type]


def test_int8_needs_halves_in_fp32_and_pictures(weight_file: Path, tmp_path: Path) -> None:
    for options in ({}, {"split": True, "half": True}):
        with pytest.raises(UsageError, match="--int8 adds to parts in fp32: it needs --split"):
            ExportOptions(int8=tmp_path, **options)  # type: ignore[arg-type]
    for folder in (tmp_path, tmp_path / "no"):
        with pytest.raises(ExportError, match="a folder with pictures is expected"):
            export(weight_file, tmp_path / "x.onnx", ExportOptions(split=True, int8=folder))
    assert list(tmp_path.iterdir()) == []


def test_a_graph_in_int8_that_is_too_far_off_does_not_pass(
    split: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "INT8_PSNR_DB", 150.0)  # no graph in int8 is as exact as that
    with pytest.raises(ExportError, match=r"the int8 graph differs from the network: \d.*dB on"):
        parity.compare_int8(split.network, split.paths[2].read_bytes())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "dft"),  # 214 + 2 x 21 = 256
        ({"shape": (214, 214)}, "dft"),
        ({"shape": (86, 470)}, "dft"),  # 128 and 512
        ({"shape": (214, 214), "opset": 18}, "matmul"),  # which has no DFT with an axis as input
        ({"shape": (24, 955)}, "matmul"),
        ({"shape": (214, 955)}, "matmul"),
        ({"shape": (214, None)}, "matmul"),
        ({"shape": (None, None)}, "matmul"),
        ({"split": True}, "matmul"),
        ({"split": True, "shape": (214, 214)}, "dft"),
        ({"shape": (None, None), "fft": "dft"}, "dft"),
        ({"fft": "matmul"}, "matmul"),
    ],
)
def test_auto_takes_dft_only_where_it_is_exact(options: dict[str, object], expected: str) -> None:
    assert ExportOptions(**options).transform(CONFIG) == expected  # type: ignore[arg-type]


def test_graphs_for_any_size_are_compared_at_ordinary_and_awkward_ones(fused: Exported) -> None:
    names = [found.image for found in fused.report.parity]
    expected = ["random 51x37, batch of 2", "random 320x240", "random 955x24", "photo 144x144"]
    assert names == expected
    assert max(found.largest for found in fused.report.parity) < 2e-5
    assert read_graph(fused.paths[0])[1].fft == "matmul"


@pytest.mark.slow
def test_dft_for_any_size_does_not_pass_with_a_released_network(tmp_path: Path) -> None:
    """It is within the tolerance at small sizes, which are not all that is promised."""
    path, output = location(release("dcls-light-x4")), tmp_path / "x.onnx"
    options = ExportOptions(fft="dft", shape=(None, None))
    with pytest.raises(ExportError, match=r"differs .* on random 955x24, .*--fft matmul is closer"):
        export(path, output, options)
    assert not output.exists()
    export(path, output, ExportOptions(shape=(None, None)))
    assert read_graph(output)[1].fft == "matmul"


def test_shapes() -> None:
    assert Shape.parse("1x3xHxW").sides == (None, None)
    assert Shape.parse("1x3x120xW").sides == (120, None)
    for wrong in ("", "3xHxW", "1x1xHxW", "1x3xWxH", "1x3x-5x5"):
        with pytest.raises(UsageError, match="expected 1x3xHxW"):
            Shape.parse(wrong)
    with pytest.raises(UsageError, match="a side of 4 pixels"):
        ExportOptions(shape=(4, None))


def damaged(path: Path, tmp_path: Path, change: str) -> Path:
    """A copy of a graph with something wrong."""
    target = tmp_path / "damaged.onnx"
    content = path.read_bytes()
    if change == "truncated":
        target.write_bytes(content[: len(content) // 2])
        return target
    model = onnx.load_model_from_string(content)
    if change == "flipped":
        tensor = max(model.graph.initializer, key=lambda item: len(item.raw_data))
        tensor.raw_data = bytes([tensor.raw_data[0] ^ 1]) + tensor.raw_data[1:]
    elif change == "external":
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")
    elif change == "external in a function":
        node = onnx.helper.make_node("Constant", [], ["c"], value=onnx.TensorProto())
        node.attribute[0].t.data_location = onnx.TensorProto.EXTERNAL
        model.functions.add(name="f", domain="d").node.append(node)
    elif change == "of another program":
        del model.metadata_props[:]
    elif change == "newer operators":
        model.opset_import[0].version = 99
    elif change == "foreign operators":
        model.opset_import[0].domain = "com.microsoft"
    elif change == "newer form":
        model.ir_version = 99
    target.write_bytes(model.SerializeToString())
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("truncated", "not an ONNX file, or cut off"),
        ("flipped", "damaged: its content does not match its own SHA-256"),
        ("external", "lies in another file, which is not read"),
        ("external in a function", "lies in another file, which is not read"),
        ("of another program", "not a graph of dcls"),
        ("newer operators", "operator set 99"),
        ("foreign operators", "damaged: its content does not match"),
        ("newer form", "for a newer ONNX .IR version 99., at most 14 is supported"),
    ],
)
def test_bad_graph_files(split: Exported, tmp_path: Path, change: str, message: str) -> None:
    path = damaged(split.paths[0], tmp_path, change)
    with pytest.raises(WeightsError, match=message) as caught:
        read_graph(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ExportOptions(opset=20, half=True, split=True),
        ExportOptions(opset=18, fft="matmul", shape=(None, 33)),
        ExportOptions(opset=25, fft="matmul", half=True),
        ExportOptions(opset=25, shape=(None, None)),
    ],
)
def test_every_option_passes_its_check(
    weight_file: Path, tmp_path: Path, options: ExportOptions
) -> None:
    found = exported(weight_file, tmp_path, options)
    assert len(found.report.parity) == 4
    for path in found.paths:
        assert onnx.load(path).opset_import[0].version == options.opset


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"deconvolution": "wiener"},
        {"deconvolution": "cls", "deconvolution_space": "rgb"},
        {"deconvolution": "stretch", "dual_path": False},
        {"kernel_norm": "softmax", "kernel_size": 11},
        {},
    ],
)
@pytest.mark.parametrize("is_split", [False, True])
def test_the_papers_layout_and_its_ablations(
    tmp_path: Path, changes: dict[str, object], is_split: bool
) -> None:
    torch.manual_seed(0)
    # Untrained kernels are nearly flat: without a floor, rounding is what the quotient amplifies.
    config = ModelConfig.paper(
        2, features=16, groups=2, blocks=1, head_blocks=1, estimator_features=16,
        estimator_blocks=1, latent=8, cls_epsilon=1e-2, **changes,
    )  # fmt: skip
    path = tmp_path / "w.safetensors"
    weights.write(DCLS(config), path)
    options = ExportOptions(fft="matmul", shape=(None, None), split=is_split)
    assert len(exported(path, tmp_path, options).report.parity) == 4
