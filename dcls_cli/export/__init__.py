"""A network as ONNX graphs that any runtime can use; checked before they are written."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import onnx
from torch.onnx import OnnxExporterError

from dcls_cli.config import ModelConfig
from dcls_cli.errors import DclsError, ExportError, first_line
from dcls_cli.export.options import ExportOptions, Shape
from dcls_cli.export.parity import Parity, compare, compare_int8
from dcls_cli.export.quantising import calibration_pictures, quantise_restorer
from dcls_cli.export.tracing import compact, state_ir_version, trace
from dcls_cli.files.atomic import atomic_write, check_writable, sync
from dcls_cli.graphs import GraphInfo, Kind, part_path, stamp
from dcls_cli.models import weights
from dcls_cli.models.releases import RELEASES, location
from dcls_cli.network.dcls import DCLS

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["ExportOptions", "ExportReport", "ExportedGraph", "Parity", "Shape", "export"]


#: What the exporter and the checker raise about a graph that they cannot make.
EXPORTER_ERRORS = (
    OnnxExporterError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)


@dataclass(frozen=True)
class ExportedGraph:
    """One written file.

    Attributes:
        path: of the file.
        network: name of its weight file.
        kind: which part of the network it is.
        precision: of its convolutions.
        size: bytes.
        operators: how often each ONNX operator occurs.
        beyond_cuda: those that ONNX Runtime's CUDA provider lacks.
    """

    path: Path
    network: str
    kind: Kind
    precision: str
    size: int
    operators: dict[str, int]
    beyond_cuda: tuple[str, ...]


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how it compares with the network; `parity` is empty unverified."""

    graphs: tuple[ExportedGraph, ...]
    parity: tuple[Parity, ...]


def export(
    weights_path: Path,
    output: Path,
    options: ExportOptions,
    *,
    verify: bool = True,
    overwrite: bool = False,
) -> ExportReport:
    """Write the graphs of a weight file.

    Args:
        weights_path: a safetensors file of dcls.
        output: FILE.onnx; parts become FILE-estimator.onnx, FILE-restorer.onnx, or
            FILE-restorer-fp16.onnx, FILE-restorer-int8.onnx, and for networks that need them
            FILE-smoothing.onnx and FILE-gates.onnx.
        options: which graphs.
        verify: compare the graphs with the network before anything is written.
        overwrite: replace existing files.

    Raises:
        WeightsError: the weights are missing, damaged or of another network.
        ExportError: a graph cannot be made or differs from the network, or there are no pictures
            for int8; existing files stay.
        DclsError: a file exists already or cannot be written.
    """
    config, _ = weights.read_metadata(weights_path)
    files = _files(output, options, config)
    for path, _, _ in files:
        check_output(path, overwrite=overwrite)
    examples = [] if options.int8 is None else calibration_pictures(options.int8)
    network = weights.load(weights_path)
    graphs: list[ExportedGraph] = []
    contents: list[bytes] = []
    about = _About(weights_path, network, options, examples)
    for path, kind, precision in files:
        model = about.model(kind, precision, contents)
        content = stamp(model, about.info(kind, precision))
        contents.append(content)
        count, beyond = count_operators(model), beyond_cuda(model)
        size, name = len(content), weights_path.stem
        graphs.append(ExportedGraph(path, name, kind, precision, size, count, beyond))
    parity: tuple[Parity, ...] = ()
    if verify:
        parity = compare(network, dict(zip(options.kinds(config), contents, strict=False)), options)
        if options.int8 is not None:
            parity = (*parity, compare_int8(network, contents[-1]))
    paths = [graph.path for graph in graphs]
    _write(list(zip(paths, contents, strict=True)), overwrite=overwrite)
    return ExportReport(tuple(graphs), parity)


