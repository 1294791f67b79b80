"""The command line: it parses and shows, and is the only place that prints or exits."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run the program: the entry point of the console script.

    Imports take a moment, in which Ctrl-C ends the program as it does later.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as nohup and shells' & have it
        signal.signal(signal.SIGINT, _end)
    from dcls_cli.cli.app import main as run

    run()


def _end(_number: int, _frame: FrameType | None) -> None:
    """Nothing is begun yet that would have to be put in order."""
    if sys.stderr is not None:
        os.write(2, b"dcls: interrupted\n")
    os._exit(130)
