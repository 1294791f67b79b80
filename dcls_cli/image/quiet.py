"""Keep C libraries, which print their errors themselves, from writing beside our one line."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STDERR = 2

_lock = threading.Lock()
_inside = 0
_terminal: int | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Send what is written to descriptor 2 nowhere, for as long as any thread is in here.

    The command line writes its own messages to another descriptor.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _terminal  # noqa: PLW0603 - the descriptor belongs to the process
    with _lock:
        _inside += 1
        if _inside > 1:
            return
        with suppress(OSError):  # stderr is closed
            _terminal = os.dup(_STDERR)
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), _STDERR)


def _leave() -> None:
    global _inside, _terminal  # noqa: PLW0603
    with _lock:
        _inside -= 1
        if _inside == 0 and _terminal is not None:
            os.dup2(_terminal, _STDERR)
            os.close(_terminal)
            _terminal = None
