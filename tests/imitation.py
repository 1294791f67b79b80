"""Windows, imitated on Linux: what is open can be neither renamed nor deleted."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dcls_cli.files import platforms

#: Windows' errors: another program has the file open; the name is taken.
SHARING_VIOLATION, ALREADY_EXISTS = 32, 183


class WindowsError(PermissionError):
    """A PermissionError as Windows has it."""

    def __init__(self, path: object, winerror: int = SHARING_VIOLATION) -> None:
        """Take the path and Windows' number."""
        super().__init__(errno.EACCES, "used by another process", os.fspath(path))  # type: ignore[call-overload]
        self.winerror = winerror


def is_open(path: object, dir_fd: int | None = None) -> bool:
    """Whether this process has a file open."""
    if dir_fd is not None:
        path = f"/proc/self/fd/{dir_fd}/{path}"
    wanted = os.path.realpath(path)  # type: ignore[call-overload]
    for number in Path("/proc/self/fd").iterdir():
        try:
            if number.samefile(wanted) and number.is_file():
                return True
        except OSError:
            continue
    return False


def on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to rename, replace and delete what is open, and take Windows' ways."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the imitation reads /proc")

    def guarded(name: str, *, replaces: bool = True) -> Callable[..., Any]:
        plain = getattr(os, name)

        def call(path: Any, *others: Any, **options: Any) -> Any:  # noqa: ANN401
            for each in (path, *others):
                if is_open(each, options.get("dir_fd")):
                    raise WindowsError(each)
            if not replaces and os.path.lexists(others[0]):
                raise FileExistsError(errno.EEXIST, "exists already", os.fspath(others[0]))
            return plain(path, *others, **options)

        return call

    for name, replaces in (
        ("unlink", True),
        ("remove", True),
        ("replace", True),
        ("rename", False),
    ):
        monkeypatch.setattr(os, name, guarded(name, replaces=replaces))
    monkeypatch.setattr(platforms, "ON_WINDOWS", True)
    monkeypatch.setattr(platforms, "PATIENCE_S", 0.3)
    # The folders of tests are longer than Windows would like; long paths have tests of their own.
    monkeypatch.setattr(platforms, "LONGEST_PATH", 10_000)


@contextmanager
def viewed(path: Path) -> Iterator[None]:
    """Have a file open, as a viewer has it."""
    with path.open("rb"):
        yield
