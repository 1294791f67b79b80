"""What is installed for ONNX Runtime: its wheels, NVIDIA's driver and libraries."""

import ctypes
import sys
from importlib import metadata
from pathlib import Path
from threading import Lock
from types import ModuleType

from dcls_cli.errors import BackendError

#: All wheels bring the same module: the one that was installed last hides the others.
WHEELS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")

#: What NVIDIA's driver answers where it is installed but sees no GPU (CUDA_ERROR_NO_DEVICE).
_NO_DEVICE = 100


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
    """What is wrong with the wheels of ONNX Runtime that are installed, and how to mend it.

    Two at once, or what two have left: pip takes the files that both share away with either of
    them, and a wheel that came without pip's knowing hides the one that pip knows.
    """
    wheels = list(installed_wheels())
    if len(wheels) > 1:
        what = f"{' and '.join(wheels)} are installed at once and overwrite each other"
        return f"{what}: {remedy(wheels)}"
    try:
        module()
    except BackendError as error:
        return str(error)
    origin = _origin()
    if wheels and origin not in (None, wheels[0]):
        return f"{wheels[0]} is installed, but its files are those of {origin}: {remedy(wheels)}"
    return None


def remedy(wheels: list[str]) -> str:
    """How to have one wheel and all of it: the last of those that are installed."""
    if not wheels:
        return f"pip install {WHEELS[0]}"
    return f"pip uninstall -y {' '.join(wheels)}, then pip install {wheels[-1]}"


def module() -> ModuleType:
    """ONNX Runtime, if all of it is there.

    Raises:
        BackendError: it is not.
    """
    try:
        import onnxruntime
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        what = remedy(list(installed_wheels()))
        if "DLL load failed" in reason:
            what = f"install Microsoft's Visual C++ Redistributable; if it is there, {what}"
        raise BackendError(f"ONNX Runtime cannot be loaded: {reason}; {what}") from error
    # Without its __init__.py, which two wheels share, Python takes what is left for a package.
    if not hasattr(onnxruntime, "InferenceSession"):
        raise BackendError(
            f"ONNX Runtime is incomplete, as after one of two wheels was uninstalled: "
            f"{remedy(list(installed_wheels()))}"
        )
    return onnxruntime  # type: ignore[no-any-return]


def _origin() -> str | None:
    """The wheel that the files of ONNX Runtime come from, as they say themselves, or None."""
    try:
        from onnxruntime.capi.build_and_package_info import package_name
    except ImportError:  # another build than the published ones
        return None
    return package_name if package_name in WHEELS else None


def has_nvidia_driver() -> bool:
    """Whether the library of NVIDIA's driver can be loaded."""
    return _driver() is not None


def has_nvidia_gpu() -> bool:
    """Whether NVIDIA's driver is there and does not say that there is no GPU.

    One that fails in another way counts as a GPU: that it does not work must be reported.
    """
    driver = _driver()
    if driver is None:
        return False
    try:
        answer: int = driver.cuInit(0)
    except AttributeError:  # by its name the driver, by its content something else
        return True
    return answer != _NO_DEVICE


def _driver() -> ctypes.CDLL | None:
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


#: Held while libraries are loaded: engines of several devices start at once.
_LOADING = Lock()


def load_libraries() -> None:
    """Load CUDA and cuDNN from NVIDIA's packages, where pip has put them and nothing looks.

    What is missing is reported by `why_failing` if the provider does not start without it.
    """
    onnxruntime = module()
    if not hasattr(onnxruntime, "preload_dlls"):
        return
    # It prints what is missing. Standard output belongs to all threads, of which another may load
    # libraries too or print a result, so the module alone gets another `print`.
    names = vars(onnxruntime)
    with _LOADING:
        names["print"] = lambda *_values, **_options: None
        try:
            onnxruntime.preload_dlls()
        finally:
            del names["print"]


def missing_library(name: str) -> str | None:
    """What the system's loader says about the library of a provider, or None if it can load it."""
    windows = sys.platform == "win32"
    file = f"onnxruntime_providers_{name}" + (".dll" if windows else ".so")
    folder = Path(str(module().__file__)).parent / "capi"
    path = folder / (file if windows else f"lib{file}")
    if not path.exists():  # a provider without a library of its own
        return None
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        return str(error).partition("\n")[0]
    return None
