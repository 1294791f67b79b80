"""The options of a run as users give them, on the command line or in a TOML file, and that file."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dcls_cli.config import ModelConfig, Scale, brief
from dcls_cli.errors import TrainingError, UsageError, WeightsError
from dcls_cli.training.config import NotNegative, Range, TrainConfig, bare, expected
from dcls_cli.training.presets import PRESETS, PresetName

#: The tables of a file; what is known of an earlier run, `record`, is not read.
TRAINING, MODEL, RECORD = "training", "model", "record"

#: Python's parser takes the square of a file's length where names are nested.
_LARGEST_FILE = 65_536

#: Two ways to give the length of a run; each replaces the other.
_LENGTHS = ("iterations", "max_minutes")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What does not change the weights that a step makes, and which network and preset they are of.

    Attributes:
        preset: gives all options that the user does not.
        scale: up-scaling factor.
        hr: folders of sharp images.
        out: folder of the run.
        val: sharp images to validate on.
        init: weights to start from.
        resume: `auto` continues the run in `out`, if there is one.
        device: auto, cpu or cuda[:N].
        compile: use `torch.compile`.
        accumulate: parts that each process divides its share of a batch into.
        tensorboard: write curves and pictures for TensorBoard.
        threads: of the CPU.
        validate_minutes, checkpoint_minutes: minutes of training between two of them.
    """

    preset: PresetName = "light"
    scale: Scale = 4
    hr: tuple[Path, ...] = ()
    out: Path | None = None
    val: Path | None = None
    init: Path | None = None
    resume: Literal["auto", "never"] = "never"
    device: str = "auto"
    compile: bool = False
    accumulate: Annotated[int, Range(least=1)] = 1
    tensorboard: bool = False
    threads: Annotated[int, Range(least=1)] | None = None
    validate_minutes: NotNegative = 5.0
    checkpoint_minutes: NotNegative = 2.0


_KINDS: Mapping[str, Mapping[str, Any]] = {
    "": {field.name: field.type for field in fields(RunSettings)},
    TRAINING: {field.name: field.type for field in fields(TrainConfig)},
    MODEL: {field.name: field.type for field in fields(ModelConfig) if field.name != "scale"},
}


