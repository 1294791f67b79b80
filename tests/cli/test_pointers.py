"""What messages and help point to is there for somebody who has installed a wheel."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

import dcls_cli
from dcls_cli.cli.app import app

PACKAGE = Path(dcls_cli.__file__).parent
CHECKOUT = PACKAGE.parent

#: Names of our own pages and scripts, and places in the checkout, which a wheel does not bring.
OWN_FILE = re.compile(
    r"\b(?:docs|export|weights|examples|evaluation|tests|shared)/[\w./-]+"
    r"|\b(?:README|CONTRIBUTING|CHANGELOG)\b"
    r"|\b(?:[\w-]+\.(?:md|sh)|check\.py)\b"
)

#: Files that commands write; nobody is sent to look for them elsewhere.
WRITTEN = {"figures.md", "ablations.md", "README.md", "README", "export/web", "export/web/dist"}

COMMAND = re.compile(r"(?:`|^\s*)dcls ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")

#: Options of other programs that messages name, and those that stand anywhere on a command line.
OTHER_OPTIONS = {
    *("--nproc-per-node", "--no-python"),  # torchrun
    *("--psm", "--oem", "--dpi", "--list-langs", "--version"),  # Tesseract
    *("--help", "--quiet", "--verbose", "--debug"),
}


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The strings of a module that may be shown: all but docstrings, f-strings joined."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and body and isinstance(body[0], ast.Expr):
            skipped.add(id(body[0].value))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = []
            for part in node.values:
                skipped.add(id(part))
                parts.append(part.value if isinstance(part, ast.Constant) else "{}")
            yield node.lineno, "".join(map(str, parts))
        elif id(node) not in skipped and isinstance(node, ast.Constant):
            yield node.lineno, str(node.value)


def all_commands() -> dict[str, click.Command]:
    """Every command and group by its words."""
    root = typer.main.get_command(app)
    found: dict[str, click.Command] = {"": root}
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        found[name] = command
        for inner, own in getattr(command, "commands", {}).items():
            found[f"{name} {inner}"] = own
    return found


COMMANDS = all_commands()


@pytest.fixture(scope="module")
def shown() -> list[tuple[str, str]]:
    """Place and text of every string of the package, and of the help of every command."""
    found = [
        (f"{path.relative_to(CHECKOUT)}:{line}", text)
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in texts(ast.parse(path.read_text(encoding="utf-8")))
    ]
    return [*found, *((f"dcls {name}", item.help or "") for name, item in COMMANDS.items())]


def test_no_message_names_a_file_that_a_wheel_does_not_have(shown: list[tuple[str, str]]) -> None:
    wrong = [
        f"{place}: {name}"
        for place, text in shown
        for name in OWN_FILE.findall(text)
        if name not in WRITTEN and not (PACKAGE / name).exists()
    ]
    assert wrong == []


def test_every_command_that_is_named_exists(shown: list[tuple[str, str]]) -> None:
    named = [(place, *match.groups()) for place, text in shown for match in COMMAND.finditer(text)]
    assert len(named) > 40
    wrong = []
    for place, word, inner in named:
        is_group = hasattr(COMMANDS.get(word), "commands")
        if word not in COMMANDS or (is_group and inner and f"{word} {inner}" not in COMMANDS):
            wrong.append(f"{place}: dcls {word} {inner or ''}")
    assert wrong == []


def test_every_option_that_is_named_exists(shown: list[tuple[str, str]]) -> None:
    known = {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    named = [(place, option) for place, text in shown for option in OPTION.findall(text)]
    assert len(named) > 150
    wrong = [item for item in named if item[1] not in known | OTHER_OPTIONS]
    assert wrong == []


@pytest.mark.parametrize(
    "text", ["see weights/README.md", "as docs/formats.md says", "run check.py", "see CONTRIBUTING"]
)
def test_the_patterns_find_what_they_look_for(text: str) -> None:
    assert OWN_FILE.search(text)
