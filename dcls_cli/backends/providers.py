"""Execution providers of ONNX Runtime: which one a device means, and why one is not to be had."""

import ctypes
import os
import re
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcls_cli.errors import BackendError

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
#: minutes, so it is used only where it is asked for.
AUTOMATIC = ("cuda", "directml", "coreml")

#: All wheels bring the same module: the one that was installed last hides the others.
WHEELS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")

#: Makes a session of providers with their options.
Opener = Callable[[list[Any]], "InferenceSession"]


def parse(device: str) -> tuple[str, int]:
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


def open_session(device: str, opener: Opener) -> "tuple[InferenceSession, str, str | None]":
    """Open a session on a device: a device that is named is used, or it fails.

    Args:
        device: `auto`, or what `parse` takes.
        opener: makes the session.

    Returns:
        The session, its device, and what must be told: that `auto` could not use a GPU.

    Raises:
        BackendError: the device is not usable.
    """
    if device != "auto":
        return _open(device, opener), device, None
    told = None
    for name in AUTOMATIC:
        if PROVIDERS[name] in available():
            try:
                return _open(name, opener), name, None
            except BackendError as error:
                told = f"{error}; the CPU is used"
    return _open("cpu", opener), "cpu", told


def _open(device: str, opener: Opener) -> "InferenceSession":
    name, number = parse(device)
    provider = PROVIDERS[name]
    if provider not in available():
        raise BackendError(f"device {device!r} is not usable: {why_missing(name)}")
    chosen: list[Any] = [(provider, options_of(name, number))]
    if name == "tensorrt":  # takes the nodes that TensorRT lacks
        chosen.append((PROVIDERS["cuda"], options_of("cuda", number)))
    if name != "cpu":
        chosen.append(PROVIDERS["cpu"])
    session = opener(chosen)
    used = session.get_providers()[0]
    if used != provider:
        raise BackendError(
            f"device {device!r} is not usable: ONNX Runtime took {used} instead; "
            f"{why_failing(name)}"
        )
    return session


def options_of(name: str, number: int) -> dict[str, str]:
    """Options of a provider."""
    if name == "cuda":
        return {
            "device_id": str(number),
            "cudnn_conv_algo_search": "HEURISTIC",  # tiles have few sizes: no minute of trials
            "arena_extend_strategy": "kSameAsRequested",
        }
    if name == "tensorrt":
        folder = cache_folder() / "tensorrt"
        folder.mkdir(parents=True, exist_ok=True)
        return {
            "device_id": str(number),
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(folder),
        }
    return {"device_id": str(number)} if name == "directml" else {}


def cache_folder() -> Path:
    """Where engines that took long to build are kept."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return Path(base) / "dcls" / "cache" if base else Path.home() / ".dcls" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dcls"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dcls"


def installed_wheels() -> dict[str, str]:
    """The wheels of ONNX Runtime that are installed, with their versions."""
    found = {}
    for name in WHEELS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def clash() -> str | None:
    """What is wrong where several wheels of ONNX Runtime are installed, and how to mend it."""
    wheels = list(installed_wheels())
    if len(wheels) < 2:
        return None
    keep = wheels[-1]
    return (
        f"{' and '.join(wheels)} are installed at once and overwrite each other: "
        f"pip uninstall -y {' '.join(wheels)}, then pip install {keep}"
    )


def why_missing(name: str) -> str:
    """Why this ONNX Runtime does not have a provider, and what to do."""
    both = clash()
    if both is not None:
        return both
    wheels = ", ".join(installed_wheels()) or "this build of onnxruntime"
    if name in ("cuda", "tensorrt"):
        return (
            f"{wheels} has no {PROVIDERS[name]}; pip uninstall -y onnxruntime, then "
            "pip install 'onnxruntime-gpu[cuda,cudnn]'; or pip install 'dcls[torch]'"
        )
    return f"{wheels} has no {PROVIDERS[name]}; use --device cpu"


def why_failing(name: str) -> str:
    """Why a provider that this ONNX Runtime has does not work here, and what to do."""
    both = clash()
    if both is not None:
        return both
    if name in ("cuda", "tensorrt") and not has_nvidia_driver():
        return "no NVIDIA driver was found; install it, or use --device cpu"
    return (
        "a library that it needs is missing (for CUDA: pip install "
        "'onnxruntime-gpu[cuda,cudnn]'); or use --device cpu"
    )


def has_nvidia_driver() -> bool:
    """Whether the library of NVIDIA's driver can be loaded."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def available() -> list[str]:
    """The providers that this ONNX Runtime was built with, by its own names."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())