@dataclass(frozen=True, kw_only=True)
class GivenOptions:
    """Options that were given, of known names and of the right types.

    Attributes:
        run: of `RunSettings`.
        training: of `TrainConfig`.
        model: of `ModelConfig`.
    """

    run: Mapping[str, Any]
    training: Mapping[str, Any]
    model: Mapping[str, Any]

    @classmethod
    def of_names(cls, options: Mapping[str, object]) -> Self:
        """Options by their names; None stands for one that was not given."""
        given = {name: value for name, value in options.items() if value is not None}
        run = {name: given.pop(name) for name in _KINDS[""] if name in given}
        return cls(run=run, training=given, model={})

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Read a TOML file; its paths are relative to its folder.

        Raises:
            UsageError: it cannot be read, is no TOML, or has a name or value that is not known.
        """
        try:
            with path.open("rb") as file:
                text = file.read(_LARGEST_FILE + 1)
            if len(text) > _LARGEST_FILE:
                raise UsageError(f"{path}: more than {_LARGEST_FILE} bytes, too many for options")
            content = tomllib.loads(text.decode("utf-8-sig"))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
        # Of a number of thousands of digits, Python says no more than ValueError.
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}: not a TOML file: {error}") from error
        content.pop(RECORD, None)
        tables = {name: content.pop(name, {}) for name in (TRAINING, MODEL)}
        tables[""] = content
        for table, values in tables.items():
            if not isinstance(values, dict):
                raise UsageError(f"{path}: {table} is {brief(values)}, expected a table [{table}]")
            for name, value in values.items():
                values[name] = _checked(table, name, value, path)
        if set(_LENGTHS) <= set(tables[TRAINING]):
            raise UsageError(
                f"{path}: training.{_LENGTHS[0]} and training.{_LENGTHS[1]} exclude each other"
            )
        return cls(run=tables[""], training=tables[TRAINING], model=tables[MODEL])

    def under(self, other: Self) -> Self:
        """Both together; where both have an option, the other one wins."""
        training = dict(self.training)
        if any(name in other.training for name in _LENGTHS):
            training = {name: training[name] for name in training if name not in _LENGTHS}
        return type(self)(
            run={**self.run, **other.run},
            training={**training, **other.training},
            model={**self.model, **other.model},
        )

    def without(self, option: str) -> Self:
        """All but one of the options of the training, which then comes from elsewhere."""
        training = {name: value for name, value in self.training.items() if name != option}
        return replace(self, training=training)

    def settings(self) -> RunSettings:
        """Of the run, with defaults for all that was not given."""
        return RunSettings(**self.run)

    def network(self) -> ModelConfig:
        """Of the preset, with the changes that were given.

        Raises:
            UsageError: there is no such network.
        """
        run = self.settings()
        try:
            return PRESETS[run.preset].network(run.scale, **self.model)
        except WeightsError as error:
            raise UsageError(f"options: {error}") from error

    def options(self, **defaults: object) -> TrainConfig:
        """Of the preset, with the changes that were given; `defaults` come between the two.

        Raises:
            UsageError: options that do not go together.
        """
        run = self.settings()
        try:
            return PRESETS[run.preset].training(run.scale, **{**defaults, **self.training})
        except TrainingError as error:
            raise UsageError(f"options: {error}") from error


def _checked(table: str, name: str, value: object, path: Path) -> object:
    """The value of a name in a file; a UsageError if it has another type or range."""
    full = f"{table}.{name}" if table else name
    kind = _KINDS[table].get(name)
    if kind is None:
        raise UsageError(f"{path}: {full} is not an option{_nearest(name)}")
    if table == MODEL:  # `ModelConfig` checks more than types
        return tuple(value) if isinstance(value, list) else value
    value = _as_paths(bare(kind), value, path.parent)
    wanted = expected(kind, value)
    if wanted is not None:
        raise UsageError(f"{path}: {full} is {brief(value)}, expected {wanted}")
    return float(value) if bare(kind) is float else value  # type: ignore[arg-type] # checked above


def _as_paths(kind: object, value: object, folder: Path) -> object:
    """Text as a path, a list of texts as paths; anything else is left for the check."""
    if kind is Path and isinstance(value, str):
        return folder / Path(value).expanduser()
    listed = isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == tuple[Path, ...] and listed:
        return tuple(_as_paths(Path, item, folder) for item in value)  # type: ignore[attr-defined]
    return value


def _nearest(name: str) -> str:
    """Names that a user may have meant, for a message."""
    known: dict[str, list[str]] = {}
    for table, kinds in _KINDS.items():
        for option in kinds:
            known.setdefault(option, []).append(f"{table}.{option}" if table else option)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {' or '.join(known[close[0]])}?" if close else ""


_HEAD = """\
# The options of this run. `dcls train {name} --out OTHER` repeats it; on the same machine, with as
# many threads and processes and the same packages, to the bit. `--resume auto` continues it.
"""


def toml_of(
    settings: RunSettings,
    training: TrainConfig,
    model: ModelConfig,
    record: Mapping[str, object],
    name: str,
) -> str:
    """All options of a run, as text of a file that `GivenOptions.of_file` reads.

    Args:
        settings: paths become absolute, so that the file may be moved.
        training: of its two lengths the one that counts is written.
        model: has the scale of the settings.
        record: what else is worth remembering; it is not read back.
        name: of the file.
    """
    options = dict(vars(training))
    options.pop("iterations" if training.max_minutes is not None else "max_minutes", None)
    network = {key: value for key, value in vars(model).items() if key != "scale"}
    # A repeated run must not go on with this one.
    run = vars(replace(settings, resume="never"))
    text = _HEAD.format(name=name) + _lines(run)
    for table, values in ((TRAINING, options), (MODEL, network), (RECORD, record)):
        text += f"\n[{table}]\n{_lines(values)}"
    return text


def _lines(values: Mapping[str, object]) -> str:
    """One line for each value; TOML has no word for None."""
    return "".join(_line(name, value) for name, value in values.items() if value is not None)


def _line(name: str, value: object) -> str:
    text = f"{name} = {_literal(value)}\n"
    try:
        text.encode()
    except UnicodeEncodeError:  # a path that is no text, which TOML cannot hold
        return f"# {name} = {ascii(str(value))} is no Unicode text\n"
    return text


def _literal(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, int | float):
        return repr(value).lower()  # true and false are two of them
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_literal, value))}]"
    text = str(value.absolute()) if isinstance(value, Path) else str(value)
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() or ord(letter) > 0x9F else f"\\u{ord(letter):04x}"
