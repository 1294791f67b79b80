"""What a user says of a run, in a file or on the command line, checked name by name."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dcls_cli.config import ModelConfig, Scale
from dcls_cli.errors import TrainingError, UsageError, WeightsError
from dcls_cli.training.config import NotNegative, TrainConfig
from dcls_cli.training.presets import PRESETS, PresetName
from dcls_cli.training.ranges import Range, bare, expected

Resume = Literal["auto", "never"]

#: The tables of a file; what is known of a run that has been, `record`, is not read.
TRAINING, MODEL, RECORD = "training", "model", "record"

#: Two ways to say how long a run is: who says one takes back the other.
_LENGTHS = ("iterations", "max_minutes")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What does not change the weights that a step makes, and which network and preset they are of.

    Attributes:
        preset: where all that is not said comes from.
        scale: up-scaling factor.
        hr: folders of sharp images.
        out: folder of the run.
        val: sharp images to validate on.
        init: weights to start from.
        resume: `auto` goes on with the run in `out`, if there is one.
        device: auto, cpu or cuda[:N].
        compile: use `torch.compile`.
        accumulate: parts that each process takes its share of a batch in.
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
    resume: Resume = "never"
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
class Said:
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
    def in_file(cls, path: Path) -> Self:
        """Read a TOML file; its paths are relative to its folder.

        Raises:
            UsageError: it cannot be read, is no TOML, or has a name or value that is not known.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not a TOML file: {error}") from error
        content.pop(RECORD, None)
        tables = {name: content.pop(name, {}) for name in (TRAINING, MODEL)}
        tables[""] = content
        for table, values in tables.items():
            if not isinstance(values, dict):
                raise UsageError(f"{path}: {table} is {values!r:.60}, expected a table [{table}]")
            for name, value in values.items():
                values[name] = _checked(table, name, value, path)
        if set(_LENGTHS) <= set(tables[TRAINING]):
            raise UsageError(
                f"{path}: training.{' and training.'.join(_LENGTHS)} exclude each other"
            )
        return cls(run=tables[""], training=tables[TRAINING], model=tables[MODEL])

    def under(self, other: Self) -> Self:
        """Both, of which the other one wins."""
        own = dict(self.training)
        if any(name in other.training for name in _LENGTHS):
            own = {name: value for name, value in own.items() if name not in _LENGTHS}
        return type(self)(
            run={**self.run, **other.run},
            training={**own, **other.training},
            model={**self.model, **other.model},
        )

    def without(self, option: str) -> Self:
        """All but one of the options of the training, which then comes from elsewhere."""
        training = {name: value for name, value in self.training.items() if name != option}
        return type(self)(run=self.run, training=training, model=self.model)

    def settings(self) -> RunSettings:
        """Of the run, with the defaults of all that was not said."""
        return RunSettings(**self.run)

    def network(self) -> ModelConfig:
        """Of the preset, with the changes that were said.

        Raises:
            UsageError: there is no such network.
        """
        settings = self.settings()
        try:
            return PRESETS[settings.preset].network(settings.scale, **self.model)
        except WeightsError as error:
            raise UsageError(f"options: {error}") from error

    def options(self, **defaults: object) -> TrainConfig:
        """Of the preset, with the changes that were said; `defaults` come between the two.

        Raises:
            UsageError: options that do not go together.
        """
        settings = self.settings()
        try:
            return PRESETS[settings.preset].training(
                settings.scale, **{**defaults, **self.training}
            )
        except TrainingError as error:
            raise UsageError(f"options: {error}") from error


def _checked(table: str, name: str, value: object, path: Path) -> object:
    """The value of a name in a file.

    Raises:
        UsageError: the name is not known, or the value not of its type or range.
    """
    full = f"{table}.{name}" if table else name
    kind = _KINDS[table].get(name)
    if kind is None:
        raise UsageError(f"{path}: {full} is not an option{_nearest(name)}")
    if table == MODEL:  # whose own check knows more than types
        return tuple(value) if isinstance(value, list) else value
    value = _as_paths(bare(kind), value, path.parent)
    wanted = expected(kind, value)
    if wanted is not None:
        raise UsageError(f"{path}: {full} is {value!r:.60}, expected {wanted}")
    return float(value) if bare(kind) is float else value  # type: ignore[arg-type] # checked above


def _as_paths(kind: object, value: object, folder: Path) -> object:
    """Text as a path, a list of texts as paths; anything else is left for the check."""
    if kind is Path and isinstance(value, str):
        return folder / Path(value).expanduser()
    listed = isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == tuple[Path, ...] and listed:
        return tuple(folder / Path(item).expanduser() for item in value)  # type: ignore[attr-defined]
    return value


def _nearest(name: str) -> str:
    """Names that a user may have meant, for a message."""
    known: dict[str, list[str]] = {}
    for table, kinds in _KINDS.items():
        for option in kinds:
            known.setdefault(option, []).append(f"{table}.{option}" if table else option)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {' or '.join(known[close[0]])}?" if close else ""


def check_kernel_target(model: ModelConfig, patch: int, preset: str) -> None:
    """Refuse Eq. 7 on images where it has no meaning.

    Raises:
        UsageError: the network estimates HR kernels, or a patch is smaller than its kernel.
    """
    if model.kernel_space != "lr":
        raise UsageError(
            f"--kernel-target image is for --preset paper-iso and the like; {preset} learns the HR "
            "kernel itself"
        )
    if patch < model.kernel_size:
        raise UsageError(
            f"--kernel-target image needs --patch {model.kernel_size} or larger, the kernel's "
            f"width; got {patch}"
        )
