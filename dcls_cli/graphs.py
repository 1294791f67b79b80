"""Graph files: a network as ONNX, for any runtime; see export/README.md.

A graph file is one ONNX file without external data, whose metadata carry the `ModelConfig`, the
SHA-256 of the weights that it was made from and a digest of everything else in it. `onnx` is
imported where a file is looked into.

`NAME-estimator.onnx` goes with `NAME-restorer.onnx`, and with a restorer in a precision of its own,
`NAME-restorer-int8.onnx`. Some networks have `NAME-smoothing.onnx` and `NAME-gates.onnx` too.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from dcls_cli.config import ModelConfig
from dcls_cli.errors import WeightsError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

#: `fused`: image -> picture; the others are parts of a network whose tiles share one blur.
Kind = Literal["fused", "estimator", "smoothing", "gates", "restorer"]

Fft = Literal["dft", "matmul"]

DIGEST_KEY = "dcls_sha256"

#: No graph is larger; it is read whole.
_LARGEST_BYTES = 2 << 30

_KEYS = ("dcls_config", "dcls_graph", "dcls_fft", "dcls_precision", "dcls_weights_sha256")

#: The newest ONNX operator set that the ONNX Runtime of this project runs.
NEWEST_OPSET = 25

#: The newest form of ONNX files that this ONNX Runtime reads.
NEWEST_IR = 14


@dataclass(frozen=True, kw_only=True)
class GraphInfo:
    """What a graph file says about itself.

    Attributes:
        kind: which part of the network it is.
        config: of the network.
        weights_sha256: of the weight file that it was made from.
        fft: how it transforms: by DFT operators or by matrix products.
        precision: type of the convolutions: fp32, fp16 or int8.
        metrics: figures of the network, such as `psnr_y_db`.
    """

    kind: Kind
    config: ModelConfig
    weights_sha256: str
    fft: Fft
    precision: str
    metrics: Mapping[str, float | str] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, str]:
        """Entries of `metadata_props`."""
        texts = (self.config.to_json(), self.kind, self.fft, self.precision, self.weights_sha256)
        return {
            **dict(zip(_KEYS, texts, strict=True)),
            "dcls_metrics": json.dumps(dict(self.metrics), sort_keys=True),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "GraphInfo":
        """Read what `to_metadata` wrote.

        Raises:
            WeightsError: an entry is missing or impossible.
        """
        missing = [key for key in _KEYS if key not in metadata]
        if missing:
            raise WeightsError(
                f"not a graph of dcls: the metadata have no {missing[0]}; "
                "make one with `dcls export-onnx`"
            )
        config, kind, fft, precision, sha256 = (metadata[key] for key in _KEYS)
        for value, allowed in ((kind, get_args(Kind)), (fft, get_args(Fft))):
            if value not in allowed:
                raise WeightsError(
                    f"a graph of kind {value!r:.40}, expected {' or '.join(allowed)}; "
                    "the file may come from a newer dcls"
                )
        try:
            metrics = json.loads(metadata.get("dcls_metrics", "{}"))
        except (ValueError, RecursionError) as error:
            raise WeightsError(f"dcls_metrics is not JSON: {error}") from error
        return cls(
            kind=kind,  # type: ignore[arg-type]  # checked above
            config=ModelConfig.from_json(config),
            weights_sha256=sha256,
            fft=fft,  # type: ignore[arg-type]
            precision=precision,
            metrics=metrics,
        )


def stamp(model: "ModelProto", info: GraphInfo) -> bytes:
    """Serialise a graph with its metadata and its digest."""
    del model.metadata_props[:]
    for key, text in info.to_metadata().items():
        model.metadata_props.add(key=key, value=text)
    model.metadata_props.add(key=DIGEST_KEY, value=_digest(model))
    return bytes(model.SerializeToString(deterministic=True))


def read_graph(path: Path) -> tuple[bytes, GraphInfo]:
    """Content and description of a graph file that was found to be whole and safe to load.

    Raises:
        WeightsError: missing, damaged, with external data, of another program, or for a newer
            runtime.
    """
    if not path.exists():
        raise WeightsError(f"{path}: no such graph file")
    if not path.is_file():
        raise WeightsError(f"{path}: a graph file is expected, this is not a file")
    if path.stat().st_size > _LARGEST_BYTES:
        raise WeightsError(f"{path}: larger than 2 GiB: not weights of dcls")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    if content.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path}: a Git LFS pointer, not the graph; run `git lfs pull`")
    try:
        return content, _checked(content)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def graph_info(path: Path) -> GraphInfo:
    """Description of a graph file, after checking all of it; see `read_graph`."""
    return read_graph(path)[1]


def _checked(content: bytes) -> GraphInfo:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise WeightsError("not an ONNX file, or cut off; get the file again") from error
    if not model.HasField("graph") or not model.opset_import:
        raise WeightsError("not an ONNX file, or cut off; get the file again")
    inner = (node for function in model.functions for node in function.node)
    for tensor in chain(_tensors(model.graph), *map(_tensors_of_node, inner)):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise WeightsError(
                f"tensor {tensor.name!r:.60} lies in another file, which is not read: "
                "one file without external data is expected"
            )
    if model.ir_version > NEWEST_IR:
        raise WeightsError(
            f"written for a newer ONNX (IR version {model.ir_version}), at most {NEWEST_IR} is "
            "supported"
        )
    versions = (item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    newest = max(versions, default=0)
    if newest > NEWEST_OPSET:
        raise WeightsError(f"operator set {newest}, at most {NEWEST_OPSET} is supported")
    metadata = {item.key: item.value for item in model.metadata_props}
    info = GraphInfo.from_metadata(metadata)
    if metadata.get(DIGEST_KEY) != _digest(model):
        raise WeightsError("damaged: its content does not match its own SHA-256")
    return info


def _digest(model: "ModelProto") -> str:
    """SHA-256 of the graph and of all metadata but the digest itself."""
    digest = hashlib.sha256(model.graph.SerializeToString(deterministic=True))
    for item in sorted(model.metadata_props, key=lambda item: item.key):
        if item.key != DIGEST_KEY:
            digest.update(f"{item.key}\0{item.value}\0".encode())
    for item in model.opset_import:
        digest.update(f"{item.domain}\0{item.version}\0".encode())
    return digest.hexdigest()


def _tensors(graph: "GraphProto") -> "Iterator[TensorProto]":
    """Every tensor of a graph: initializers, sparse ones, attributes, graphs within."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of_node(node)


