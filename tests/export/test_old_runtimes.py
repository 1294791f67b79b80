"""Graphs state no newer form than their operators need, and run where these do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from dcls_cli import graphs
from dcls_cli.cli.app import run
from dcls_cli.export import ExportOptions, export
from dcls_cli.export.tracing import state_ir_version
from dcls_cli.graphs import NEWEST_OPSET, read_graph
from tests.export.conftest import CALIBRATION, Exported, exported

#: IR version that came with each operator set, by the table of ONNX's docs/Versioning.md.
IR_OF_OPSET = {18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12, 25: 13}


def test_the_table_has_every_operator_set_that_is_written() -> None:
    assert max(IR_OF_OPSET) == NEWEST_OPSET
    assert min(IR_OF_OPSET) == ExportOptions(shape=(16, 16), opset=18).opset


@pytest.mark.parametrize("opset", sorted(IR_OF_OPSET))
def test_each_operator_set_has_its_ir_version(opset: int) -> None:
    graph = onnx.helper.make_graph([], "g", [], [])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    model.ir_version = graphs.NEWEST_IR
    state_ir_version(model)
    assert model.ir_version == IR_OF_OPSET[opset]


@pytest.mark.slow
def test_the_oldest_operator_set_is_written_in_its_form(weight_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    export(weight_file, path, ExportOptions(shape=(16, 16), opset=18), verify=False)
    model = onnx.load(path)
    assert model.ir_version == 8
    assert [item.version for item in model.opset_import if not item.domain] == [18]
    onnx.checker.check_model(model, full_check=True)
    read_graph(path)  # its digest fits


def test_parts_fused_graphs_and_int8_state_it_too(
    fused: Exported, standard: Exported, split: Exported
) -> None:
    for each in (fused, standard, split):
        for path in each.paths:
            assert onnx.load(path).ir_version == IR_OF_OPSET[20], path.name


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 21])
def test_int8_and_fp16_state_that_of_their_operators(
    weight_file: Path, tmp_path: Path, opset: int
) -> None:
    for options in (
        ExportOptions(split=True, opset=opset, int8=CALIBRATION),
        ExportOptions(shape=(None, None), opset=opset, half=True),
    ):
        for path in exported(weight_file, tmp_path, options).paths:
            model = onnx.load(path)
            opsets = [item.version for item in model.opset_import if not item.domain]
            assert [model.ir_version] == [IR_OF_OPSET[item] for item in opsets], path.name
            assert opsets == [opset], path.name


def test_no_field_is_newer_than_the_stated_form(fused: Exported) -> None:
    """`metadata_props` of nodes, values and tensors came with IR version 10."""
    graph = onnx.load(fused.paths[0]).graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    assert not any(item.metadata_props for item in (graph, *graph.node, *values))
    assert b"pkg.torch" not in fused.paths[0].read_bytes()


#: Runs a graph in an environment of its own: path of the graph, of the input, of the output.
OTHER_RUNTIME = """
import sys
import numpy, onnxruntime
assert onnxruntime.__version__ == "1.17.3", onnxruntime.__version__
graph, given, output = sys.argv[1:]
session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
numpy.save(output, session.run(["sr"], {"lr": numpy.load(given)})[0])
"""


@pytest.fixture(scope="module")
def old_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the oldest ONNX Runtime that has all operators up to set 20."""
    if sys.version_info[:2] > (3, 12):
        pytest.skip("ONNX Runtime 1.17.3 has no wheels for newer Pythons than 3.12")
    folder = tmp_path_factory.mktemp("runtime")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    packages = ["onnxruntime==1.17.3", "numpy<2"]  # it was built for numpy 1
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 20])
def test_an_old_runtime_gives_the_same_picture(
    old_runtime: Path, tmp_path: Path, opset: int
) -> None:
    path, given, output = tmp_path / "x.onnx", tmp_path / "lr.npy", tmp_path / "sr.npy"
    command = ["export-onnx", "-m", "dcls-light-x4", "--shape", "1x3xHxW", "--fft", "matmul"]
    assert run([*command, "--opset", str(opset), "-o", str(path), "--no-verify"]) == 0
    lr = np.random.default_rng(0).random((1, 3, 37, 53), dtype=np.float32)
    np.save(given, lr)
    subprocess.run([old_runtime, "-c", OTHER_RUNTIME, path, given, output], check=True)
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(["sr"], {"lr": lr})
    assert np.abs(np.load(output) - expected).max() < 1e-5


def test_shipped_graphs_stay_readable() -> None:
    """They were made before the form was stated by the operators, and are not made again."""
    shipped = sorted((Path(__file__).resolve().parents[2] / "weights").glob("*.onnx"))
    assert shipped
    for path in shipped:
        _, info = read_graph(path)
        assert info.fft == "matmul"
        assert onnx.load(path).ir_version <= graphs.NEWEST_IR
