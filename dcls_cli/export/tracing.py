"""From a network to ONNX models: one graph for each part, small and the same each time.

Weights that fp16 holds exactly are stored in fp16: half the file, not one bit less. What the
exporter notes about its own run is left out.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from dcls_cli.config import ModelConfig
from dcls_cli.export.modules import (
    EstimatorGraph,
    FusedGraph,
    GatesGraph,
    RestorerGraph,
    SmoothingGraph,
)
from dcls_cli.export.options import SMALLEST_PX, ExportOptions
from dcls_cli.graphs import Kind, blur_inputs, estimates_of, pool_width
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.windows import SMOOTHING_TAPS

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

#: Sides of the example that is traced where the graph's sides are free; two primes, so that no
#: dimension looks like another one.
TRACED_PX = (41, 53)

#: Longer than any side: an axis that another one is derived from needs a bound.
LONGEST_PX = 1 << 24

#: Images of that example: 1 would be taken for a constant.
TRACED_BATCH = 2

_Axes = dict[int, object]


@dataclass(frozen=True)
class Traced:
    """What `torch.onnx.export` is asked for.

    Attributes:
        module: computes the graph.
        inputs: examples by name.
        axes: by the name of an input, which of its axes are free.
        outputs: names.
        named: parameters of the module before the one that takes the rest, if one does.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    axes: dict[str, _Axes]
    outputs: tuple[str, ...]
    named: int | None = None


def trace(network: DCLS, kind: Kind, options: ExportOptions) -> "ModelProto":
    """One graph of a network as an ONNX model without metadata."""
    wanted = _graph_to_trace(network, kind, options)
    with _silence_exporter(), torch.no_grad():
        program = torch.onnx.export(
            wanted.module.eval(),
            tuple(wanted.inputs.values()),
            input_names=list(wanted.inputs),
            output_names=list(wanted.outputs),
            dynamic_shapes=_by_parameter(wanted),
            opset_version=options.opset,
            dynamo=True,
            optimize=True,
            external_data=False,
        )
    assert program is not None
    return program.model_proto


def _graph_to_trace(network: DCLS, kind: Kind, options: ExportOptions) -> Traced:
    """The module of a graph with its inputs; axes that are free have names."""
    config = network.config
    fft = options.transform(config)
    # What is global is gathered in windows of many sizes, also where those of tiles are fixed.
    gathers = kind in ("smoothing", "gates")
    sides = (None, None) if gathers else options.sides(config)
    height, width = (side or traced for side, traced in zip(sides, TRACED_PX, strict=True))
    free: _Axes = {
        axis: Dim(name, min=SMALLEST_PX, max=LONGEST_PX)
        for axis, name, side in zip((2, 3), ("height", "width"), sides, strict=True)
        if side is None
    }
    lr = torch.rand(TRACED_BATCH, 3, height, width)
    inputs, axes = {"lr": lr}, {"lr": {0: Dim("batch"), **free}}
    if kind == "fused":
        module: nn.Module = FusedGraph(network, fft, half=options.half)
        return Traced(module, inputs, axes, ("sr", "kernel"))
    if kind != "restorer":
        _add_weights(inputs, axes, kind, config)
    before = len(inputs)
    blur = _any_blur(config)
    for name in blur_inputs(kind, config):
        inputs[name], axes[name] = blur[name], {}
    if kind == "estimator":
        outputs = ("pooled", "kernel", *estimates_of(config))
        return Traced(EstimatorGraph(network), inputs, axes, outputs)
    if kind == "smoothing":
        return Traced(SmoothingGraph(network), inputs, axes, ("sums", "smoothing"), before)
    # The kernel is a parameter of its own.
    if kind == "gates":
        module = GatesGraph(network, fft)
        return Traced(module, inputs, axes, ("gates",), before + 1)
    module = RestorerGraph(network, fft, half=options.half)
    return Traced(module, inputs, axes, ("sr",), before + 1)


def _add_weights(
    inputs: dict[str, Tensor], axes: dict[str, _Axes], kind: Kind, config: ModelConfig
) -> None:
    """Inputs of a graph that takes means: weights of rows and columns, and the sums so far."""
    batch, _, height, width = inputs["lr"].shape
    taps = SMOOTHING_TAPS
    bins = (taps,) if kind == "smoothing" else ()
    for name, axis, side in (("rows", 2, height), ("columns", 3, width)):
        inputs[name] = torch.rand(*bins, side)
        axes[name] = {len(bins): axes["lr"][axis]} if axis in axes["lr"] else {}
    if kind == "gates":
        return
    pools = (config.deconvolved_channels, taps, taps) if bins else (pool_width(config),)
    inputs["before"] = torch.rand(batch, *pools)
    axes["before"] = {0: axes["lr"][0]}


def _any_blur(config: ModelConfig) -> dict[str, Tensor]:
    """Anything of the shapes that a blur has."""
    taps = SMOOTHING_TAPS
    return {
        "kernel": torch.full(
            (1, 1, config.kernel_size, config.kernel_size), config.kernel_size**-2.0
        ),
        "noise": torch.rand(1),
        "smoothing": torch.rand(1, config.deconvolved_channels, taps, taps),
        "gates": torch.rand(
            1, config.groups, config.blocks, config.features + config.side_features
        ),
    }


def _by_parameter(wanted: Traced) -> tuple[object, ...]:
    """Axes in the order of the parameters of `forward`; a `*parameter` takes a tuple of them."""
    axes = tuple(wanted.axes[name] for name in wanted.inputs)
    if wanted.named is None or wanted.named == len(axes):
        return axes
    return (*axes[: wanted.named], axes[wanted.named :])


@contextlib.contextmanager
def _silence_exporter() -> Iterator[None]:
    """Keep what the exporter says about itself from the user; its errors come through."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


#: Tensors of fewer values are not worth a node.
LEAST_VALUES = 256


def compact(model: "ModelProto") -> None:
    """Store fp32 initializers whose values fp16 has in fp16, with a cast that runtimes fold.

    Released weights are rounded to fp16, so most of a graph is halved. The exporter's notes are
    taken away, which differ from run to run, and which files for older runtimes may not have.
    """
    import onnx
    from onnx import numpy_helper

    casts: list[NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < LEAST_VALUES or not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.fp16"))
        casts.append(
            onnx.helper.make_node(
                "Cast", [f"{name}.fp16"], [name], f"{name}.cast", to=onnx.TensorProto.FLOAT
            )
        )
    graph = model.graph
    nodes = [*casts, *graph.node]
    tensors = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for noted in (graph, *nodes, *tensors):
        del noted.metadata_props[:]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def state_ir_version(model: "ModelProto") -> None:
    """State the oldest form of ONNX files that has the graph's operator set.

    Exporters state their own newest one, which readers of that operator set may refuse although
    the graph needs nothing of it.
    """
    from onnx.helper import find_min_ir_version_for

    model.ir_version = find_min_ir_version_for(list(model.opset_import))


def expand(model: "ModelProto") -> None:
    """Undo `compact`, for tools that look for fp32 initializers."""
    import onnx
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        tensor = stored.get(node.input[0]) if node.op_type == "Cast" else None
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT16:
            kept.append(node)
            continue
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
