"""The threads that do the work of a batch, told from all others by their names."""

import threading
from collections.abc import Callable

_NAME = "dcls batch"

_given_up = threading.Event()


def start(work: Callable[[], None]) -> threading.Thread:
    """Start a thread that does not keep the process alive."""
    thread = threading.Thread(target=work, name=_NAME, daemon=True)
    thread.start()
    return thread


def give_up() -> None:
    """Remember that the process ends without waiting for threads, of ours or of the engine."""
    _given_up.set()


def are_given_up() -> bool:
    """Whether threads may still be in the middle of work that nobody waits for."""
    return _given_up.is_set() or are_left()


def are_left() -> bool:
    """Whether threads of a batch run."""
    return any(thread.name == _NAME for thread in threading.enumerate())
