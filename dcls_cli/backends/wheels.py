"""What is installed for ONNX Runtime: its wheels, NVIDIA's driver and libraries."""

import contextlib
import ctypes
import io
import sys
from importlib import metadata
from pathlib import Path

#: All wheels bring the same module: the one that was installed last hides the others.
WHEELS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")


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


def has_nvidia_driver() -> bool:
    """Whether the library of NVIDIA's driver can be loaded."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def load_libraries() -> None:
    """Load CUDA and cuDNN from NVIDIA's packages, where pip has put them and nothing looks.

    What is missing is told by `why_failing` if the provider does not start without it.
    """
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what is missing
            onnxruntime.preload_dlls()


def missing_library(name: str) -> str | None:
    """What the system's loader says about the library of a provider, or None if it can load it."""
    import onnxruntime

    windows = sys.platform == "win32"
    file = f"onnxruntime_providers_{name}" + (".dll" if windows else ".so")
    path = Path(onnxruntime.__file__).parent / "capi" / (file if windows else f"lib{file}")
    if not path.exists():  # a provider without a library of its own
        return None
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        return str(error).partition("\n")[0]
    return None
