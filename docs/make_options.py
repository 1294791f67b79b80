"""Writes the reference of the command line from the program itself: options.md and the man page.

    python docs/make_options.py

Both are walks over the same commands, and a test compares the files with the program.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import typer

from dcls_cli import __version__
from dcls_cli.cli import commands
from dcls_cli.cli.app import app

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER / "options.md"
MANUAL = FOLDER / "dcls.1"

#: What the help of an option states in brackets at its end.
_BRACKETS = re.compile(r"\s*\[([^\]]*)\]$")

#: A statement about which values are allowed.
_RANGE = re.compile(r"at least [\d.]+|[\d.]+ to [\d.]+")

EXIT_CODES = {
    "0": "All outputs exist and are whole.",
    "1": "An input failed; the others were processed.",
    "2": "Wrong usage.",
    "3": "Weights are missing or damaged.",
    "4": "Out of memory.",
    "5": "The device, engine or precision is not usable.",
    "129": "Hung up (SIGHUP).",
    "130": "Interrupted (SIGINT, Ctrl-C).",
    "143": "Terminated (SIGTERM).",
}

VARIABLES = {
    "DCLS_DATA": "Folder of the training images; by default the data folder of the user.",
    "HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT": (
        "Cache, credentials, server, offline mode and time limit of the Hugging Face Hub."
    ),
    "TMPDIR": "Folder of temporary files for object stores and for large WebP and AVIF on stdout.",
    "OMP_NUM_THREADS": "Number of CPU threads.",
}


class Option(NamedTuple):
    """An option or an argument, as the help shows it."""

    names: str
    value: str
    default: str
    meaning: str


class Page(NamedTuple):
    """A command: everything that its help shows, except for the options of every command."""

    name: str
    usage: str
    text: list[str]
    panels: dict[str, list[Option]]
    examples: list[str]
    is_group: bool


def main() -> None:
    """Write both files."""
    pages = list(walk())
    PAGE.write_text(markdown(pages), encoding="utf-8")
    MANUAL.write_text(roff(pages), encoding="utf-8")


def walk() -> Iterator[Page]:
    """The program, then every group and command, in the order of the help."""
    program = typer.main.get_command(app)
    yield page_of(program, "dcls")
    for name, command in program.commands.items():  # type: ignore[attr-defined]
        yield page_of(command, f"dcls {name}")
        for inner, own in getattr(command, "commands", {}).items():
            yield page_of(own, f"dcls {name} {inner}")


def page_of(command: Any, name: str) -> Page:  # noqa: ANN401 - Typer has no public name for it
    """Read one command."""
    context = command.context_class(command, info_name=name, **commands.CONTEXT)
    is_program = context.info_name == "dcls"
    own = {
        panel: [option_of(*row) for row in rows if is_program or not is_common(row)]
        for panel, rows in commands.panels(command, context).items()
    }
    return Page(
        name=name,
        usage=" ".join([name, *command.collect_usage_pieces(context)]),
        text=[" ".join(part.split()) for part in (command.help or "").split("\n\n")],
        panels={panel: rows for panel, rows in own.items() if rows},
        examples=[line.strip() for line in (command.epilog or "").strip().splitlines()],
        is_group=hasattr(command, "commands"),
    )


def is_common(row: tuple[str, str]) -> bool:
    """Whether every command has this option."""
    return row in commands.EVERYWHERE or row[0] == "-h, --help"


def option_of(name: str, text: str) -> Option:
    """Take apart what the help shows: `-s, --scale N`, `Enlarge N times. [default: 4; ...]`."""
    words = name.split(" ")
    count = next((i for i, word in enumerate(words) if not word.startswith(("-", "/"))), len(words))
    default, values = "", [" ".join(words[count:])]
    meaning = text.strip()
    while match := _BRACKETS.search(meaning):
        meaning = meaning[: match.start()]
        statements = match[1].split("; ")
        allowed = [each for each in statements if _RANGE.fullmatch(each)]
        values += allowed
        usual = [each for each in statements if each not in [*allowed, "required"]]
        default = "; ".join(usual).removeprefix("default: ") or default
        if "required" in statements:
            default = "required"
    if not count:  # an argument is its own name
        return Option(values[0], ", ".join(values[1:]), default, meaning)
    value = ", ".join(each for each in values if each)
    return Option(" ".join(words[:count]), value, default, meaning)


def markdown(pages: list[Page]) -> str:
    """The reference as a page."""
    program, *rest = pages
    lines = [
        "# Commands and options",
        "",
        "Every command with its arguments, options, default values and ranges, as `dcls COMMAND",
        "--help` prints them. `python docs/make_options.py` writes this page and the man page",
        "[dcls.1](dcls.1) from the program itself; a test compares both with it.",
        "",
        *(f"* [`{page.name}`](#{anchor(page.name)}): {cell(page.text[0])}" for page in rest),
        "",
        "## `dcls`",
        "",
        "`-q`, `-v`, `--debug` and `--help` belong to every command; the first three may stand",
        "anywhere on the line.",
        "",
        *table(program.panels[commands.OPTIONS]),
    ]
    for page in rest:
        lines += ["", f"## `{page.name}`", "", "\n\n".join(map(cell, page.text))]
        if page.is_group:
            continue
        lines += ["", "```", page.usage, "```"]
        for panel, rows in page.panels.items():
            lines += ["", f"**{panel}**", "", *table(rows)]
        lines += ["", "Examples:", "", "```sh", *page.examples, "```"]
    codes = (f"| {code} | {cell(meaning)} |" for code, meaning in EXIT_CODES.items())
    names = (
        f"| `{'`, `'.join(name.split(', '))}` | {cell(meaning)} |"
        for name, meaning in VARIABLES.items()
    )
    lines += ["", "## Exit codes", "", "| code | meaning |", "| --- | --- |", *codes]
    lines += ["", "## Environment variables", "", "| name | meaning |", "| --- | --- |", *names]
    return "\n".join(lines) + "\n"


def table(rows: list[Option]) -> list[str]:
    """Options as a table in Markdown."""
    cells = (
        f"| `{row.names}` | {code(row.value)} | {code(row.default)} | {cell(row.meaning)} |"
        for row in rows
    )
    return ["| name | value | default | meaning |", "| --- | --- | --- | --- |", *cells]


def code(text: str) -> str:
    """What is typed, in the type of code, choices one by one; sentences stay sentences."""
    if match := re.fullmatch(r"<(.+)>", text):
        return ", ".join(f"`{choice}`" for choice in match[1].split("|"))
    typed, comma, rest = text.partition(", ")
    if not typed or " " in typed or typed == "required":
        return cell(text)
    return f"`{typed}`".replace("|", r"\|") + comma + cell(rest)


def cell(text: str) -> str:
    """Text in which nothing but code between backquotes means anything to Markdown."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_<|\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def anchor(heading: str) -> str:
    """The target of a link to a heading."""
    return heading.replace(" ", "-")


