"""A plugin that imitates Windows in every test: `pytest -p tests.like_windows tests/hub`.

It shows what is renamed or deleted while it is open. Tests of programs in processes of their own
are not reached, and names that Windows does not have are refused.
"""

import sys
from types import SimpleNamespace

import pytest

from tests.imitation import on_windows


def _lock(descriptor: int, _mode: int, _count: int) -> None:
    """Lock as `msvcrt.locking` does, with the error that it raises."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PermissionError(error.errno, error.strerror) from error


@pytest.fixture(autouse=True)
def _imitated(monkeypatch: pytest.MonkeyPatch) -> None:
    on_windows(monkeypatch)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=_lock, LK_NBLCK=2))