def _tensors_of_node(node: "NodeProto") -> "Iterator[TensorProto]":
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph)


def parts_of(config: ModelConfig) -> tuple[Kind, ...]:
    """The graphs of a network that is split, in the order in which they are run."""
    by_features = config.smoothing == "features" and config.deconvolution == "dcls"
    kinds: list[tuple[Kind, bool]] = [
        ("estimator", True),
        ("smoothing", by_features),
        ("gates", config.attention),
        ("restorer", True),
    ]
    return tuple(kind for kind, used in kinds if used)


def statistics_of(config: ModelConfig) -> tuple[str, ...]:
    """What a restorer takes beside image and kernel, in the order of its inputs.

    All are frozen for a photo, so that its tiles agree: see `backends.Blur`.
    """
    names = [
        ("noise", config.noise == "estimated"),
        ("smoothing", config.deconvolution == "dcls"),
        ("gates", config.attention),
    ]
    return tuple(name for name, used in names if used)


def estimates_of(config: ModelConfig) -> tuple[str, ...]:
    """What an estimator gives after `pooled` and `kernel`, in the order of its outputs."""
    by_code = config.smoothing == "code" and config.deconvolution == "dcls"
    names = [("smoothing", by_code), ("noise", config.noise == "estimated")]
    return tuple(name for name, given in names if given)


def blur_inputs(kind: Kind, config: ModelConfig) -> tuple[str, ...]:
    """The parts of the blur that a graph takes, in the order of its inputs, after the image.

    Filters P that come from features need the blur only for the linear super-resolver's image,
    which is among these; in RGB space they come from the image itself.
    """
    statistics = statistics_of(config)
    if kind == "restorer":
        return ("kernel", *statistics)
    if kind == "gates":
        return ("kernel", *(name for name in statistics if name != "gates"))
    if kind == "smoothing" and config.skip == "linear" and config.deconvolution_space != "rgb":
        return ("kernel", *(name for name in statistics if name == "noise"))
    return ()


def pool_width(config: ModelConfig) -> int:
    """D: how many pools of an image an estimator sums."""
    return config.estimator_features * (2 if config.pooling == "energy" else 1)


def estimator_reach(config: ModelConfig) -> int:
    """Pixels on each side that a pooled feature sees: of the head, and of two layers a block."""
    return 3 + 2 * config.estimator_blocks


def pool_margin(config: ModelConfig) -> int:
    """Pixels that the estimator's layers without padding take off each axis before the pools."""
    return 0 if config.pooling == "energy" else 4


SUFFIX = ".onnx"

#: Precision of a restorer whose name has none.
EXACT = "fp32"

_PART = re.compile(
    r"(?P<name>.*)-(?P<kind>estimator|smoothing|gates|restorer)(?:-(?P<precision>fp16|int8))?"
)


def part_path(path: Path, kind: Kind, precision: str = EXACT) -> Path:
    """The file of a part of NAME.onnx that `--split -o PATH` writes."""
    suffix = "" if precision == EXACT else f"-{precision}"
    return path.with_name(f"{path.stem}-{kind}{suffix}{SUFFIX}")


def main_part_paths(path: Path, precision: str = EXACT) -> tuple[Path, Path]:
    """The files of the two parts that every network has: estimator and restorer."""
    return part_path(path, "estimator"), part_path(path, "restorer", precision)


def parse_part_name(path: Path) -> tuple[Path, Kind]:
    """NAME.onnx of a part, and which part it is, by its name.

    Raises:
        WeightsError: the name is that of none.
    """
    match = _PART.fullmatch(path.stem)
    if match is None or (match["precision"] and match["kind"] != "restorer"):
        raise WeightsError(
            f"{path}: the parts of a network are NAME-estimator{SUFFIX} and "
            f"NAME-restorer{SUFFIX}; give each of them its name back"
        )
    kind: Kind = match["kind"]  # type: ignore[assignment]  # the pattern has no other
    return path.with_name(match["name"] + SUFFIX), kind


def exact_restorer_path(path: Path) -> Path:
    """The restorer in fp32 that goes with a part.

    Raises:
        WeightsError: the name is that of none.
    """
    return part_path(parse_part_name(path)[0], "restorer")