def roff(pages: list[Page]) -> str:
    """The same as a man page."""
    program, *rest = pages
    lines = [
        '.\\" Written by docs/make_options.py.',
        f'.TH DCLS 1 "" "dcls {__version__}" "User commands"',
        ".SH NAME",
        r"dcls \- faithful blind super-resolution",
        ".SH SYNOPSIS",
        ".B dcls",
        plain(program.usage.removeprefix("dcls ")),
        ".SH DESCRIPTION",
        body(program.text[0]),
        ".SH OPTIONS",
        r"\-q, \-v, \-\-debug and \-\-help belong to every command.",
        *roff_options(program.panels[commands.OPTIONS]),
        ".SH COMMANDS",
    ]
    for page in rest:
        lines += [f".SS {plain(page.name)}", body(page.text[0])]
        lines += [line for part in page.text[1:] for line in (".PP", body(part))]
        if page.is_group:
            continue
        lines += [".PP", plain(page.usage)]
        for panel, rows in page.panels.items():
            lines += [".PP", f".I {plain(panel)}:", *roff_options(rows)]
        lines += [".PP", "Examples:", ".PP", ".nf", *map(plain, page.examples), ".fi"]
    lines += [".SH EXIT STATUS", *terms(EXIT_CODES)]
    lines += [".SH ENVIRONMENT", *terms(VARIABLES)]
    lines += [".SH EXAMPLES", ".nf", *map(plain, program.examples), ".fi"]
    return "\n".join(lines) + "\n"


def roff_options(rows: list[Option]) -> list[str]:
    """Options as a list of terms: names bold, value italic, default behind the meaning."""
    lines: list[str] = []
    for row in rows:
        value = rf" \fI{plain(row.value)}\fR" if row.value else ""
        note = "Required." if row.default == "required" else f"Default: {row.default}."
        text = f"{row.meaning} {note}" if row.default else row.meaning
        lines += [".TP", rf"\fB{plain(row.names)}\fR{value}", body(text)]
    return lines


def terms(meanings: dict[str, str]) -> list[str]:
    """A list of terms, each with its meaning."""
    return [
        line
        for name, text in meanings.items()
        for line in (".TP", rf"\fB{plain(name)}\fR", body(text))
    ]


def body(text: str) -> str:
    """Running text in lines of which none is a request."""
    lines = textwrap.wrap(text, 72, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(plain, lines))


def plain(text: str) -> str:
    """Text in which nothing means anything to roff; ASCII only."""
    escaped = text.replace("\\", r"\e").replace("`", "").replace("-", r"\-").replace("'", r"\(aq")
    escaped = "".join(c if c.isascii() else rf"\[u{ord(c):04X}]" for c in escaped)
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    main()
