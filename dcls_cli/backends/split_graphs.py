"""The graphs of a network that is split, from their files, and which of its restorers is taken."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dcls_cli import graphs
from dcls_cli.errors import BackendError, WeightsError
from dcls_cli.installation import has_torch, install_command
from dcls_cli.machine import processor_flags

#: Precisions that a restorer of ONNX Runtime can have.
PRECISIONS = ("fp32", "fp16", "int8")

#: Of processors that multiply 8-bit numbers four at a time.
INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni"})

#: The same of ARM, where nobody has measured whether int8 is faster.
_ARM_INT8_FLAGS = frozenset({"asimddp"})


@dataclass(frozen=True)
class SplitGraphs:
    """The graphs of a network that is split.

    Attributes:
        contents: of the files, which have been checked: those that `graphs.parts_of` names.
        info: of the restorer.
        exact: file of the restorer in fp32 where this one is in another precision; it may be
            missing.
    """

    contents: Mapping[graphs.Kind, bytes]
    info: graphs.GraphInfo
    exact: Path | None = None

    @classmethod
    def read(cls, path: Path, weights_sha256: str | None = None) -> Self:
        """Read and check all parts.

        Args:
            path: of any part; the others are beside it. It is the restorer's where there are
                several of those.
            weights_sha256: of the weights that they must be made from, where that is known.

        Raises:
            WeightsError: a file is missing, damaged, fused or of another network.
        """
        content, info = graphs.read_graph(path)
        if info.kind == "fused":
            raise WeightsError(
                f"{path}: a fused graph, whose tiles could not share one blur; make parts with "
                "`dcls export-onnx --split`"
            )
        (whole, kind), exact = graphs.parse_part_name(path), graphs.exact_restorer_path(path)
        files = {part: graphs.part_path(whole, part) for part in graphs.parts_of(info.config)}
        if kind != info.kind or kind not in files:
            raise WeightsError(
                f"{path}: by its name the {kind} of a network, by its content the {info.kind}; "
                "give each file its name back"
            )
        files[kind] = path
        if weights_sha256 not in (None, info.weights_sha256):
            raise WeightsError(
                f"{path}: made from other weights than those beside it; export again"
            )
        found = {
            part: (content, info) if part == kind else _read_beside(file, part, path, info)
            for part, file in files.items()
        }
        contents = {part: found[part][0] for part in files}
        exact_elsewhere = None if exact == files["restorer"] else exact
        return cls(contents, found["restorer"][1], exact_elsewhere)

    def read_exact(self) -> bytes | None:
        """The restorer in fp32, or None where there is none beside this one.

        Raises:
            WeightsError: it is damaged or of another network.
        """
        if self.exact is None or not self.exact.exists():
            return None
        content, info = graphs.read_graph(self.exact)
        if not _of_one_network(info, self.info) or info.precision != "fp32":
            raise WeightsError(f"{self.exact}: not of the same network in fp32; export again")
        return content


def choose_graphs(path: Path, device: str, precision: str) -> SplitGraphs:
    """The graphs of a file, or those beside a weight file.

    Raises:
        BackendError: there is no graph in this precision.
        WeightsError: a file is missing, damaged or of other weights.
    """
    if path.suffix != graphs.SUFFIX:
        return graphs_beside(path, device, precision)
    parts = SplitGraphs.read(path)
    if precision not in ("auto", parts.info.precision):
        raise BackendError(
            f"{path}: precision {precision} is not that of the graph, {parts.info.precision}; "
            "use --precision auto, or give another file"
        )
    return parts


def graphs_beside(weights_path: Path, device: str, precision: str) -> SplitGraphs:
    """The graphs that lie beside a weight file and are made from it.

    The precision `auto` takes int8 where there is such a restorer and it is faster, else fp32.

    Raises:
        BackendError: there are no such graphs.
        WeightsError: a file is missing, damaged or of other weights.
    """
    whole = weights_path.with_suffix(graphs.SUFFIX)
    if precision == "auto":
        has_int8 = graphs.main_part_paths(whole, "int8")[1].is_file()
        precision = "int8" if has_int8 and is_int8_faster(device) else "fp32"
    path = restorer_beside(weights_path, precision)
    try:
        sha256 = hashlib.sha256(weights_path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{weights_path}: cannot be read: {error.strerror}") from error
    return SplitGraphs.read(path, sha256)


def restorer_beside(weights_path: Path, precision: str) -> Path:
    """File of the restorer in a precision that lies beside a weight file.

    Raises:
        BackendError: there is none.
    """
    if precision not in PRECISIONS:
        raise BackendError(
            f"ONNX Runtime has no {precision} for these networks; use --precision auto, "
            f"{', '.join(PRECISIONS)}, or --backend torch"
        )
    _, path = graphs.main_part_paths(weights_path.with_suffix(graphs.SUFFIX), precision)
    if not path.is_file():
        raise BackendError(f"{weights_path}: {_missing(path, precision)}")
    return path


def is_int8_faster(device: str) -> bool:
    """Whether convolutions in int8 are faster than in fp32 on a device that ONNX Runtime uses.

    On processors with dot products of 8-bit numbers they are: networks are 2.4 times as fast on a
    Zen 5, measured. Others were not measured, and GPUs compute such graphs in fp32. It is a rule
    and no measurement, so that one machine always gives one result.
    """
    return device == "cpu" and not INT8_FLAGS.isdisjoint(processor_flags() or ())


def has_int8_instructions() -> bool | None:
    """Whether the processor multiplies 8-bit numbers four at a time; None where that is unknown."""
    flags = processor_flags()
    return None if flags is None else not (INT8_FLAGS | _ARM_INT8_FLAGS).isdisjoint(flags)


def _read_beside(
    path: Path, kind: graphs.Kind, given: Path, info: graphs.GraphInfo
) -> tuple[bytes, graphs.GraphInfo]:
    """Read a part that goes with a given one."""
    if not path.exists():
        raise WeightsError(
            f"{path}: no such graph file; {given.name} needs it beside it: "
            "`dcls export-onnx --split` writes all parts"
        )
    content, its_info = graphs.read_graph(path)
    if its_info.kind != kind or not _of_one_network(its_info, info):
        raise WeightsError(
            f"{path}: not the {kind} that goes with {given.name}; export all parts again"
        )
    return content, its_info


def _of_one_network(one: graphs.GraphInfo, other: graphs.GraphInfo) -> bool:
    return one.weights_sha256 == other.weights_sha256 and one.config == other.config


def _missing(path: Path, precision: str) -> str:
    """What to do about a graph that is not there."""
    if precision != "fp32":
        option = "--fp16" if precision == "fp16" else "--int8 PHOTOS"
        return (
            f"{precision} needs {path.name}, which is not there: make it with `dcls export-onnx "
            f"--split {option}`, or use --precision auto"
        )
    missing = "" if has_torch() else "without PyTorch "
    return (
        f"{missing}its graphs are needed, and {path.name} is not there: "
        f"{install_command('torch')}, or make them with `dcls export-onnx --split`"
    )
