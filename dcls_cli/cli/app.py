"""The `dcls` program: its commands, its entry point, its exit codes."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from dcls_cli import __version__, temporaries
from dcls_cli.batching import threads
from dcls_cli.cli import console, signals
from dcls_cli.cli.ablate import ablate
from dcls_cli.cli.batch import batch
from dcls_cli.cli.bench import bench
from dcls_cli.cli.data import data
from dcls_cli.cli.doctor import doctor
from dcls_cli.cli.evaluate import evaluate
from dcls_cli.cli.export_onnx import export_onnx
from dcls_cli.cli.kernel import kernel
from dcls_cli.cli.models import models
from dcls_cli.cli.train import train
from dcls_cli.cli.upscale import upscale
from dcls_cli.cli.weights import weights

app = typer.Typer(
    name="dcls",
    help="Faithful blind super-resolution: finds the blur in a photo, inverts it, restores it.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(upscale)
app.command()(batch)
app.command()(kernel)
app.command(name="eval")(evaluate)
app.command()(train)
app.command()(ablate)
app.command()(bench)
app.command()(doctor)
app.command(name="export-onnx")(export_onnx)
app.add_typer(data, name="data")
app.add_typer(models, name="models")
app.add_typer(weights, name="weights")


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        console.say(f"dcls {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; goes anywhere on the line.")
    ] = False,
) -> None:
    """Take the options that every command has; `run` has acted on them already."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error is told on stderr.

    Args:
        arguments: without the program's name.
    """
    own, rest = split_at_dashes(arguments)
    debug = "--debug" in own
    kept = [item for item in own if item != "--debug"] + rest or ["--help"]

    def action() -> int:
        # A command returns nothing, or an exit code through `typer.Exit`.
        code = app(args=kept, prog_name="dcls", standalone_mode=False)
        if code == signals.EXIT_INTERRUPTED:  # Typer has swallowed it
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0

    return console.exit_code_of(action, debug=debug)


def split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part what may be options from what follows `--`, which are names of files."""
    own = list(arguments)
    end = own.index("--") if "--" in own else len(own)
    return own[:end], own[end:]


def main() -> NoReturn:
    """Run the program: the entry point of the console script."""
    console.hold_closed_streams()
    console.keep_stderr()
    console.tolerate_any_name()
    # What Pillow says about damaged metadata is in the notes about the photo.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    signals.raise_on_signals()
    code = run(sys.argv[1:])
    if code in signals.WORDS:
        temporaries.abandon()
    if threads.are_given_up():
        # Python's own end would wait for them, or stop them at a bad moment.
        temporaries.abandon()
        console.flush()
        os._exit(code)
    sys.exit(code)
