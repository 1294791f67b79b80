"""Where systems and file systems differ: files that others have open, names, identities.

On Windows a file that any program has open can be neither renamed nor replaced nor deleted, and
virus scanners, indexers and synchronising folders open every new file for a moment.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path

#: Whether this is Windows; tests imitate it by setting this.
ON_WINDOWS = os.name == "nt"

#: For so long a file is waited for that another program has open, seconds.
PATIENCE_S = 5.0

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5

#: Windows' errors for such files: access denied, sharing violation, lock violation. The first may
#: also mean what it says.
_DENIED, _IN_USE = 5, (32, 33)

#: Characters of a path that Windows takes without being asked for more.
LONGEST_PATH = 259

#: Before a path that may be longer.
_LONG, _LONG_SHARE = "\\\\?\\", "\\\\?\\UNC\\"

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])", re.I)

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


class InUseError(PermissionError):
    """Another program has kept a file open; `strerror` says so."""


def replace(source: Path, target: Path) -> None:
    """Give a file another name, in place of a file that may have it.

    Raises:
        InUseError: another program has one of them open, for longer than is waited.
        OSError: of the system.
    """
    _patiently(lambda: source.replace(target), target)


def rename(source: Path, target: Path) -> None:
    """Give a file another name, on Windows, where that never replaces a file.

    Raises:
        FileExistsError: the name is taken.
        InUseError: another program has it open, for longer than is waited.
        OSError: of the system.
    """
    _patiently(lambda: source.rename(target), target)


def unlink(path: Path, *, missing_ok: bool = False, patience_s: float | None = None) -> None:
    """Delete a file.

    Args:
        path: the file.
        missing_ok: it need not be there.
        patience_s: in place of `PATIENCE_S`.

    Raises:
        InUseError: another program has it open, for longer than is waited.
        OSError: of the system.
    """
    _patiently(lambda: path.unlink(missing_ok=missing_ok), path, patience_s)


def _patiently(action: Callable[[], object], path: Path, patience_s: float | None = None) -> None:
    """Do something again and again as long as another program has the file open."""
    until = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    pause = _FIRST_PAUSE_S
    while True:
        try:
            action()
            return
        except PermissionError as error:
            number = getattr(error, "winerror", None)
            if not ON_WINDOWS or number not in (_DENIED, *_IN_USE):
                raise
            if time.monotonic() >= until:
                also = " or write-protected" if number == _DENIED else "; close it there"
                reason = f"is open in another program{also}"
                raise InUseError(errno.EACCES, reason, os.fspath(path)) from error
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def reachable(path: Path, *, more: int = 0) -> Path:
    r"""The path in the form that Windows takes at any length: with `\\?\` if it is long.

    Args:
        path: a file or folder.
        more: characters that will be added to it.
    """
    if not ON_WINDOWS:
        return path
    text = os.path.abspath(path)  # noqa: PTH100 - links stay
    if len(text) + more <= LONGEST_PATH or text.startswith(_LONG):
        return path
    if text.startswith("\\\\"):
        return Path(_LONG_SHARE + text[2:])
    return Path(_LONG + text)


def why_unfit(name: str) -> str | None:
    """Why Windows has no file of this name, or would call it otherwise; None elsewhere and for fit.

    A colon would write into a hidden stream of another file.
    """
    if not ON_WINDOWS:
        return None
    found = _FORBIDDEN.search(name)
    if found is not None:
        return f"Windows has no {ascii(found.group())} in names"
    if name.endswith((".", " ")):
        return "Windows drops a dot or space at the end of names"
    if _RESERVED.fullmatch(name.partition(".")[0].rstrip(" ")):
        return "Windows keeps this name for a device"
    return None


def is_hidden(entry: "os.DirEntry[str]") -> bool:
    """Whether people do not see a file or folder: by a dot, on Windows by its attributes too.

    There the recycle bin and what the system keeps on each disk are hidden.
    """
    if entry.name.startswith("."):
        return True
    hidden = stat.FILE_ATTRIBUTE_HIDDEN | stat.FILE_ATTRIBUTE_SYSTEM
    return bool(_status(entry, "st_file_attributes") & hidden)


def is_placeholder(status: os.stat_result) -> bool:
    """Whether reading a file downloads it; OneDrive and the like show files that are elsewhere."""
    recall_on_open, recall_on_data_access = 0x0004_0000, 0x0040_0000  # of Windows
    attributes = getattr(status, "st_file_attributes", 0)
    return bool(attributes & (recall_on_open | recall_on_data_access))


def is_link(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry leads elsewhere: a symbolic link, or a junction of Windows."""
    junction = 0xA0000003  # stat.IO_REPARSE_TAG_MOUNT_POINT, which Windows alone has
    return entry.is_symlink() or _status(entry, "st_reparse_tag") == junction


def _status(entry: "os.DirEntry[str]", name: str) -> int:
    if not ON_WINDOWS:  # there it is known already; elsewhere it would be asked for, for nothing
        return 0
    try:
        return int(getattr(entry.stat(follow_symlinks=False), name, 0))
    except OSError:
        return 0


def identity(path: Path) -> object | None:
    """Equal for all names of one file or folder; None for one that is not there.

    Raises:
        OSError: never; what cannot be asked is not there.
    """
    try:
        status = path.stat()
        # Some network folders and disks in memory number no files.
        if status.st_ino == 0:
            return os.path.normcase(path.resolve())
    except (OSError, RuntimeError):  # RuntimeError: a loop of links
        return None
    return status.st_dev, status.st_ino


def is_same_file(path: Path, other: Path) -> bool:
    """Whether two names lead to one file that is there."""
    return (own := identity(path)) is not None and own == identity(other)
