"""A run as processes: how they meet, hold the folder, and end by signals and for want of memory."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from dcls_cli.backends.devices import is_out_of_memory
from dcls_cli.errors import BackendError, OutOfMemoryError, TrainingError
from dcls_cli.files.locking import held

#: Held by the run that trains into a folder.
LOCK = "run.lock"


@dataclass(frozen=True)
class Process:
    """rank: index of this process, of which 0 reports and writes; device: what it trains on."""

    rank: int
    device: torch.device


@contextmanager
def joined(device: torch.device) -> Iterator[Process]:
    """Meet the other processes, if there are any, and part from them at the end.

    Args:
        device: the CPU, or CUDA; without an index each process takes the card of its local rank.

    Raises:
        BackendError: there are too few cards.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Process(0, device)
        return
    if device.type == "cuda":
        device = _card_of_this_process(device)
        torch.cuda.set_device(device)
    # Gloo carries what concerns the clock and stopping, which must not wait for the device.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Process(dist.get_rank(), device)
    finally:
        dist.destroy_process_group()


def _card_of_this_process(device: torch.device) -> torch.device:
    """The card of the local rank, as NCCL refuses to let processes share one."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if ":" in str(device):
        if here > 1:
            raise BackendError(
                f"device '{device}': {here} processes cannot share one GPU; use --device cuda, "
                "which gives each its own"
            )
        return device
    local, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= count:
        raise BackendError(
            f"{here} processes need as many GPUs, and this machine has {count}; "
            f"use torchrun --nproc-per-node {count}"
        )
    return torch.device("cuda", local)


def true_anywhere(*flags: bool) -> list[bool]:
    """For each flag, whether it is true in any process; all processes must ask.

    On the CPU, where the processes talk without waiting for the device.
    """
    if not dist.is_initialized():
        return list(flags)
    agreed = torch.tensor(flags, dtype=torch.uint8)
    dist.all_reduce(agreed, dist.ReduceOp.MAX)
    return [bool(flag) for flag in agreed.tolist()]


@contextmanager
def locked(out: Path, rank: int = 0) -> Iterator[None]:
    """Hold the folder of a run until the end of the block.

    Folders that were made for the lock and that nothing was put into are removed again.

    Args:
        out: made if it does not exist.
        rank: of this process in its run; the first one holds the lock, and all must ask for it.

    Raises:
        TrainingError: another run holds it, or it cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        refusal: TrainingError | None = None
        try:
            if rank == 0:
                stack.enter_context(_hold(out))
        except TrainingError as error:
            refusal = error
        (refused,) = true_anywhere(refusal is not None)
        if refused:
            raise refusal or TrainingError(f"{out}: the first process cannot train into it")
        yield


@contextmanager
def _hold(out: Path) -> Iterator[None]:
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        with contextlib.ExitStack() as stack:
            try:
                out.mkdir(parents=True, exist_ok=True)
                stack.enter_context(held(out / LOCK))
            except BlockingIOError as error:
                raise TrainingError(
                    f"{out}: {error.strerror} is training into this folder; wait for its end, or "
                    "choose another --out"
                ) from error
            except OSError as error:
                raise TrainingError(
                    f"{error.filename}: cannot be written ({error.strerror}); choose another --out"
                ) from error
            yield
    finally:
        with contextlib.suppress(OSError):
            for folder in missing:  # innermost first, up to the first that is not empty
                folder.rmdir()


#: As of SIGHUP, which Windows does not have.
_EXIT_HUNG_UP = 129


class Interruption:
    """Ctrl-C, SIGTERM or a closed terminal end a run after its step; a second signal at once.

    Attributes:
        exit_code: of the first signal that came, or None.
    """

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.exit_code: int | None = None

    def arrived(self) -> bool:
        """Whether the run was asked to end."""
        return self.exit_code is not None

    @contextmanager
    def handled(self, stop: Callable[[], None]) -> Iterator[None]:
        """Handle these signals inside the block; the first one calls `stop`.

        A second signal goes to the handler that was there before.
        """

        def handle(number: int, frame: FrameType | None) -> None:
            if self.exit_code is None:
                self.exit_code = exit_code_of(number)
                stop()
                return
            earlier = previous[number]
            if callable(earlier):
                earlier(number, frame)
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(exit_code_of(number))

        previous: dict[int, Any] = {number: signal.signal(number, handle) for number in _ending()}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _ending() -> list[signal.Signals]:
    """Signals that ask a run to end; SIGBREAK is Windows' for a window that is closed.

    What was switched off for the end of a terminal, as by nohup, stays off.
    """
    closed = [getattr(signal, name) for name in ("SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    heard = [number for number in closed if signal.getsignal(number) is not signal.SIG_IGN]
    return [signal.SIGINT, signal.SIGTERM, *heard]


def exit_code_of(number: int) -> int:
    """The exit code of a process that a signal ended, as shells have it."""
    if number == getattr(signal, "SIGBREAK", None):
        return _EXIT_HUNG_UP
    return 128 + number


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what PyTorch raises for want of memory or of a compiler into our errors.

    Raises:
        OutOfMemoryError: memory ran out.
        BackendError: the network cannot be compiled here.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        compiler = sys.modules.get("torch._dynamo.exc")  # slow to import, and not without need
        if compiler is not None and isinstance(error, compiler.TorchDynamoException):
            reason = str(error).strip().splitlines()[0]
            raise BackendError(
                f"--compile does not work here: {reason}; train without it"
            ) from error
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            "out of memory; give --accumulate 2 or more, a smaller --batch or --patch, "
            "or fewer images"
        ) from error
