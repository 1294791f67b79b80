"""The options of a run as a TOML file that repeats it."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from dcls_cli.config import ModelConfig
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.settings import MODEL, RECORD, TRAINING, RunSettings

HEAD = """\
# The options of this run. `dcls train {name} --out OTHER` repeats it; on the same machine, with as
# many threads and processes and the same packages, to the bit. `--resume auto` continues it.
"""


def recorded(
    settings: RunSettings,
    training: TrainConfig,
    model: ModelConfig,
    known: Mapping[str, object],
    name: str,
) -> str:
    """All options of a run, as text of a file that `Said.in_file` reads.

    Args:
        settings: paths become absolute, so that the file may be moved.
        training: of its two lengths the one that counts is written.
        model: its scale is that of the settings.
        known: what else is worth remembering; it is not read back.
        name: of the file.
    """
    options = _of(training)
    options.pop("iterations" if training.max_minutes is not None else "max_minutes", None)
    network = {key: value for key, value in _of(model).items() if key != "scale"}
    # A repeated run must not go on with this one.
    run = _of(replace(settings, resume="never"))
    parts = [HEAD.format(name=name), _lines(run)]
    for table, values in ((TRAINING, options), (MODEL, network), (RECORD, known)):
        parts.append(f"\n[{table}]\n{_lines(values)}")
    return "".join(parts)


def _of(options: Any) -> dict[str, object]:  # noqa: ANN401 - any of our dataclasses
    return {field.name: getattr(options, field.name) for field in fields(options)}


def _lines(values: Mapping[str, object]) -> str:
    """One line for each value; TOML has no word for None."""
    return "".join(_line(name, value) for name, value in values.items() if value is not None)


def _line(name: str, value: object) -> str:
    try:
        text = f"{name} = {_literal(value)}\n"
        text.encode()
    except UnicodeEncodeError:  # a path that is no text, which TOML cannot hold
        return f"# {name} = {ascii(str(value))} is no Unicode text\n"
    return text


def _literal(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_literal, value))}]"
    text = str(value.absolute()) if isinstance(value, Path) else str(value)
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() or ord(letter) > 0x9F else f"\\u{ord(letter):04x}"
