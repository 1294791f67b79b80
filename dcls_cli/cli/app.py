"""The `dcls` program: its commands, its entry point, its exit codes."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from dcls_cli import __version__, machine
from dcls_cli.cli import commands, console, signals
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
from dcls_cli.files import temporaries

app = typer.Typer(
    name="dcls",
    cls=commands.Program,
    help="Faithful blind super-resolution: finds the blur in a photo, inverts it, and restores "
    "the photo at 2, 3 or 4 times the size.",
    epilog="""
    dcls upscale photo.jpg             writes photo_x4.jpg
    dcls batch photos/                 writes photos_x4/
    dcls kernel photo.jpg              shows the blur
    dcls doctor                        shows what is installed and what works
    """,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=commands.CONTEXT,
)
app.command(
    cls=commands.Command,
    epilog="""
    dcls upscale photo.jpg
    dcls upscale photo.jpg -o large.png -s 2
    dcls upscale *.jpg -o large/ --max-side 3840
    dcls upscale - -o - < in.jpg > out.jpg
    """,
)(upscale)
app.command(
    cls=commands.Command,
    epilog="""
    dcls batch photos/
    dcls batch photos/ scans/ -o large/ --exclude "proofs/*"
    dcls batch list.txt -o large/ -s 2 --dry-run
    """,
)(batch)
app.command(
    cls=commands.Command,
    epilog="""
    dcls kernel photo.jpg
    dcls kernel photo.jpg -o blur.png
    """,
)(kernel)
app.command(
    name="eval",
    cls=commands.Command,
    epilog="""
    dcls eval --hr Set5/ --against bicubic
    dcls eval --hr Set5/ --benchmark photo -m dcls-photo-x4 --out figures/
    """,
)(evaluate)
app.command(
    cls=commands.Command,
    epilog="""
    dcls train --scale 4
    dcls train --scale 4 --hr photos/ --val Set5/ --preset photo --out run
    dcls train run/config.toml --out again
    """,
)(train)
app.command(cls=commands.Command, epilog="dcls ablate --hr photos/ --val Set5/ --out study")(ablate)
app.command(cls=commands.Command, epilog="dcls bench")(bench)
app.command(cls=commands.Command, epilog="dcls doctor --json")(doctor)
app.command(
    name="export-onnx",
    cls=commands.Command,
    epilog="""
    dcls export-onnx
    dcls export-onnx -m dcls-photo-x4 --split -o photo.onnx
    """,
)(export_onnx)
app.add_typer(data, name="data")
app.add_typer(models, name="models")
app.add_typer(weights, name="weights")

#: Options that may stand anywhere on the line, with what they set.
ANYWHERE = {
    **dict.fromkeys(("-q", "--quiet"), "quiet"),
    **dict.fromkeys(("-v", "--verbose"), "verbose"),
    "--debug": "debug",
}


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        console.say(f"dcls {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "-V", "--version", help="Show the version.", callback=show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Take the options of the program itself."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error is reported on stderr.

    Args:
        arguments: without the program's name.
    """
    own, rest = split_at_dashes(arguments)
    wanted = {ANYWHERE[item] for item in own if item in ANYWHERE}
    kept = [item for item in own if item not in ANYWHERE] + rest
    console.verbosity.quiet = "quiet" in wanted
    console.verbosity.verbose = "verbose" in wanted

    def action() -> int:
        # A command returns nothing, or an exit code through `typer.Exit`.
        code = app(args=kept, prog_name="dcls", standalone_mode=False)
        if code == signals.EXIT_INTERRUPTED:  # Typer has swallowed it
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0

    return console.exit_code_of(action, debug="debug" in wanted)


def split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part what may be options from what follows `--`, which are names of files."""
    own = list(arguments)
    end = own.index("--") if "--" in own else len(own)
    return own[:end], own[end:]


def main() -> NoReturn:
    """Run the program: the entry point of the console script."""
    console.hold_closed_streams()
    console.buffer_stdout()
    console.keep_stderr()
    console.tolerate_any_name()
    # What Pillow says about damaged metadata is in the notes about the photo.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    signals.raise_on_signals()
    machine.prepare_pytorch()
    code = run(sys.argv[1:])
    if code in signals.WORDS:
        temporaries.abandon()
    pool = sys.modules.get("dcls_cli.jobs.pool")  # not imported without a batch
    if pool is not None and pool.threads_are_abandoned():
        # Python's own end would wait for them, or stop them at a bad moment.
        temporaries.abandon()
        console.flush()
        os._exit(code)
    sys.exit(code)
