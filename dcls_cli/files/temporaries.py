"""Temporary files whose names say who writes them, which tells leftovers from live ones.

A name is `.NAME.MACHINE.PID-START.RANDOM.dcls-tmp`. A file is a leftover if its process is gone:
its number is free, or belongs to a process that started at another time. Of processes on other
machines, or in other containers, that share the folder nothing can be known; their files count as
leftovers when nothing has been written to them for a day.
"""

import ctypes
import errno
import functools
import hashlib
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dcls_cli.files import platforms

SUFFIX = ".dcls-tmp"

#: After so long without a write another machine's file is a leftover.
FOREIGN_AGE_S = 24 * 3600

#: What a file name may have where nothing else is stated.
_USUAL_NAME_BYTES = 255

_NAME = re.compile(
    r"\..*\.(?P<machine>[0-9a-f]{8})\.(?P<pid>\d+)-(?P<start>\d+)\.[0-9a-f]{16}\.dcls-tmp",
    re.DOTALL,
)

#: The files and folders that this process has made for now, files with what writes them; one is
#: made and entered under the lock.
_live: dict[Path, BinaryIO | None] = {}
_lock = threading.RLock()


def is_temporary(name: str) -> bool:
    """Whether a file's name is that of a temporary file, of whatever process."""
    return _NAME.fullmatch(name) is not None


def name_for(path: Path) -> str:
    """A new name, with as much of the file's own as the file system has room for."""
    pid = os.getpid()
    owner = f"{_machine()}.{pid}-{_started(pid)}"
    tail = f".{owner}.{secrets.token_hex(8)}{SUFFIX}"
    name = path.name
    room = _longest_name(path.parent) - len(tail) - 1
    while name and len(os.fsencode(name)) > room:
        name = name[:-1]
    return f".{name}{tail}"


@contextmanager
def opened(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Make the temporary file of `path` and remove it, unless it has got another name by then."""
    name = name_for(path)
    temporary = platforms.reachable(path.parent, more=len(name) + 1) / name
    try:
        with _lock:
            _live[temporary] = None  # first, as a signal may come at any moment
            file = temporary.open("xb")
            _live[temporary] = file
        with file:
            yield temporary, file
    finally:
        # One that cannot be removed goes later, and must not hide what went wrong before.
        with suppress(platforms.InUseError):
            platforms.unlink(temporary, missing_ok=True)
        with _lock:
            _live.pop(temporary, None)


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder where the system has its temporary files; remove it with all that is in it.

    The leftovers of processes that were killed are removed there too, once a process.

    Raises:
        OSError: it cannot be made.
    """
    top = Path(tempfile.gettempdir())
    _tidy_up(top)
    made = top / name_for(top / "staged")
    try:
        with _lock:
            _live[made] = None
            made.mkdir(mode=0o700)
        yield made
    finally:
        _remove(made)
        with _lock:
            _live.pop(made, None)


@functools.cache
def _tidy_up(top: Path) -> None:
    remove_stale(top)


def _remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        with suppress(FileNotFoundError):  # another process was faster
            shutil.rmtree(path)
    else:
        platforms.unlink(path, missing_ok=True, patience_s=0.0)


def abandon() -> None:
    """Remove the files that this process writes and make no more: it ends now.

    Threads that want to begin a file block.
    """
    _lock.acquire()
    for temporary, file in _live.items():
        with suppress(OSError, ValueError):  # ValueError: closed already
            if platforms.ON_WINDOWS and file is not None:
                _divert(file)
        with suppress(OSError):
            _remove(temporary)


def _divert(file: BinaryIO) -> None:
    """Let go of a file that a thread is writing, as what is open cannot be deleted on Windows.

    The number stays in use, so that no other file gets it, and with it the thread's bytes.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, file.fileno())
    os.close(nowhere)


def remove_stale(folder: Path) -> None:
    """Remove the leftovers in a folder.

    What this user may not list or remove, as in a folder that several share, stays.

    Raises:
        OSError: the folder cannot be read.
    """
    with suppress(PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and _is_stale(entry):
                with suppress(PermissionError):
                    _remove(Path(entry.path))


def _is_stale(entry: "os.DirEntry[str]") -> bool:
    match = _NAME.fullmatch(entry.name)
    if match is None:
        return False
    if match["machine"] == _machine():
        return not _alive(int(match["pid"]), int(match["start"]))
    try:
        written = entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:  # its writer was faster
        return False
    return time.time() - written > FOREIGN_AGE_S


@functools.cache
def _machine() -> str:
    """Eight digits that identify the machine or container whose process numbers these are."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no file that exists
    except OSError:  # not Linux
        namespace = ""
    return hashlib.sha256(f"{_host()} {namespace}".encode()).hexdigest()[:8]


def _host() -> str:
    """A name of this machine; a Mac's own name changes with its network, its number does not."""
    if sys.platform == "darwin":
        number, patience = ctypes.create_string_buffer(16), (ctypes.c_long * 2)(1, 0)
        if ctypes.CDLL(None).gethostuuid(number, patience) == 0:
            return number.raw.hex()
    return socket.gethostname()


def _alive(pid: int, start: int) -> bool:
    import psutil

    try:
        if not psutil.pid_exists(pid):
            return False
    except OverflowError:
        return False
    now = _started(pid)
    return 0 in (start, now) or start == now


def _started(pid: int) -> int:
    """When a process started; 0 where that is not known.

    In ticks since the machine did on Linux, where the clock may be set; elsewhere in seconds.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _started_elsewhere(pid)
    # The program's name, in brackets, may hold anything; the start is the 20th field after it.
    return int(text.rpartition(")")[2].split()[19])


def _started_elsewhere(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).create_time())
    except (psutil.Error, OSError):
        return 0


def _longest_name(folder: Path) -> int:
    """Bytes that a file name may have; some network folders state no limit, or none that is one."""
    if not hasattr(os, "pathconf"):
        return _USUAL_NAME_BYTES
    try:
        stated = os.pathconf(folder, "PC_NAME_MAX")
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
        return _USUAL_NAME_BYTES
    return stated if stated > 0 else _USUAL_NAME_BYTES
