"""From a network to ONNX models: one graph for each part."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.export import Dim

from dcls_cli.export.modules import EstimatorGraph, FusedGraph, RestorerGraph
from dcls_cli.export.options import SMALLEST_PX, ExportOptions
from dcls_cli.graphs import Kind, estimates_of, pool_width, statistics_of
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.deconvolution import SMOOTHING_TAPS

if TYPE_CHECKING:
    from onnx import ModelProto

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
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    axes: dict[str, _Axes]
    outputs: tuple[str, ...]


def trace(network: DCLS, kind: Kind, options: ExportOptions) -> "ModelProto":
    """One graph of a network as an ONNX model without metadata."""
    wanted = _wanted(network, kind, options)
    with _quiet(), torch.no_grad():
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


def _wanted(network: DCLS, kind: Kind, options: ExportOptions) -> Traced:
    config = network.config
    height, width = (
        side or traced for side, traced in zip(options.sides(config), TRACED_PX, strict=True)
    )
    free_sides: _Axes = {
        axis: Dim(name, min=SMALLEST_PX, max=LONGEST_PX)
        for axis, name, side in zip((2, 3), ("height", "width"), options.sides(config), strict=True)
        if side is None
    }
    batch = Dim("batch")
    lr = torch.rand(TRACED_BATCH, 3, height, width)
    if kind == "fused":
        module: nn.Module = FusedGraph(network, options.fft, half=options.half)
        return Traced(module, {"lr": lr}, {"lr": {0: batch, **free_sides}}, ("sr", "kernel"))
    kernel = torch.full((1, 1, config.kernel_size, config.kernel_size), config.kernel_size**-2.0)
    if kind == "restorer":
        channels = config.deconvolved_channels
        shapes = {
            "noise": (1,),
            "smoothing": (1, channels, SMOOTHING_TAPS, SMOOTHING_TAPS),
            "gates": (1, config.groups, config.blocks, config.features + config.side_features),
        }
        statistics = {name: torch.rand(shapes[name]) for name in statistics_of(config)}
        inputs = {"lr": lr, "kernel": kernel, **statistics}
        axes: dict[str, _Axes] = {name: {} for name in inputs}
        axes["lr"] = {0: batch, **free_sides}
        module = RestorerGraph(network, options.fft, half=options.half)
        return Traced(module, inputs, axes, ("sr",))
    margin = network.estimator.pooling.margin
    inputs = {
        "lr": lr,
        "rows": torch.rand(height - margin),
        "columns": torch.rand(width - margin),
        "before": torch.rand(TRACED_BATCH, pool_width(config)),
    }
    axes = {
        "lr": {0: batch, **free_sides},
        "rows": {0: free_sides[2] - margin} if 2 in free_sides else {},  # type: ignore[operator]
        "columns": {0: free_sides[3] - margin} if 3 in free_sides else {},  # type: ignore[operator]
        "before": {0: batch},
    }
    outputs = ("pooled", "kernel", *estimates_of(config))
    return Traced(EstimatorGraph(network), inputs, axes, outputs)


def _by_parameter(wanted: Traced) -> tuple[object, ...]:
    """Axes in the order of the parameters of `forward`; a `*parameter` takes a tuple of them."""
    axes = tuple(wanted.axes[name] for name in wanted.inputs)
    if isinstance(wanted.module, RestorerGraph):
        return (*axes[:2], axes[2:])
    return axes


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
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
