"""Help that helps: groups, whole sentences, examples that work, completion."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import dcls_cli
from dcls_cli.cli import commands
from dcls_cli.cli.app import app, run

ROOT = Path(dcls_cli.__file__).parents[1]

CODE = "import sys; from dcls_cli.cli.app import main; sys.argv = ['dcls', *sys.argv[1:]]; main()"

GROUPS = ("data", "models", "weights")

COMMANDS = (
    *("upscale", "batch", "kernel", "eval", "train", "ablate", "bench", "doctor", "export-onnx"),
    *("data download", "data prepare", "data check", "weights convert", "weights show"),
    *("models list", "models info", "models download", "models path", "models verify"),
    *("models remove", "models publish"),
)


def shown(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run([*words.split(), "--help"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


@pytest.mark.parametrize("columns", [80, 100, 200])
@pytest.mark.parametrize("words", ["", *GROUPS, *COMMANDS])
def test_help_uses_the_width_up_to_100_columns(
    words: str,
    columns: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = shown(words, capsys)
    body, examples = text.split("\nExamples:\n") if words not in GROUPS else (text, "")
    widest = max(map(len, body.splitlines()))
    assert widest <= min(columns, 100)
    assert widest > 60
    assert "…" not in text
    assert not [line for line in body.splitlines()[1:] if re.search(r"\w\.\.\.$", line)]
    assert all(line.strip().startswith("dcls ") for line in examples.strip().splitlines())


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_has_a_sentence(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It stands alone, begins with a capital or the name of a thing, and ends with a full stop."""
    command = __import__("typer").main.get_command(app)
    for word in words.split():
        command = command.commands[word]
    for parameter in command.params:
        sentence = re.sub(r" ?\[default: [^]]*\]$", "", parameter.help or "").strip()
        assert re.match(r"[A-Za-z0-9`'].*[.)]$", sentence, re.DOTALL), (words, parameter.name)
        assert not sentence.startswith(("Of ", "As of ")), (words, parameter.name)


@pytest.mark.parametrize("words", ["upscale", "batch"])
def test_the_options_of_photos_are_in_groups(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(words, capsys)
    found = re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)
    assert found == [
        commands.ARGUMENTS,
        commands.RESTORATION,
        commands.OUTPUT,
        commands.KERNEL,
        commands.SELECTION,
        commands.ENGINE,
        commands.OPTIONS,
        "Examples",
    ]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_alone_prints_its_help(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([group]) == 0
    alone = capsys.readouterr()
    assert alone.err == ""
    assert alone.out == shown(group, capsys)


def test_examples_name_options_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    for words in COMMANDS:
        text = shown(words, capsys)
        known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", text.split("\nExamples:\n")[0]))
        for line in text.split("\nExamples:\n")[1].strip().splitlines():
            used = [word for word in shlex.split(line.strip()) if re.match(r"--?[a-z]", word)]
            assert set(used) <= known, line


@pytest.mark.parametrize(
    ("typed", "completed"), [("dcls up", "upscale"), ("dcls upscale --over", "--overwrite")]
)
def test_shells_complete_commands_and_options(typed: str, completed: str) -> None:
    words = typed.split()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_DCLS_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False
    )
    assert completed in done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o default -F _dcls_completion dcls"),
        ("zsh", "#compdef dcls"),
        ("fish", "complete --command dcls --no-files"),
    ],
)
def test_shells_get_their_completion(shell: str, line: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_DCLS_COMPLETE": f"source_{shell}"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False
    )
    assert line in done.stdout, done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_quiet_says_errors_only_wherever_it_stands(
    place: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = ROOT / "examples" / "dog.png"
    words = ["kernel", str(photo)]
    words.insert(place, "-q")
    assert run(words) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "dog.png" in captured.out  # what was asked for is a result, not a message
    words[words.index(str(photo))] = str(tmp_path / "missing.png")
    assert run(words) == 1
    assert "missing.png" in capsys.readouterr().err
