"""A lock that dies with the process that holds it."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcls_cli.files import platforms

#: The byte that is locked on Windows, behind the text, which others may then read.
_LOCKED_BYTE = 2**30


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file until the end of the block, then delete it.

    The operating system lets go of the lock when the process ends, however it ends; the file that
    a killed process leaves behind locks nothing.

    Raises:
        BlockingIOError: another process holds it; `strerror` names that process, if it is known.
        OSError: the file cannot be made.
    """
    descriptor = _acquire(path)
    try:
        yield
    finally:
        if platforms.ON_WINDOWS:
            # What is open cannot be deleted; nor can it, then, if another process has taken it.
            os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
        else:
            path.unlink(missing_ok=True)
            os.close(descriptor)


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
        except BlockingIOError as error:
            os.close(descriptor)
            raise BlockingIOError(error.errno, _holder(path), os.fspath(path)) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock without waiting."""
    if platforms.ON_WINDOWS:
        import msvcrt

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except PermissionError as error:
            raise BlockingIOError from error
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[attr-defined,unused-ignore]


def _holder(path: Path) -> str:
    """Which process holds the lock, as far as it says."""
    with contextlib.suppress(OSError, ValueError):
        return f"process {int(path.read_text())}"
    return "another process"
