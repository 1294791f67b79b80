"""Sessions of ONNX Runtime: execution providers, how a graph is started, what errors mean."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from dcls_cli.backends import wheels
from dcls_cli.backends.wheels import module
from dcls_cli.errors import BackendError, OutOfMemoryError, first_line
from dcls_cli.installation import install_command, quoted
from dcls_cli.machine import free_memory_bytes, usable_processors

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: By the name of a device.
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}

#: What `auto` tries before the CPU, where this ONNX Runtime has it. TensorRT builds an engine for
#: minutes; of DirectML and CoreML nobody has measured that their fp32 is the CPU's. They are used
#: only where they are asked for.
AUTOMATIC = ("cuda",)

#: Those of which one session may run in several threads at a time; DirectML's may not, and
#: TensorRT's has given wrong results (ONNX Runtime's issue 19275).
CONCURRENT = ("cuda",)

#: Those that need NVIDIA's driver and libraries.
NVIDIA = ("cuda", "tensorrt")

#: The wheel with NVIDIA's libraries.
_WITH_CUDA = "onnxruntime-gpu[cuda,cudnn]"

#: Makes a session of providers with their options.
Opener = Callable[[list[Any]], "InferenceSession"]


def parse_device(device: str) -> tuple[str, int]:
    """Name and number of a device such as `cuda:1`.

    Raises:
        BackendError: unknown.
    """
    match = re.fullmatch(r"([a-z]+)(?::(\d{1,3}))?", device)
    if match is None or match[1] not in PROVIDERS or (match[1] in ("cpu", "coreml") and match[2]):
        raise BackendError(
            f"unknown device {device!r} for ONNX Runtime; use auto, {', '.join(PROVIDERS)}, or one "
            "with a number, such as cuda:1"
        )
    return match[1], int(match[2] or 0)


def device_candidates(device: str) -> list[str]:
    """The devices to try, in this order; a device that is named alone.

    A wheel for GPUs is what most machines get, so `auto` looks for a GPU where that is cheap, and
    passes over it in silence where there is none. The CPU is the last.

    Raises:
        BackendError: ONNX Runtime itself cannot be loaded.
    """
    if device != "auto":
        return [device]
    built_in = [name for name in AUTOMATIC if PROVIDERS[name] in available_providers()]
    return [name for name in built_in if name not in NVIDIA or wheels.has_nvidia_gpu()] + ["cpu"]


def open_session(device: str, opener: Opener) -> "InferenceSession":
    """Open a session on a device: on that one, or it fails.

    Raises:
        BackendError: the device is not usable.
    """
    name, number = parse_device(device)
    provider = PROVIDERS[name]
    if provider not in available_providers():
        raise BackendError(f"device {device!r} is not usable: {why_missing(name)}")
    if name in NVIDIA and not wheels.has_nvidia_gpu():  # or loading CUDA would fail, later
        raise BackendError(f"device {device!r} is not usable: {why_failing(name)}")
    chosen: list[Any] = [(provider, provider_options(name, number))]
    if name == "tensorrt":  # takes the nodes that TensorRT lacks
        chosen.append((PROVIDERS["cuda"], provider_options("cuda", number)))
    if name != "cpu":
        chosen.append(PROVIDERS["cpu"])
    if name == "tensorrt":
        # It has no option for that, and looks once, before its first session. Whoever has set it
        # otherwise keeps that.
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    if name in NVIDIA:
        wheels.load_libraries()
    try:
        session = opener(chosen)
    except BackendError as error:
        if name == "cpu":
            raise
        reason = why_failing(name) or f"{error}; use --device cpu"
        raise BackendError(f"device {device!r} is not usable: {reason}") from error
    used = session.get_providers()[0]
    if used != provider:
        reason = why_failing(name) or f"ONNX Runtime took {used} instead; use --device cpu"
        raise BackendError(f"device {device!r} is not usable: {reason}")
    return session


def provider_options(name: str, number: int) -> dict[str, str]:
    """Options of a provider."""
    if name == "cuda":
        return {
            "device_id": str(number),
            "cudnn_conv_algo_search": "HEURISTIC",  # tiles have few sizes: no minute of trials
            "arena_extend_strategy": "kSameAsRequested",
            "use_tf32": "0",  # fp32 is fp32; see `devices.exact_fp32`
        }
    if name == "tensorrt":
        folder = str(_made_folder(cache_folder() / "tensorrt"))
        return {
            "device_id": str(number),
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": folder,
        }
    return {"device_id": str(number)} if name == "directml" else {}


def cache_folder() -> Path:
    """Where engines that took long to build are kept."""
    return platformdirs.user_cache_path("dcls", False)


def _made_folder(folder: Path) -> Path:
    """A cache folder, which is there and can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BackendError(
            f"{folder}: TensorRT's engines cannot be kept there: {error.strerror}; make it "
            "writable, or give another folder by XDG_CACHE_HOME"
        ) from error
    return folder


