"""A restorer whose convolutions compute in int8, with ranges that are measured on pictures.

Weights are int8 with a scale for each output channel, activations are uint8 with the ranges that
the pictures give, from the least to the largest value, and some more: what a range cuts off is
wrong by many levels. In fp32 stay the linear super-resolver and the deconvolution, whose answers
are exact, and the convolutions in front of both paths, which take little time and where int8 loses
most.
"""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch

from dcls_cli.errors import ExportError
from dcls_cli.export.tracing import compact, expand
from dcls_cli.graphs import statistics_of
from dcls_cli.image import read
from dcls_cli.image.folders import images_in
from dcls_cli.network.dcls import DCLS, Blur
from dcls_cli.network.restorer import FP32_LAYERS
from dcls_cli.network.statistics import Source, gather

if TYPE_CHECKING:
    from onnx import ModelProto

#: Of a large picture, its middle of so many pixels a side is used.
SIDE_PX = 128

#: Contrast of what ranges are measured on, of the pictures' own: room for harder edges. The wider
#: the ranges, the coarser all values: 1.1 and 1.25 lost 0.08 and 0.10 dB on Set5 with the photo
#: network, and the worst value of 36 sharp photos was 28 and 19 levels off fp32 with the light one.
CONTRAST = 1.15

#: Room of the last convolution's range beyond that: what is cut off there is in the picture. With 1
#: the worst value was 47 levels off; its rounding is small beside that of the layers before.
LAST_ROOM = 2.0

#: Convolutions of a restorer that stay in fp32, by the beginnings of their weights' names.
KEPT = tuple(f"restorer.{name}." for name in FP32_LAYERS)

#: What is computed in 8 bits between convolutions that are.
BETWEEN = ("LeakyRelu", "Add", "Concat")


def calibration_pictures(folder: Path) -> list[np.ndarray]:
    """The pictures of a folder, (3, h, w) float32 in [0, 1], at most SIDE_PX a side.

    Raises:
        ExportError: there are none.
        ImageError: one cannot be read, or a folder.
    """
    found = []
    for path in images_in(folder, recursive=True) if folder.is_dir() else []:
        pixels = read(path).pixels.transpose(2, 0, 1)
        top, left = (max(side - SIDE_PX, 0) // 2 for side in pixels.shape[1:])
        middle = pixels[:, top : top + SIDE_PX, left : left + SIDE_PX]
        found.append(np.ascontiguousarray(middle, np.float32))
    if not found:
        raise ExportError(f"{folder}: a folder with pictures is expected, to measure ranges on")
    return found


def quantise_restorer(
    model: "ModelProto", network: DCLS, examples: Sequence[np.ndarray]
) -> "ModelProto":
    """Quantise a restorer in fp32, which is changed, by pictures (3, h, w)."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    expand(model)
    with tempfile.TemporaryDirectory(prefix="dcls-") as folder, _silence_quantiser():
        output = Path(folder, "int8.onnx")
        quantize_static(
            model,
            output,
            _Inputs(network, examples),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", *BETWEEN],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_nodes_in_fp32(model),
            calibrate_method=CalibrationMethod.MinMax,
        )
        made = onnx.load(output)
    _widen_last(made)
    compact(made)
    return made


def blur_of(network: DCLS, lr: np.ndarray) -> Blur:
    """The blur of a picture (3, h, w), with all that its tiles share."""
    image = torch.from_numpy(lr)[None]
    source = Source(lambda rows, columns: image[:, :, rows, columns], *lr.shape[1:])
    with torch.inference_mode():
        return gather(network, source, tiled=True)


def inputs_of(network: DCLS, lr: np.ndarray, blur: Blur) -> dict[str, np.ndarray]:
    """What a restorer is given for a picture (3, h, w) with a blur."""
    names = ("kernel", *statistics_of(network.config))
    return {"lr": lr[None], **{name: getattr(blur, name).numpy() for name in names}}


class _Inputs:
    """What the quantiser reads: one picture after the other, then None."""

    def __init__(self, network: DCLS, examples: Sequence[np.ndarray]) -> None:
        self._inputs = (
            inputs_of(network, lr.mean() + CONTRAST * (lr - lr.mean()), blur_of(network, lr))
            for lr in examples
        )

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        return next(self._inputs, None)


def _nodes_in_fp32(model: "ModelProto") -> list[str]:
    """Names of what stays in fp32: some convolutions, and what is not between others."""
    weights = {tensor.name for tensor in model.graph.initializer}
    makers = {name: node.name for node in model.graph.node for name in node.output}
    inside: set[str] = set()
    kept = []
    for node in model.graph.node:  # each comes after what it takes
        if node.op_type == "Conv":
            # The linear super-resolver's filters are computed.
            in_fp32 = node.input[1] not in weights or node.input[1].startswith(KEPT)
        elif node.op_type in BETWEEN:
            in_fp32 = not all(makers.get(name) in inside for name in node.input)
        else:
            continue
        if in_fp32:
            kept.append(node.name)
        else:
            inside.add(node.name)
    return kept


def _widen_last(model: "ModelProto") -> None:
    """Give the output of the last convolution LAST_ROOM times its range, around the same zero."""
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    (rounding,) = (
        node
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] == last.output[0]
    )
    (scale,) = (item for item in model.graph.initializer if item.name == rounding.input[1])
    wider = (onnx.numpy_helper.to_array(scale) * LAST_ROOM).astype(np.float32)
    scale.CopyFrom(onnx.numpy_helper.from_array(wider, scale.name))


@contextmanager
def _silence_quantiser() -> Iterator[None]:
    """Keep the quantiser's advice to its own developers from the user; errors come through."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
