"""The least time of things that are done in turns, on a CPU or a GPU."""

import time
from collections.abc import Callable

import torch

#: Calls between two waits for a GPU where a single one would be shorter than the wait.
QUEUED = 20


def fastest(
    runs: list[Callable[[], object]], device: torch.device, seconds: float, *, queued: int = 1
) -> tuple[float, ...]:
    """The least time of each of several things that are done in turns.

    Args:
        runs: what is timed.
        device: that it runs on. A GPU is waited for before and after.
        seconds: for each, about.
        queued: calls in a row on a GPU, whose mean counts.
    """
    calls = queued if device.type == "cuda" else 1

    def timed(run: Callable[[], object]) -> float:
        _wait(device)
        start = time.perf_counter()
        for _ in range(calls):
            run()
        _wait(device)
        return (time.perf_counter() - start) / calls

    best = [timed(run) for run in runs]
    end = time.perf_counter() + seconds * len(runs)
    while time.perf_counter() < end:
        best = [min(least, timed(run)) for least, run in zip(best, runs, strict=True)]
    return tuple(best)


def _wait(device: torch.device) -> None:
    """Calls return before a GPU has done them."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