def why_missing(name: str) -> str:
    """Why this ONNX Runtime does not have a provider, and what to do."""
    both = wheels.clash()
    if both is not None:
        return both
    wheel = ", ".join(wheels.installed_wheels())
    installed = wheel or "this build of onnxruntime"
    if name in NVIDIA:
        other = f"; or {install_command('torch')}" if name == "cuda" else " tensorrt"
        wheel = wheel or "onnxruntime"
        return (
            f"{installed} has no {PROVIDERS[name]}; pip uninstall -y {wheel}, then "
            f"pip install {quoted(_WITH_CUDA)}{other}"
        )
    where = "the wheels for macOS have it"
    if name == "directml":
        where = f"on Windows pip uninstall -y {wheel}, then pip install onnxruntime-directml"
    return f"{installed} has no {PROVIDERS[name]}; {where}; or use --device cpu"


def why_failing(name: str) -> str | None:
    """Why a provider that this ONNX Runtime has does not work here, and what to do, if known."""
    both = wheels.clash()
    if both is not None:
        return both
    if name not in NVIDIA:
        return None
    if not wheels.has_nvidia_driver():
        return "no NVIDIA driver was found; install it, or use --device cpu"
    if not wheels.has_nvidia_gpu():
        return "NVIDIA's driver sees no GPU; look at CUDA_VISIBLE_DEVICES, or use --device cpu"
    missing = wheels.missing_library(name)
    if missing is None:
        return None
    package = "tensorrt" if "nvinfer" in missing else quoted(_WITH_CUDA)
    return f"a library is missing: {missing}; pip install {package}, or use --device cpu"


def available_providers() -> list[str]:
    """The providers that this ONNX Runtime was built with, by its own names.

    Raises:
        BackendError: it cannot be loaded.
    """
    return list(wheels.module().get_available_providers())


#: What ONNX Runtime says when memory runs out; its errors have no class of their own.
MEMORY_WORDS = (
    "bad_alloc",
    "Failed to allocate memory",
    "out of memory",
    "bad allocation",
    "ALLOC_FAILED",  # of cuBLAS, cuDNN and cuFFT
    "CUFFT_INTERNAL_ERROR",  # what cuFFT says instead
)

#: Before what it has to say: a code, and a place in its source with the name of a function.
_PLACE = re.compile(
    r"^(\[ONNXRuntimeError\] : \d+ : \w+ : )?"
    r"(\S*[/\\]onnxruntime\S*[/\\]\S+:\d+ [^()]*\([^()]*\)( const)? )?"
)


def threads() -> int:
    """Threads of a session on the CPU: all processors, or as OMP_NUM_THREADS says."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else usable_processors()


def start_session(content: bytes, providers: list[Any]) -> "InferenceSession":
    """Start a session of a graph.

    Raises:
        BackendError: ONNX Runtime refuses it or the device.
    """
    onnxruntime = module()
    onnxruntime.disable_telemetry_events()  # on Windows the published wheels have them on
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.log_severity_level = 4  # errors are reported by us, in one line
    onnxruntime.set_default_logger_severity(4)
    try:
        # Its own fallback would go on with the CPU and print that on stdout.
        session: InferenceSession = onnxruntime.InferenceSession(
            content, options, providers=providers, enable_fallback=False
        )
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise BackendError(f"ONNX Runtime cannot load the graph: {_message_of(error)}") from error
    return session


def _message_of(error: Exception) -> str:
    """What ONNX Runtime says, without its codes and the place in its source."""
    line = first_line(error)
    return _PLACE.sub("", line) or line


@contextmanager
def translated_memory_errors(shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what ONNX Runtime raises, with an input (..., H, W), into our errors.

    Raises:
        OutOfMemoryError: memory ran out inside the block.
        BackendError: anything else that ONNX Runtime refuses.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError.of_piece(shape) from error
    except Exception as error:  # ONNX Runtime's errors have no common class
        if any(word in str(error) for word in MEMORY_WORDS):
            raise OutOfMemoryError.of_piece(shape) from error
        raise BackendError(f"ONNX Runtime failed: {_message_of(error)}") from error


def check_memory(shape: tuple[int, ...], needed: int) -> None:
    """Refuse what would fill the memory: a system may end the program before ONNX Runtime fails.

    Raises:
        OutOfMemoryError: more than is free.
    """
    if needed > free_memory_bytes():
        raise OutOfMemoryError.of_piece(shape)
