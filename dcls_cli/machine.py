"""How much of this machine the process may use."""

import importlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")

#: Taken for free memory where the system does not tell.
_ASSUMED_FREE_BYTES = 2**31

#: What NumPy calls otherwise than Linux does, of what is asked for.
_LINUX_NAMES = {"AVX512VNNI": "avx512_vnni"}


def usable_processors() -> int:
    """Count the processors that this process may run on, at least 1.

    A container may be given less time than it is shown processors; more threads than that wait for
    each other.
    """
    shown = _shown_processors()
    quota = _processor_quota()
    return max(min(shown, round(quota)), 1) if quota is not None else shown


def _shown_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_flags() -> frozenset[str] | None:
    """What the processor can do, by Linux' names such as `avx2`; None where nothing tells.

    Elsewhere NumPy knows, which chooses its own loops by that; not all that Linux knows.
    """
    try:
        with Path("/proc/cpuinfo").open() as lines:
            for line in lines:
                if line.startswith(("flags", "Features")):  # the latter on ARM
                    return frozenset(line.partition(":")[2].split())
    except OSError:  # not Linux
        pass
    return _flags_by_numpy()


def _flags_by_numpy() -> frozenset[str] | None:
    """The same for any system; private to NumPy, so that it may go."""
    try:
        loops = importlib.import_module("numpy._core._multiarray_umath")
        features: dict[str, bool] = loops.__cpu_features__
    except (ImportError, AttributeError):
        return None
    return frozenset(_LINUX_NAMES.get(name, name.lower()) for name in features if features[name])


def free_memory_bytes() -> int:
    """Find out how much memory this process may still take without hurting others."""
    return max(min(_limits()), 0)


def peak_bytes() -> int:
    """The most memory that this process has had so far; 0 where the system does not count it."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 1024 * _detail(Path("/proc/self/status"), "VmHWM:")


def prepare_pytorch() -> None:
    """Set this program's environment for PyTorch, before it is imported; what is set stays.

    PyTorch takes as many threads as it is shown processors; in a container whose time is limited
    they would wait for each other. And each tensor is new memory, which costs a call of the system
    a page: with pages of 4 kB instead of 2 MB that is up to 7 % of the processor's time for the
    paper's network.
    """
    usable = usable_processors()
    if usable < _shown_processors():
        os.environ.setdefault("OMP_NUM_THREADS", str(usable))
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


@contextmanager
def threads_take_memory() -> Iterator[None]:
    """Turn what Python raises when there is no memory for a thread into a MemoryError."""
    try:
        yield
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        raise MemoryError(str(error)) from error


def _limits() -> Iterator[int]:
    """All that bounds the memory."""
    import psutil

    try:
        yield int(psutil.virtual_memory().available)
    except (OSError, RuntimeError, psutil.Error):  # such as without /proc
        yield _ASSUMED_FREE_BYTES
    for limit, used, details, name in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ):
        allowed, taken = _number(_GROUPS / limit), _number(_GROUPS / used)
        if allowed is not None and taken is not None:
            # What files left in memory counts as used, and goes when it is needed.
            yield int(allowed - taken) + _detail(_GROUPS / details, name)
    if sys.platform == "linux":
        import resource

        addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
        if addresses != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            yield addresses - pages * resource.getpagesize()


def _processor_quota() -> float | None:
    """Processors' worth of time that a Linux control group allows, or None without a limit."""
    try:
        if (_GROUPS / "cpu.max").exists():
            time, period = (_GROUPS / "cpu.max").read_text().split()
        else:
            time = (_GROUPS / "cpu/cpu.cfs_quota_us").read_text()
            period = (_GROUPS / "cpu/cpu.cfs_period_us").read_text()
        allowed = float(time) / float(period)
    except (OSError, ValueError):  # no control groups, or "max"
        return None
    return allowed if allowed > 0 else None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):  # no control groups, or "max"
        return None


def _detail(path: Path, name: str) -> int:
    """A number of a table of the system's; 0 where there is none."""
    try:
        found = re.search(rf"^{name}\s+(\d+)", path.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0
