"""Which engine runs a weight file, by its suffix, the device and what is installed."""

from pathlib import Path

from dcls_cli.backends import Backend
from dcls_cli.errors import BackendError, UsageError
from dcls_cli.graphs import SUFFIX
from dcls_cli.installation import has_torch, require_torch

#: What `load_backend` takes as `engine`.
ENGINES = ("auto", "torch", "onnx")

#: The precision that ONNX Runtime alone has.
INT8 = "int8"

#: Devices that only ONNX Runtime has.
ONLY_ONNX = ("tensorrt", "directml", "coreml")


def load_backend(
    weights_path: Path, device: str = "auto", precision: str = "auto", engine: str = "auto"
) -> Backend:
    """Load a weight file into the engine that runs on a device.

    Args:
        weights_path: a safetensors file of dcls, or any part of its graphs, such as
            NAME-restorer.onnx.
        device: auto, cpu, cuda or cuda:N; with ONNX Runtime tensorrt, directml and coreml too.
        precision: auto, fp32, bf16, fp16 or int8.
        engine: torch, onnx, or auto: ONNX Runtime for graphs, for int8, for devices that PyTorch
            lacks, and where it is not installed; else PyTorch.

    Raises:
        UsageError: an unknown engine, or one that cannot take the file.
        WeightsError: the file is missing, damaged or of another network.
        BackendError: the device, the precision or the engine is not usable here.
    """
    is_graph = weights_path.suffix == SUFFIX
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}; use {', '.join(ENGINES)}")
    if is_graph and engine == "torch":
        raise UsageError(f"{weights_path}: a graph runs with --backend onnx, not with torch")
    if engine == "torch" and precision == INT8:
        raise BackendError("int8 runs on ONNX Runtime only; use --backend onnx or auto")
    only_onnx = precision == INT8 or device.partition(":")[0] in ONLY_ONNX
    wants_torch = engine == "auto" and has_torch() and not only_onnx
    if not is_graph and (engine == "torch" or wants_torch):
        require_torch("--backend torch")
        from dcls_cli.backends.pytorch import PyTorchBackend

        return PyTorchBackend.load(weights_path, device, precision)
    from dcls_cli.backends.onnx_runtime import OnnxBackend

    return OnnxBackend.load(weights_path, device, precision)
