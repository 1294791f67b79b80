"""Both halves of a network from their files, and which of its restorers is taken."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dcls_cli import graphs
from dcls_cli.backends import has_torch
from dcls_cli.backends.providers import AUTOMATIC, PROVIDERS, available
from dcls_cli.errors import BackendError, WeightsError
from dcls_cli.machine import processor_flags

#: Precisions that a restorer of ONNX Runtime can have.
PRECISIONS = ("fp32", "fp16", "int8")

#: Of processors that multiply 8-bit numbers four at a time.
INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni"})


@dataclass(frozen=True)
class Pair:
    """The halves of a network.

    Attributes:
        estimator, restorer: contents of the files, which have been checked.
        info: of the restorer.
        exact: file of the restorer in fp32 where this one is in another precision; it may be
            missing.
    """

    estimator: bytes
    restorer: bytes
    info: graphs.GraphInfo
    exact: Path | None = None

    @classmethod
    def read(cls, path: Path, weights_sha256: str | None = None) -> Self:
        """Read and check both halves.

        Args:
            path: of either half; the other one is beside it.
            weights_sha256: of the weights that it must be made from, where that is known.

        Raises:
            WeightsError: a file is missing, damaged, fused or of another network.
        """
        content, info = graphs.read(path)
        if info.kind == "fused":
            raise WeightsError(
                f"{path}: a fused graph, whose tiles could not share one blur; make halves with "
                "`dcls export-onnx --split`"
            )
        other = graphs.partner(path)
        other_content, other_info = graphs.read(other)
        by_kind = {info.kind: (content, info), other_info.kind: (other_content, other_info)}
        if len(by_kind) < 2 or not _of_one_network(info, other_info):
            raise WeightsError(f"{other}: not the other half of {path.name}; export both again")
        if weights_sha256 not in (None, info.weights_sha256):
            raise WeightsError(
                f"{path}: made from other weights than those beside it; export again"
            )
        restorer, about = by_kind["restorer"]
        own = path if info.kind == "restorer" else other
        exact = graphs.exact(own)
        return cls(by_kind["estimator"][0], restorer, about, None if exact == own else exact)

    def read_exact(self) -> bytes | None:
        """The restorer in fp32, or None where there is none beside this one.

        Raises:
            WeightsError: it is damaged or of another network.
        """
        if self.exact is None or not self.exact.exists():
            return None
        content, info = graphs.read(self.exact)
        if not _of_one_network(info, self.info) or info.precision != "fp32":
            raise WeightsError(f"{self.exact}: not of the same network in fp32; export again")
        return content


def beside(weights_path: Path, device: str, precision: str) -> Pair:
    """The halves that lie beside a weight file and are made from it.

    Args:
        weights_path: NAME.safetensors.
        device: see `load_backend`.
        precision: of the restorer; `auto`: int8 where there is one and it is the faster one, see
            `is_int8_faster`, else fp32.

    Raises:
        BackendError: there are no such graphs.
        WeightsError: a file is missing, damaged or of other weights.
    """
    whole = weights_path.with_suffix(graphs.SUFFIX)
    if precision == "auto":
        has_int8 = graphs.halves(whole, "int8")[1].is_file()
        precision = "int8" if has_int8 and is_int8_faster(device) else "fp32"
    path = restorer_beside(weights_path, precision)
    try:
        sha256 = hashlib.sha256(weights_path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{weights_path}: cannot be read: {error.strerror}") from error
    return Pair.read(path, sha256)


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
    _, path = graphs.halves(weights_path.with_suffix(graphs.SUFFIX), precision)
    if not path.is_file():
        raise BackendError(f"{weights_path}: {_missing(path, precision)}")
    return path


def is_int8_faster(device: str) -> bool:
    """Whether convolutions in int8 are faster than in fp32 on a device of ONNX Runtime.

    On processors with dot products of 8-bit numbers they are: networks are 1.7 times as fast on a
    Zen 5, measured. Others were not measured, and GPUs compute such graphs in fp32. It is a rule
    and no measurement, so that one machine always gives one result.
    """
    on_cpu = device == "cpu" or (
        device == "auto" and not any(PROVIDERS[name] in available() for name in AUTOMATIC)
    )
    return on_cpu and has_int8_instructions()


def has_int8_instructions() -> bool:
    """Whether the processor is known to multiply 8-bit numbers four at a time."""
    return not INT8_FLAGS.isdisjoint(processor_flags())


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
        "pip install 'dcls[torch]', or make them with `dcls export-onnx --split`"
    )
