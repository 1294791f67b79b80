"""Signals that end a training run in good order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dcls_cli.cli.signals import EXIT_INTERRUPTED, EXIT_TERMINATED, Ended
from dcls_cli.training.loop import Trainer


class Interruption:
    """SIGINT and SIGTERM end a run after its step; a second signal ends it at once.

    Attributes:
        exit_code: of the first signal that came, or None.
    """

    _CODES = {
        signal.SIGINT: EXIT_INTERRUPTED,
        signal.SIGTERM: EXIT_TERMINATED,
    }

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.exit_code: int | None = None

    def arrived(self) -> bool:
        """Whether the run was asked to end."""
        return self.exit_code is not None

    @contextmanager
    def stopping(self, trainer: Trainer) -> Iterator[None]:
        """Handle both signals while the trainer runs."""

        def handle(number: int, _frame: FrameType | None) -> None:
            if self.exit_code is not None:
                raise KeyboardInterrupt if number == signal.SIGINT else Ended(EXIT_TERMINATED)
            self.exit_code = self._CODES[signal.Signals(number)]
            trainer.stop_requested = True

        previous = {number: signal.signal(number, handle) for number in self._CODES}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
