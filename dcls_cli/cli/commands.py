"""How commands show their help, and what is run where a command line names no command."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup

from dcls_cli.cli import console

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context
    from typer._click.formatting import HelpFormatter

#: Panels of options, in the order in which every help shows them.
ARGUMENTS, OPTIONS = "Arguments", "Options"
OUTPUT = "Output"
RESTORATION = "Restoration"
KERNEL = "Your own blur"
ENGINE = "Engine"
SELECTION = "Selection"
RUN = "Run"
NETWORK = "Network"
DAMAGE = "Damage of the training images"
_PANELS = (
    *(ARGUMENTS, RUN, NETWORK, RESTORATION, OUTPUT, KERNEL, SELECTION, DAMAGE, ENGINE, OPTIONS),
)

#: Widest help, columns: longer lines are hard to read.
_WIDEST_HELP = 100

#: An argument in a usage line as Typer writes it: `{PHOTO...}...`.
_ARGUMENT = re.compile(r"\{([^}]+?)(?:\.\.\.)?\}(?=(\.\.\.)?)")

#: Ranges as Typer writes them.
_BOTH, _LEAST = re.compile(r"([\d.]+)<=x<=([\d.]+)"), re.compile(r"x>=([\d.]+)")

#: What every command takes, anywhere on the line.
EVERYWHERE = (
    ("-q, --quiet", "Print errors only."),
    ("-v, --verbose", "Print device, precision, blur and tiles with each result."),
    ("--debug", "Show tracebacks."),
)

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": _WIDEST_HELP}


class Command(TyperCommand):
    """A command whose help has its options in groups, then examples."""

    def collect_usage_pieces(self, ctx: "Context") -> list[str]:
        """Name the arguments as manuals do: `PHOTO...`, `[MODEL...]`."""
        pieces = (_ARGUMENT.sub(r"\1", piece) for piece in super().collect_usage_pieces(ctx))
        return [piece.replace("...]...", "...]") for piece in pieces]

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the options, panel by panel."""
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the examples, a line each."""
        _write_examples(self.epilog, formatter)


class Group(TyperGroup):
    """Commands that belong together; alone it shows its help."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Take a command line; an empty one asks for help."""
        return super().parse_args(ctx, args or ["--help"])

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the commands, each with the whole first sentence of its help, then options."""
        rows = [
            (name, " ".join((command.help or "").partition("\n\n")[0].split()))
            for name, command in self.commands.items()
            if not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the examples, a line each."""
        _write_examples(self.epilog, formatter)


class Program(Group):
    """All commands; a photo or a folder in place of a command is restored."""

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, AnyCommand | None, list[str]]":
        """Find the command: `dcls photo.jpg` is `dcls upscale photo.jpg`."""
        first = Path(args[0])
        if args[0] not in self.commands and first.exists():
            name = "batch" if first.is_dir() else "upscale"
            console.note(f"dcls {args[0]} means: dcls {name} {args[0]}")
            return name, self.commands[name], args
        return super().resolve_command(ctx, args)


def panels(command: "AnyCommand", ctx: "Context") -> dict[str, list[tuple[str, str]]]:
    """Arguments and options of a command: by panel, in the order of the help, name and sentence.

    Options that every command takes stand in the last panel, before --help.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        usual = ARGUMENTS if parameter.param_type_name == "argument" else OPTIONS
        panel = getattr(parameter, "rich_help_panel", None) or usual
        name = record[0] if usual == OPTIONS else record[0].partition(" <")[0]
        found.setdefault(panel, []).append((name, _in_words(record[1])))
    found[OPTIONS][-1:-1] = EVERYWHERE
    return {name: found[name] for name in sorted(found, key=_PANELS.index)}


def _write_options(command: "AnyCommand", ctx: "Context", formatter: "HelpFormatter") -> None:
    for name, rows in panels(command, ctx).items():
        with formatter.section(name):
            formatter.write_dl(rows)


def _in_words(text: str) -> str:
    return _LEAST.sub(r"at least \1", _BOTH.sub(r"\1 to \2", text))


def _write_examples(text: str | None, formatter: "HelpFormatter") -> None:
    if text:
        with formatter.section("Examples"):
            for line in text.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")
