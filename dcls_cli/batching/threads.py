"""The threads that do the work of a batch, told from all others by their names."""

import threading
from collections.abc import Callable

_NAME = "dcls batch"


def start(work: Callable[[], None]) -> threading.Thread:
    """Start a thread that does not keep the process alive."""
    thread = threading.Thread(target=work, name=_NAME, daemon=True)
    thread.start()
    return thread


def are_left() -> bool:
    """Whether threads are still in the middle of work that has been given up."""
    return any(thread.name == _NAME for thread in threading.enumerate())
