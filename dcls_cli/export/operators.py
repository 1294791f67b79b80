"""Which operators keep a graph on a GPU."""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

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


def operators(model: "ModelProto") -> dict[str, int]:
    """How often each operator occurs in a graph, by name."""
    return dict(sorted(Counter(node.op_type for node in model.graph.node).items()))


def beyond_cuda(model: "ModelProto") -> tuple[str, ...]:
    """Operators of a graph that ONNX Runtime would take from the GPU to the CPU and back."""
    return tuple(name for name in operators(model) if name not in CUDA_OPERATORS)
