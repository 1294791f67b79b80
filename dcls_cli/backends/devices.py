"""Which device PyTorch computes on, in which precision, and what memory that takes."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from dcls_cli.config import ModelConfig
from dcls_cli.errors import BackendError, OutOfMemoryError
from dcls_cli.machine import free_memory_bytes

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

#: First NVIDIA compute capability with bf16 in its tensor cores.
BF16_COMPUTE_CAPABILITY = (8, 0)

AMD = "AuthenticAMD"


def select_device(device: str) -> torch.device:
    """Choose the device of `auto`, and check any other.

    Raises:
        BackendError: unknown, or not usable here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise BackendError(f"unknown device {device!r}; use auto, cpu, cuda or cuda:N") from error
    if chosen.type == "cpu":
        return torch.device("cpu")
    if chosen.type == "mps":  # the statistics of the estimate are in float64
        raise BackendError("device 'mps' is not supported: it has no float64; use --device cpu")
    if chosen.type != "cuda":
        raise BackendError(f"device {device!r} is not supported; use auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        built = torch.version.cuda is not None or torch.version.hip is not None
        reason = (
            "no GPU with a working driver was found"
            if built
            else "this PyTorch is CPU-only (pytorch.org lists builds with CUDA)"
        )
        raise BackendError(f"device {device!r} is not usable: {reason}; use --device cpu")
    count = torch.cuda.device_count()
    if (chosen.index or 0) >= count:
        raise BackendError(f"device {device!r} does not exist: this machine has {count}")
    return chosen


#: The processes that this module was copied into by fork.
_forked: set[int] = set()


class _ExactFp32:
    """PyTorch's settings of what fp32 is computed in, while anybody wants all of its bits.

    They hold for the whole process: the first one who comes sets them, and the last one who leaves
    gives back what they were.
    """

    def __init__(self) -> None:
        """Nobody has come yet."""
        self._lock = Lock()
        self._users = 0
        self._before: list[str] = []
        self._products: str | None = None
        self._cudnn_tf32: bool | None = None
        on: Any = torch.backends  # without types
        self._settings = (
            *(on.cudnn.conv, on.cudnn.rnn, on.cuda.matmul),
            *(on.mkldnn.conv, on.mkldnn.matmul),
        )

    def enter(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = [setting.fp32_precision for setting in self._settings]
                self._products = self._cudnn_tf32 = None
                # Where the caller has set what an old name cannot say, that one stays as it is.
                with suppress(RuntimeError):
                    self._products = torch.get_float32_matmul_precision()
                with suppress(RuntimeError):
                    self._cudnn_tf32 = torch.backends.cudnn.allow_tf32
                products = None if self._products is None else "highest"
                cudnn_tf32 = None if self._cudnn_tf32 is None else False
                self._set(products, cudnn_tf32, ["ieee"] * len(self._settings))
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._set(self._products, self._cudnn_tf32, self._before)

    def _set(self, products: str | None, cudnn_tf32: bool | None, values: Sequence[str]) -> None:
        """Set both the old names and the new ones: where they differ, PyTorch refuses to work."""
        if products is not None:
            torch.set_float32_matmul_precision(products)
        if cudnn_tf32 is not None:
            torch.backends.cudnn.allow_tf32 = cudnn_tf32
        for setting, value in zip(self._settings, values, strict=True):
            setting.fp32_precision = value


_exact_fp32 = _ExactFp32()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forked.add(os.getpid()))
    # Another thread may have held the lock.
    os.register_at_fork(after_in_child=_exact_fp32.__init__)  # type: ignore[misc]


@contextmanager
def exact_fp32() -> Iterator[None]:
    """Compute what is fp32 in fp32, on every device: what "fp32" means in this program.

    By itself PyTorch computes convolutions on a GPU in TF32, which has 10 bits of 23: it puts the
    linear super-resolver 61 dB away, less than bf16 does. Whoever uses this library may have
    allowed more, products in bf16 among it. Threads that compute something else meanwhile get
    exact fp32 too.
    """
    _exact_fp32.enter()
    try:
        yield
    finally:
        _exact_fp32.leave()


def has_lost_threads() -> bool:
    """Whether this process was forked, which copies none of the threads that PyTorch computes in.

    It would wait for them for ever, so it has to compute in one thread there.
    """
    return os.getpid() in _forked


@contextmanager
def apart_from_caller(device: torch.device) -> Iterator[None]:
    """Compute alike whatever the caller has set: a default device, autocast, or less than fp32.

    In a forked process it is one thread that computes; see `has_lost_threads`.
    """
    with exact_fp32(), ExitStack() as stack:
        if device.type == "cuda":  # GPU only: threads begin on the first one
            stack.enter_context(torch.cuda.device(device))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if torch.is_autocast_enabled(device.type):
            stack.enter_context(torch.autocast(device.type, enabled=False))
        threads = torch.get_num_threads()
        if threads > 1 and has_lost_threads():
            torch.set_num_threads(1)
            stack.callback(torch.set_num_threads, threads)
        yield


def select_precision(precision: str, device: torch.device) -> str:
    """Choose the precision of `auto`: bf16 where the device computes it faster than fp32.

    On a CPU that is a rule and no measurement, so that one machine always gives one result.

    Raises:
        BackendError: unknown, or not usable on the device.
    """
    if precision not in ("auto", *DTYPES):
        raise BackendError(f"unknown precision {precision!r}; use auto, {', '.join(DTYPES)}")
    on_cpu = device.type == "cpu"
    if precision == "fp16" and on_cpu:
        raise BackendError("fp16 is not usable on the CPU: it would be slower; use bf16 or fp32")
    if precision != "auto":
        return precision
    if on_cpu:
        fast = has_fast_bf16(torch.cpu.get_capabilities(), processor_vendor())
        return "bf16" if fast else "fp32"
    native = torch.cuda.get_device_capability(device) >= BF16_COMPUTE_CAPABILITY
    return "bf16" if native else "fp16"


def has_bf16(device: torch.device) -> bool:
    """Whether a device has convolutions in bf16; without them a processor takes minutes."""
    if device.type != "cpu":
        return True
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False


def has_fast_bf16(capabilities: Mapping[str, object], vendor: str) -> bool:
    """Whether a processor's convolutions are faster in bf16 than in fp32.

    With AMX they are, on any processor: its units are made for it. With the dot products of
    AVX-512 they are on AMD, from Zen 4 on (networks 2.4 times as fast, measured), but not on Intel,
    where a virtual machine may show them and hide AMX (44 GMAC/s of convolutions in bf16 against
    76 in fp32, measured on a Sapphire Rapids). Of others it is not known.
    """
    if capabilities.get("amx_bf16"):
        return True
    return bool(capabilities.get("avx512_bf16")) and vendor == AMD


def processor_vendor() -> str:
    """The twelve letters by which an x86 processor names its maker, or nothing."""
    try:
        with Path("/proc/cpuinfo").open() as lines:
            text = lines.read(1024)  # of the first processor
    except OSError:  # not Linux: Windows' own description ends with them
        # platform.processor() would ask WMI first, which hangs on some machines.
        text = os.environ.get("PROCESSOR_IDENTIFIER", "")
    found = re.search(r"AuthenticAMD|GenuineIntel|HygonGenuine", text)
    return found.group() if found else ""


#: Kept free on a CPU. oneDNN does not look whether it got its smallest pieces of memory and dies
#: with the process where there is none; of a device's memory CUDA takes its own part beforehand.
SPARE_BYTES = 24 << 20

#: Pictures of all features that the estimator holds at a time.
_ESTIMATOR_LIVE = 5

#: What says in the text of a RuntimeError that memory ran out: PyTorch's allocator on the CPU,
#: oneDNN, MKL and NVIDIA's libraries, which allocate for themselves, have no type of their own for
#: it.
_MEMORY_TEXTS = (
    "DefaultCPUAllocator",
    "ALLOC_FAILED",  # of cuBLAS, cuDNN, cuFFT, cuSOLVER, cuSPARSE
    "CUFFT_INTERNAL_ERROR",  # cuFFT's word for it
    "unable to find an engine",  # and cuDNN's, of which none fits into what is left
    "Unable to find a valid cuDNN algorithm",
    "bad_alloc",
    "could not create a memory",
    "could not create a primitive",
    "out of memory",
    "insufficient memory",
)


def free_device_bytes(device: torch.device) -> int:
    """What tiles may take of a device's memory."""
    if device.type == "cuda":  # GPU only
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return max(free_memory_bytes() - SPARE_BYTES, 0)


def require_memory(shape: Sequence[int], per_px: int, device: torch.device) -> None:
    """Refuse work on a CPU for which there is not enough memory: an input (B, C, H, W).

    Linux promises more than there is and then kills; and see `SPARE_BYTES`. Of a GPU's memory its
    allocator says itself that it ran out.

    Raises:
        OutOfMemoryError: there is not.
    """
    batch, _, height, width = shape
    if device.type == "cpu" and batch * height * width * per_px > free_device_bytes(device):
        raise OutOfMemoryError.of_piece(shape)


def bytes_per_px(config: ModelConfig, precision: str) -> int:
    """What restoring takes per LR pixel, about: measured, with some to spare."""
    exact = precision == "fp32"
    channels = config.features + config.path_features
    needs = [(7.5 if exact else 6.5) * 4 * channels]  # the deconvolution is in fp32 always
    if config.upsampler == "stepwise":
        needs.append(2.5 * (4 if exact else 2) * config.features * config.scale**2)
    return round(max(needs) + 2 * 4 * 3 * config.scale**2)


def estimator_bytes_per_px(config: ModelConfig) -> int:
    """What estimating the blur takes per LR pixel of a window, about."""
    return _ESTIMATOR_LIVE * 4 * config.estimator_features


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch or a library below it says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _MEMORY_TEXTS)


@contextmanager
def translated_memory_errors(shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what PyTorch raises when memory runs out, with an input (..., H, W), into our error.

    Raises:
        OutOfMemoryError: memory ran out inside the block.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError.of_piece(shape) from error