class _About:
    """What all graphs of one export have in common."""

    def __init__(
        self,
        weights_path: Path,
        network: DCLS,
        options: ExportOptions,
        examples: Sequence[np.ndarray],
    ) -> None:
        self._network, self._options, self._examples = network, options, examples
        self._sha256 = hashlib.sha256(weights_path.read_bytes()).hexdigest()
        self._metrics = _metrics(weights_path)

    def model(self, kind: Kind, precision: str, before: Sequence[bytes]) -> onnx.ModelProto:
        """Make a graph; one in int8 from the last one before it."""
        try:
            if precision == "int8":
                exact = onnx.load_model_from_string(before[-1])
                model = quantise_restorer(exact, self._network, self._examples)
            else:
                model = trace(self._network, kind, self._options)
                compact(model)
            state_ir_version(model)
            onnx.checker.check_model(model, full_check=True)
        except EXPORTER_ERRORS as error:
            raise ExportError(f"the {kind} graph cannot be made: {first_line(error)}") from error
        return model

    def info(self, kind: Kind, precision: str) -> GraphInfo:
        """Describe a graph."""
        return GraphInfo(
            kind=kind,
            config=self._network.config,
            weights_sha256=self._sha256,
            fft=self._options.transform(self._network.config),
            precision=precision,
            metrics=self._metrics,
        )


def _files(
    output: Path, options: ExportOptions, config: ModelConfig
) -> list[tuple[Path, Kind, str]]:
    """Path, kind and precision of each graph, one in int8 after that which it is made from."""
    if not options.split:
        return [(output, "fused", options.precision)]
    files: list[tuple[Path, Kind, str]] = []
    for kind in options.kinds(config):
        precision = options.precision if kind == "restorer" else "fp32"
        files.append((part_path(output, kind, precision), kind, precision))
    if options.int8 is not None:
        files.append((part_path(output, "restorer", "int8"), "restorer", "int8"))
    return files


def check_output(path: Path, *, overwrite: bool) -> None:
    """Find out before any work whether a graph can be written.

    Raises:
        DclsError: it cannot, or exists already.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise DclsError(f"{path}: cannot be written: {error.strerror}") from error
    if path.exists() and not overwrite:
        raise DclsError(f"{path}: exists already; give another name or --overwrite")


def _write(files: Sequence[tuple[Path, bytes]], *, overwrite: bool) -> None:
    """Write all files or none: each gets its name when all contents are on the disk."""
    if not files:
        return
    (path, content), *others = files

    def writer(file: BinaryIO) -> None:
        file.write(content)
        file.flush()
        sync(file.fileno())
        _write(others, overwrite=overwrite)

    try:
        atomic_write(path, writer, overwrite=overwrite)
    except OSError as error:
        raise DclsError(f"{path}: not written: {error.strerror}") from error


def _metrics(weights_path: Path) -> dict[str, float | str]:
    """Figures of a release, or what a training has written into its file."""
    for item in RELEASES:
        if weights_path.resolve() == location(item).resolve():
            protocol = "Set5, Gaussian8, mean of eight blurs"
            return {"psnr_y_db": item.psnr_y_db, "ssim_y": item.ssim_y, "protocol": protocol}
    _, metadata = weights.read_metadata(weights_path)
    return {name: text for name, text in metadata.items() if name.startswith("validation_")}


#: Operators of the exported graphs for which ONNX Runtime's CUDA provider has a kernel in fp32 and
#: fp16, by its table of kernels. `Shape` and what computes with its result stay on the CPU by
#: design, which moves a few numbers and no image.
CUDA_OPERATORS = frozenset(
    {
        "Abs", "Add", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "Cos",
        "DepthToSpace", "DequantizeLinear", "Div", "Equal", "Exp", "Expand", "Gather", "Gemm",
        "Identity", "LeakyRelu", "Less", "Log", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "Or",
        "Pad", "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceMean", "ReduceSum", "Relu",
        "Reshape", "Shape", "Sigmoid", "Sin", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub",
        "Tile", "Transpose", "Unsqueeze", "Where",
    }
)  # fmt: skip


def count_operators(model: "ModelProto") -> dict[str, int]:
    """How often each operator occurs in a graph, by name."""
    return dict(sorted(Counter(node.op_type for node in model.graph.node).items()))


def beyond_cuda(model: "ModelProto") -> tuple[str, ...]:
    """Operators of a graph that ONNX Runtime would take from the GPU to the CPU and back."""
    return tuple(name for name in count_operators(model) if name not in CUDA_OPERATORS)
