"""Which device computes, and in which precision."""

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from dcls_cli.errors import BackendError
from dcls_cli.machine import usable_processors

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
    if chosen.type != "cuda":
        raise BackendError(f"device {device!r} is not supported; use auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        reason = (
            "no NVIDIA GPU with a working driver was found" if built else "this PyTorch is CPU-only"
        )
        raise BackendError(f"device {device!r} is not usable: {reason}; use --device cpu")
    count = torch.cuda.device_count()
    if (chosen.index or 0) >= count:
        raise BackendError(f"device {device!r} does not exist: this machine has {count}")
    return chosen


def fit_threads() -> None:
    """Compute in no more threads than there are processors to be had; see `usable_processors`.

    PyTorch takes the processors that it is shown, and in a container whose time is limited they
    would wait for each other. What `OMP_NUM_THREADS` says stays.
    """
    usable = usable_processors()
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > usable:
        torch.set_num_threads(usable)


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


def has_fast_bf16(capabilities: Mapping[str, object], vendor: str) -> bool:
    """Whether a processor's convolutions are faster in bf16 than in fp32.

    With AMX they are, on any processor: its units are made for it. With the dot products of
    AVX-512 they are on AMD, from Zen 4 on (networks 2.4 times as fast, measured), but not on Intel,
    where a virtual machine may show them and hide AMX (44 GMAC/s of convolutions in bf16 against
    76 in fp32, measured on a Sapphire Rapids). Of others it is not known.

    Args:
        capabilities: of `torch.cpu.get_capabilities`.
        vendor: the processor's, see `processor_vendor`.
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
        text = platform.processor()
    found = re.search(r"AuthenticAMD|GenuineIntel|HygonGenuine", text)
    return found.group() if found else ""
