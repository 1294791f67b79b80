"""What the command line says, where, and with which exit code.

Results go to stdout, everything else to stderr. Names of files are never read as Rich markup, and
whatever they contain, a message stays on one line.
"""

import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

from dcls_cli.cli.mistakes import explain
from dcls_cli.cli.signals import EXIT_INTERRUPTED, Ended
from dcls_cli.errors import BackendError, DclsError
from dcls_cli.installation import install_command

EXIT_USAGE = 2
EXIT_FAILED = 1


#: What the base installation goes without.
TORCH_MODULES = ("torch", "onnxscript")


class LastingConsole(Console):
    """A console whose reader may go away: a closed pipe or a full disk must not cost a photo."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - as Rich has it
        """Print, as long as the stream takes it."""
        try:
            super().print(*objects, **options)
        except OSError:
            self._stop_printing()

    def on_broken_pipe(self) -> None:
        """Go on without this stream."""
        self._stop_printing()

    def _stop_printing(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


#: Columns of what is no terminal: a line of a table is never broken there.
_WIDEST = 10_000

out = LastingConsole(soft_wrap=True, markup=False, highlight=False, emoji=False)
err = LastingConsole(soft_wrap=True, markup=False, highlight=False, emoji=False, stderr=True)


def visible(text: object) -> str:
    """Escape what would break a line or a terminal, such as a newline in a file's name."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in str(text)
    )


@dataclass
class Verbosity:
    """How much is printed, as `-q` and `-v` ask.

    Attributes:
        quiet: errors only; results that the user asked to see are printed all the same.
        verbose: everything that is known of a result.
    """

    quiet: bool = False
    verbose: bool = False


verbosity = Verbosity()


def say(text: object) -> None:
    """Print a result on stdout, one line."""
    out.print(Text(visible(text)))


def written(text: object) -> None:
    """Print on stdout that a file has been written, which is no news to who wants quiet."""
    if not verbosity.quiet:
        say(text)


def show(table: Table) -> None:
    """Print a table on stdout: as wide as a terminal, or as wide as its lines where there is none.

    Args:
        table: whose cells are free of what `visible` escapes.
    """
    if out.is_terminal:
        out.print(table)
        return
    needed = out.measure(table, options=out.options.update(max_width=_WIDEST)).maximum
    LastingConsole(width=needed, markup=False, highlight=False, emoji=False).print(table)


def shows_progress() -> bool:
    """Whether somebody sees bars: stderr is a terminal, and nobody asked for quiet."""
    return err.is_terminal and not verbosity.quiet


def note(text: object) -> None:
    """Print a message on stderr, one line, unless `-q` asks for errors only."""
    if not verbosity.quiet:
        fault(text)


def fault(text: object) -> None:
    """Print on stderr, one line, why something has failed."""
    err.print(Text(f"dcls: {visible(text)}"))


def event(name: str, /, **fields: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one NDJSON line on stdout."""
    record: Mapping[str, Any] = {"event": name, **fields}
    out.print(Text(json.dumps(record, default=str)))


def reason(error: BaseException, path: Path | None = None) -> str:
    """Say in one line what went wrong, and about which file.

    Args:
        error: ours, or one of the operating system.
        path: the file that was worked on, where the error may not name one.
    """
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        path = Path(os.fsdecode(error.filename)) if error.filename is not None else path
        text = error.strerror
    if path is None or text.startswith(f"{visible(path)}: "):
        return text
    return f"{path}: {text}"


def exit_code_of(action: Callable[[], int], *, debug: bool) -> int:
    """Run a command; turn whatever it raises into one line on stderr and an exit code.

    Args:
        action: returns an exit code.
        debug: print tracebacks too.
    """
    try:
        return action()
    except KeyboardInterrupt:
        fault("interrupted")
        return EXIT_INTERRUPTED
    except Ended as end:
        if not end.reported:
            fault(end.word)
        return end.exit_code
    except Exception as error:  # the last place where an error can be reported
        if debug:
            traceback.print_exc()
        return _report(error)


def _report(error: Exception) -> int:
    if isinstance(error, DclsError):
        fault(reason(error))
        return error.exit_code
    if isinstance(error, TyperException):
        fault(explain(error))
        return int(getattr(error, "exit_code", EXIT_USAGE))
    if isinstance(error, OSError):
        fault(reason(error))
        return EXIT_FAILED
    if isinstance(error, ModuleNotFoundError) and error.name in TORCH_MODULES:
        fault(f"this needs PyTorch: {install_command('torch')}")
        return BackendError.exit_code
    fault(
        f"internal error: {type(error).__name__}: {error} "
        "(please report it, with what `dcls --debug` prints)"
    )
    return EXIT_FAILED


def hold_closed_streams() -> None:
    """Take the numbers of streams that are closed.

    Otherwise the next file would get them, and what a library prints would go into a photo.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def buffer_stdout() -> None:
    """Write whole lines where stdout is unbuffered (`PYTHONUNBUFFERED`), as containers have it.

    An unbuffered stream may take a part of a line, and Python drops the rest without a word.
    """
    if sys.stdout is None or isinstance(sys.stdout.buffer, io.BufferedIOBase):
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(sys.stdout.buffer), encoding=sys.stdout.encoding, write_through=True
    )


def keep_stderr() -> None:
    """Give messages a descriptor of their own.

    Number 2 is turned off for a moment where a C library would print errors beside our own line,
    and meanwhile other threads have something to say.
    """
    if sys.stderr is None:  # it is closed
        return
    sys.stderr = os.fdopen(
        os.dup(sys.stderr.fileno()), "w", buffering=1, encoding=sys.stderr.encoding
    )


def flush() -> None:
    """Send what has been printed on its way."""
    for console in (out, err):
        console.file.flush()


def tolerate_any_name() -> None:
    """Print characters that the terminal's encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
