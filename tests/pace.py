"""Limits of time that hold on a slow or busy machine too.

A limit is for a quiet machine. Where a fixed piece of work takes longer than it does there, because
the processor is slower, shared or throttled, the limit grows by the same factor.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

#: Seconds that the piece of work takes on a quiet machine.
_QUIET_S = 0.15


def stretched(seconds: float) -> float:
    """A limit of wall time as this machine is now; call it right after what is limited."""
    started = time.perf_counter()
    for _ in range(10):
        sum(range(600_000))
    return seconds * max(1.0, (time.perf_counter() - started) / _QUIET_S)


def processor_s(run: Callable[[], object], times: int = 1) -> float:
    """The least processor time of some runs of child processes, seconds."""
    spent = []
    for _ in range(times):
        before = os.times()
        run()
        after = os.times()
        spent.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    return min(spent)


def importing_s(modules: str, times: int = 1, **options: object) -> float:
    """The least processor time of a Python that imports modules and ends, seconds."""
    command = [sys.executable, "-c", f"import {modules}"]
    return processor_s(lambda: subprocess.run(command, check=True, **options), times)  # type: ignore[call-overload]
