"""One process at a time trains into a folder: a lock that dies with whoever holds it."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcls_cli.errors import TrainingError
from dcls_cli.training.processes import true_anywhere

NAME = "run.lock"


@contextmanager
def locked(out: Path, rank: int = 0) -> Iterator[None]:
    """Hold the folder of a run until the end of the block.

    The operating system lets go of the lock when the process ends, however it ends; the file that
    a killed process leaves behind locks nothing. Folders that were made for the lock and that
    nothing was put into are removed again.

    Args:
        out: made if it does not exist.
        rank: of this process in its run; the first one holds the lock, and all must ask for it.

    Raises:
        TrainingError: another run holds it, or it cannot be written to.
    """
    lock = contextlib.nullcontext() if rank else _hold(out)
    refusal: TrainingError | None = None
    try:
        lock.__enter__()
    except TrainingError as error:
        refusal = error
    (refused,) = true_anywhere(refusal is not None)
    if refused:
        raise refusal or TrainingError(f"{out}: the first process cannot train into this folder")
    with contextlib.ExitStack() as stack:
        stack.push(lock)
        yield


@contextmanager
def _hold(out: Path) -> Iterator[None]:
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(out / NAME)
    except BlockingIOError:
        raise TrainingError(
            f"{out}: another process is training into this folder{_holder(out / NAME)}; "
            "wait for its end, or choose another --out"
        ) from None
    except OSError as error:
        _remove_empty(missing)
        raise TrainingError(
            f"{error.filename}: cannot be written ({error.strerror}); choose another --out"
        ) from error
    try:
        yield
    finally:
        (out / NAME).unlink(missing_ok=True)
        os.close(descriptor)
        _remove_empty(missing)


def _acquire(path: Path) -> int:
    """Open and lock a file; whoever had it before may have deleted it in between."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    os.truncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock without waiting.

    Raises:
        BlockingIOError: another process has locked it.
    """
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except PermissionError as error:
            raise BlockingIOError from error
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(path: Path) -> str:
    """Which process holds the lock, as far as it says."""
    with contextlib.suppress(OSError, ValueError):
        return f" (process {int(path.read_text())})"
    return ""


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, up to the first that is not empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
