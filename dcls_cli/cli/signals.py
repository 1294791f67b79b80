"""Signals that end the program: with which exit code, and without half a file."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dcls_cli.files import temporaries

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
EXIT_HUNG_UP = 129


class Ended(BaseException):
    """A signal has arrived; unwinds the stack so that temporary files are removed.

    Attributes:
        exit_code: of the signal.
        word: what to call it.
        reported: whether the command has reported it.
    """

    def __init__(self, exit_code: int, *, reported: bool = False) -> None:
        """Take the signal's exit code."""
        self.exit_code = exit_code
        self.word = WORDS[exit_code]
        self.reported = reported
        super().__init__(self.word)


WORDS = {
    EXIT_INTERRUPTED: "interrupted",
    EXIT_TERMINATED: "terminated",
    EXIT_HUNG_UP: "hung up",
}


def exit_codes() -> dict[int, int]:
    """Exit codes by signal, without those that whoever started this process has switched off."""
    codes = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED}
    for name in ("SIGHUP", "SIGBREAK"):  # the latter on Windows, for a window that is closed
        if hasattr(signal, name):
            codes[getattr(signal, name)] = EXIT_HUNG_UP
    return {
        number: code
        for number, code in codes.items()
        if signal.getsignal(number) is not signal.SIG_IGN  # as nohup does
    }


def raise_on_signals() -> None:
    """Make the first signal an exception and the second one the end."""
    codes = exit_codes()
    arrived: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if arrived:
            end_at_once(codes[number])
        arrived.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Ended(codes[number])

    for number in codes:
        signal.signal(number, handle)


def end_at_once(exit_code: int) -> None:
    """Leave now, whatever threads do; files that they write are removed."""
    temporaries.abandon()
    os._exit(exit_code)


class Watch:
    """Remembers a signal, for a command that looks for it and ends in good order.

    Attributes:
        exit_code: of the first signal that came, or None.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.exit_code: int | None = None


@contextmanager
def watched() -> Iterator[Watch]:
    """Remember the first signal instead of raising it; a second one ends the process at once."""
    watch, codes = Watch(), exit_codes()

    def handle(number: int, _frame: FrameType | None) -> None:
        if watch.exit_code is not None:
            end_at_once(codes[number])
        watch.exit_code = codes[number]

    previous = {number: signal.signal(number, handle) for number in codes}
    try:
        yield watch
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
