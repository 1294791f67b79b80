"""Small files that are the same each time.

Weights that fp16 holds exactly are stored in fp16: half the file, not one bit less. What the
exporter notes about its own run is left out.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

#: Tensors of fewer values are not worth a node.
LEAST_VALUES = 256


def compact(model: "ModelProto") -> None:
    """Store fp32 initializers whose values fp16 has in fp16, with a cast that runtimes fold.

    Released weights are rounded to fp16, so most of a graph is halved. Nodes lose the exporter's
    notes, which differ from run to run.
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
    nodes = [*casts, *model.graph.node]
    for node in nodes:
        del node.metadata_props[:]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


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
