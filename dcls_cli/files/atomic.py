"""Write a file so that its name never shows half of it.

The order is restic's: a temporary file in the same folder, write, check the length, fsync, give it
its name, fsync the folder. A process that is killed leaves at most a temporary file, which the next
write into that folder removes.
"""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from dcls_cli.files import platforms, temporaries

#: Errors of file systems that cannot make hard links (FAT, some network and FUSE mounts).
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

#: Errors of file systems on which a folder cannot be flushed; the rename stands all the same.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES}

_REASONS = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "larger than files may be here",
    errno.EROFS: "the file system of {folder} is read-only",
    errno.ENOENT: "the folder {folder} does not exist",
    errno.ENOTDIR: "{folder} is not a folder",
    errno.EISDIR: "is a folder, expected a file name",
    errno.EACCES: "no permission to write in {folder}",
    errno.EPERM: "no permission to write in {folder}",
    errno.EEXIST: "exists already",
    errno.ENAMETOOLONG: "the name is too long for this file system",
}


def atomic_write(path: Path, writer: Callable[[BinaryIO], object], *, overwrite: bool) -> None:
    """Write a file whole or not at all.

    A symbolic link at `path` is replaced; what it points to is not touched.

    Args:
        path: the file; its folder must exist.
        writer: writes the content into the open, seekable file that it is given.
        overwrite: replace an existing file. Otherwise an existing file stays as it is, even one
            that another process makes at the same moment.

    Raises:
        OSError: the file cannot be written; an existing one is unchanged and no temporary file is
            left. `filename` is `path` and `strerror` one clear line, such as 'no space left on the
            disk', for the caller's own error.
        FileExistsError: the same, for a file that exists and may not be replaced.
    """
    path = Path(path)
    with _clear_errors(path):
        _refuse_special(path)
        temporaries.remove_stale(path.parent)
        with temporaries.opened(path) as (temporary, file):
            writer(file)
            _flush(file, temporary)
            file.close()  # before it gets its name, as Windows demands
            if overwrite:
                platforms.replace(temporary, platforms.reachable(path))
            else:
                _rename_to_new(temporary, platforms.reachable(path))
        _sync_folder(path.parent)


def write_bytes(content: bytes, path: Path, *, overwrite: bool) -> None:
    """Write a small file whole or not at all; see `atomic_write`."""

    def write(file: BinaryIO) -> None:
        file.write(content)

    atomic_write(path, write, overwrite=overwrite)


def finish(partial: Path, path: Path) -> None:
    """Give a file that was written piece by piece, over several runs, its final name.

    Raises:
        OSError: as `atomic_write`.
    """
    with _clear_errors(path):
        with partial.open("rb+") as file:
            sync(file.fileno())
        platforms.replace(partial, path)
        _sync_folder(path.parent)


def printable(path: Path | str) -> str:
    """A file's name for a message: on one line, with escapes for what is no text."""
    return "".join(
        letter if letter.isprintable() else ascii(letter)[1:-1] for letter in os.fspath(path)
    )


def check_writable(path: Path) -> None:
    """Find out now whether `atomic_write` could make a file of this name later; clean its folder.

    Raises:
        OSError: as `atomic_write`, for a missing or read-only folder and a name that is too long.
    """
    path = Path(path)
    with _clear_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _refuse_special(path)
        temporaries.remove_stale(path.parent)
        with temporaries.opened(path):
            pass


def is_special(path: Path) -> bool:
    """Whether a name leads to something that is neither a regular file nor a folder nor nothing.

    Such as a FIFO, a device or a socket, also by way of links. No file may replace one.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # a link to nowhere too
            return False
        raise
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _refuse_special(path: Path) -> None:
    """Refuse FIFOs and devices, a name that is too long, and one that Windows does not have.

    Raises:
        OSError: see above.
    """
    unfit = platforms.why_unfit(path.name)
    if unfit is not None:
        raise OSError(errno.EINVAL, unfit)
    if is_special(path):
        raise OSError(errno.ENOTSUP, "not a regular file")


def sync(descriptor: int) -> None:
    """Bring a file's content onto the disk; on macOS fsync leaves it in the disk's own memory.

    Raises:
        OSError: of the system.
    """
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
        except OSError:  # a network folder
            pass
    os.fsync(descriptor)


def _flush(file: BinaryIO, temporary: Path) -> None:
    """Bring the content onto the disk and check that it is all there."""
    file.flush()
    expected = file.seek(0, os.SEEK_END)
    sync(file.fileno())
    written = temporary.stat().st_size  # by name: what will be renamed
    if written != expected:
        raise OSError(errno.EIO, f"only {written} of {expected} bytes reached the disk")


def _rename_to_new(temporary: Path, path: Path) -> None:
    """Rename, unless the name is taken; no other process can come between."""
    if platforms.ON_WINDOWS:  # there a rename never replaces
        platforms.rename(temporary, path)
        return
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        path.touch(exist_ok=False)  # claims the name
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink()
            raise


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the file system can promise that."""
    if platforms.ON_WINDOWS:  # folders cannot be opened there
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)  # a folder may be written and yet not be read
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


@contextlib.contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """Give an OSError the file's name and a reason that says what is wrong."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if platforms.ON_WINDOWS and error.errno == errno.ENOENT and path.parent.is_dir():
            # So it answers for paths that are too long, and where it guards a folder.
            reason = "the path is too long, or the system does not let programs write here"
        elif not isinstance(error, platforms.InUseError):
            reason = _REASONS.get(error.errno or 0, reason)
        reason = reason.replace("{folder}", printable(path.parent))
        raise OSError(error.errno or errno.EIO, reason, os.fspath(path)) from error
