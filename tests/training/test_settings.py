"""Files of options: every name and value is checked, the command line wins, a run is repeated."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcls_cli.config import ModelConfig
from dcls_cli.errors import UsageError
from dcls_cli.training.config import Range, TrainConfig, bare, expected
from dcls_cli.training.presets import PRESETS
from dcls_cli.training.settings import GivenOptions, RunSettings, toml_of


def said(folder: Path, text: str) -> GivenOptions:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return GivenOptions.of_file(path)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        said(folder, text)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'run.toml'}: ") and "\n" not in message
    return message.removeprefix(f"{folder / 'run.toml'}: ")


def test_a_file_says_everything(tmp_path: Path) -> None:
    given = said(
        tmp_path,
        """
        preset = "noise15"
        scale = 2
        hr = ["photos", "/data/DIV2K"]
        out = "runs/one"
        accumulate = 4
        validate_minutes = 7
        [training]
        batch = 32
        learning_rate = 1
        [model]
        features = 32
        kernel_filters = [11, 7, 5, 1]
        """,
    )
    settings, options, network = given.settings(), given.options(), given.network()
    assert settings.hr == (tmp_path / "photos", Path("/data/DIV2K"))
    assert settings.out == tmp_path / "runs/one"
    assert (settings.preset, settings.accumulate, settings.validate_minutes) == ("noise15", 4, 7.0)
    assert options == PRESETS["noise15"].training(2, batch=32, learning_rate=1.0)
    assert type(options.learning_rate) is float
    assert network == ModelConfig.paper(2, features=32)
    assert said(tmp_path, "").settings() == RunSettings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scales = 4", "scales is not an option; did you mean scale?"),
        ("[training]\nlearning-rate = 1e-3", "training.learning-rate is not an option; did you "
         "mean training.learning_rate?"),
        ("batch = 4", "batch is not an option; did you mean training.batch?"),
        ("[model]\nscale = 4", "model.scale is not an option; did you mean scale?"),
        ("[model]\nfeature = 4", "model.feature is not an option; did you mean model.features?"),
        ("[trainnig]\nbatch = 3", "trainnig is not an option"),
        ("zzz = 1", "zzz is not an option"),
        ("training = 3", "training is 3, expected a table [training]"),
        ("scale = 5", "scale is 5, expected one of 2, 3, 4"),
        ("scale = true", "scale is True, expected one of 2, 3, 4"),
        ("scale = 4.0", "scale is 4.0, expected one of 2, 3, 4"),
        ('preset = "paper"', "preset is 'paper', expected one of light, photo, paper-iso, "
         "paper-aniso, noise15, noise30"),
        ('hr = "photos"', "hr is 'photos', expected a list of paths"),
        ("hr = [1]", "hr is [1], expected a list of paths"),
        ("out = 3", "out is 3, expected text"),
        ("threads = 0", "threads is 0, expected a whole number at least 1"),
        ("compile = 1", "compile is 1, expected true or false"),
        ("[training]\nbatch = 0", "training.batch is 0, expected a whole number at least 1"),
        ("[training]\nbatch = 2.5", "training.batch is 2.5, expected a whole number at least 1"),
        ("[training]\nbatch = true", "training.batch is True, expected a whole number at least 1"),
        ("[training]\nclip = 0", "training.clip is 0, expected a number above 0"),
        ("[training]\nclip = nan", "training.clip is nan, expected a number above 0"),
        ("[training]\nema = 1.0", "training.ema is 1.0, expected a number at least 0 and below 1"),
        ('[training]\nmax_minutes = "9"', "training.max_minutes is '9', expected a number above 0"),
        ("[training]\niterations = 5\nmax_minutes = 5",
         "training.iterations and training.max_minutes exclude each other"),
        ("scale = ", "not a TOML file: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    assert refused(tmp_path, text).startswith(told)


#: A value that no field of the type takes.
WRONG = {bool: 1, int: "1", float: "1", str: 1, Path: 1, tuple[Path, ...]: "folder"}


@pytest.mark.parametrize(("table", "options"), [("", RunSettings), ("training", TrainConfig)])
def test_every_field_refuses_another_type(tmp_path: Path, table: str, options: type) -> None:
    for field in fields(options):
        kind = bare(field.type)
        wrong = "no such word" if get_origin(kind) is not tuple and get_args(kind) else WRONG[kind]
        value = f'"{wrong}"' if isinstance(wrong, str) else str(wrong)
        header = f"[{table}]\n" if table else ""
        full = f"{table}.{field.name}" if table else field.name
        assert f"{full} is {wrong!r}, expected " in refused(
            tmp_path, f"{header}{field.name} = {value}"
        )


@pytest.mark.parametrize("name", [field.name for field in fields(ModelConfig)][1:])
def test_every_field_of_the_network_refuses_another_type(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is -1, expected"):
        said(tmp_path, f"[model]\n{name} = -1").network()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing.toml: cannot be read"):
        GivenOptions.of_file(tmp_path / "missing.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        GivenOptions.of_file(tmp_path)
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not a TOML file"):
        GivenOptions.of_file(tmp_path / "run.toml")


def test_the_command_line_wins(tmp_path: Path) -> None:
    file = said(tmp_path, 'scale = 2\ndevice = "cpu"\n[training]\nbatch = 32\nmax_minutes = 9')
    line = GivenOptions(run={"scale": 3}, training={"batch": 2, "iterations": 5}, model={})
    both = file.under(line)
    assert (both.settings().scale, both.settings().device) == (3, "cpu")
    options = both.options()
    assert (options.batch, options.iterations, options.max_minutes) == (2, 5, None)
    assert file.options().max_minutes == 9.0
    assert file.without("batch").options().batch == PRESETS["light"].training(2).batch


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sigma_max must be at least"):
        said(tmp_path, "[training]\nsigma_min = 9").options()
    with pytest.raises(UsageError, match="features must be a multiple"):
        said(tmp_path, "[model]\nfeatures = 66").network()


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(path=text, seed=st.integers(0, 2**32 - 1), rate=st.floats(1e-300, 1e300))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, path: str, seed: int, rate: float
) -> None:
    folder = tmp_path_factory.mktemp("written")
    settings = RunSettings(
        preset="photo", scale=3, hr=(Path("/a b") / path.replace("\0", "-"), Path("/c")),
        out=Path("/x"), accumulate=2, tensorboard=True, threads=1, device="cpu",
    )  # fmt: skip
    training = PRESETS["photo"].training(3, seed=seed, learning_rate=rate, max_minutes=2.5)
    model = ModelConfig.photo(3, features=32, kernel_size=31)
    known = {"dcls": "1.0", "images": 3, "resumed_at": None}
    text = toml_of(settings, training, model, known, "config.toml")
    read = said(folder, text)
    assert read.settings() == settings
    assert read.network() == model
    assert read.options() == replace(training, iterations=50_000)
    assert tomllib.loads(text)["record"] == {"dcls": "1.0", "images": 3}


def test_a_path_that_is_no_text_does_not_spoil_the_file(tmp_path: Path) -> None:
    settings = RunSettings(hr=(Path("/a\udcff"),), out=tmp_path)
    training, model = PRESETS["light"].training(4), ModelConfig.light(4)
    text = toml_of(settings, training, model, {}, "config.toml")
    assert said(tmp_path, text).settings() == replace(settings, hr=())
    assert "\\udcff' is no Unicode text" in text or "is no Unicode text" in text


def test_ranges() -> None:
    inside = Range(least=0, below=1)
    assert [inside.holds(value) for value in (0, 0.5, 1, -1, float("nan"))] == [
        True, True, False, False, False,
    ]  # fmt: skip
    kind: Any = float | None
    assert expected(kind, None) is None and expected(kind, 2) is None
    assert expected(kind, float("inf")) == "a number"
    assert expected(int, None) == "a whole number"
