"""A network as ONNX graphs that any runtime can use; checked before they are written."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import onnx
from torch.onnx import OnnxExporterError

from dcls_cli import weights
from dcls_cli.atomic import atomic_write, check_writable
from dcls_cli.errors import DclsError, ExportError
from dcls_cli.export.compact import compact
from dcls_cli.export.operators import beyond_cuda, operators
from dcls_cli.export.options import ExportOptions, Shape
from dcls_cli.export.parity import Parity, compare
from dcls_cli.export.tracing import trace
from dcls_cli.graphs import GraphInfo, Kind, halves, stamp
from dcls_cli.releases import RELEASES, location

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
        kind: which part of the network it is.
        size: bytes.
        operators: how often each ONNX operator occurs.
        beyond_cuda: those that ONNX Runtime's CUDA provider lacks.
    """

    path: Path
    kind: Kind
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
        output: FILE.onnx; halves become FILE-estimator.onnx and FILE-restorer.onnx.
        options: which graphs.
        verify: compare the graphs with the network before anything is written.
        overwrite: replace existing files.

    Raises:
        WeightsError: the weights are missing, damaged or of another network.
        ExportError: a graph cannot be made or differs from the network; existing files stay.
        DclsError: a file exists already or cannot be written.
    """
    paths = halves(output) if options.split else (output,)
    for path in paths:
        _check_output(path, overwrite=overwrite)
    network = weights.load(weights_path)
    sha256 = hashlib.sha256(weights_path.read_bytes()).hexdigest()
    metrics = _metrics(weights_path)
    contents: dict[Kind, bytes] = {}
    graphs: list[ExportedGraph] = []
    for path, kind in zip(paths, options.kinds, strict=True):
        try:
            model = trace(network, kind, options)
            compact(model)
            onnx.checker.check_model(model, full_check=True)
        except EXPORTER_ERRORS as error:
            raise ExportError(f"the {kind} graph cannot be made: {_first_line(error)}") from error
        info = GraphInfo(
            kind=kind,
            config=network.config,
            weights_sha256=sha256,
            fft=options.fft,
            precision=options.precision if kind != "estimator" else "fp32",
            metrics=metrics,
        )
        contents[kind] = stamp(model, info)
        count = operators(model)
        size = len(contents[kind])
        graphs.append(ExportedGraph(path, kind, size, count, beyond_cuda(model)))
    parity = compare(network, contents, options) if verify else ()
    for graph in graphs:
        _write(graph.path, contents[graph.kind], overwrite=overwrite)
    return ExportReport(tuple(graphs), parity)


def _check_output(path: Path, *, overwrite: bool) -> None:
    """Find out before any work whether a graph can be written."""
    try:
        check_writable(path)
    except OSError as error:
        raise DclsError(f"{path}: cannot be written: {error.strerror}") from error
    if path.exists() and not overwrite:
        raise DclsError(f"{path}: exists already; give another name or --overwrite")


def _write(path: Path, content: bytes, *, overwrite: bool) -> None:
    def writer(file: BinaryIO) -> None:
        file.write(content)

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


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
