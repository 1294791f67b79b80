"""Senseless options and configuration files: one line and a documented exit code, never a crash."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import typer
from PIL import Image

from dcls_cli.cli.app import app, run
from dcls_cli.errors import UsageError
from dcls_cli.training.settings import GivenOptions

#: What people, scripts and shells have put behind options.
VALUES = (
    *("", "nan", "inf", "-inf", "-1", "-0", "0", "1e309", "1e-320", "9" * 400, "0x10", "1_000"),
    *("٣", "e\udcff", "a" * 5000, "x\0y", "\n", "%s{}", "1:2:3", "a,b,,c", ",", "[", "{}", "true"),
    *("../x", ".", "~", "--", "in.png", "/dev/null", "/proc/self/mem", "s3://nowhere/x"),
)

TOML_VALUES = (
    *("nan", "inf", "-inf", "-1", "0", "1e309", "9" * 400, "9" * 18, "1.5", "-0.0", "true"),
    *('""', '"\\u0000"', '"x"', '"../x"', f'"{"a" * 5000}"', '["a", "b"]', "[1, 2]", "[]"),
    *("[[[[]]]]", "{}", "{a = 1}", "1979-05-27", "10:00:00"),
)

#: What each command needs to do something within a second.
ARGUMENTS = {
    ("upscale",): ["in.png"],
    ("batch",): ["folder"],
    ("kernel",): ["in.png"],
    ("eval",): ["--hr", "folder"],
    ("train",): [
        *("--hr", "folder", "-s", "2", "--iterations", "1", "--patch", "8", "--batch", "1"),
        *("--out", "run"),
    ],
    ("data", "check"): ["folder"],
    ("data", "prepare"): ["folder", "-o", "images.pack"],
    ("weights", "convert"): ["in.png", "-o", "weights.safetensors"],
    ("weights", "show"): ["in.png"],
}

#: One for each kind of error: see README.
EXIT_CODES = range(6)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    (tmp_path / "folder").mkdir()
    Image.fromarray(pixels).save(tmp_path / "folder" / "a.png")
    Image.fromarray(pixels[:12, :12]).save(tmp_path / "in.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options() -> Iterator[tuple[tuple[str, ...], str, bool]]:
    """Each command that has its arguments above, with each option and whether it takes a value."""

    def commands(
        command: click.Command, path: tuple[str, ...] = ()
    ) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        for name, inner in getattr(command, "commands", {}).items():
            yield from commands(inner, (*path, name))
        yield path, command

    for path, command in commands(typer.main.get_command(app)):
        for parameter in command.params if path in ARGUMENTS else ():
            if parameter.param_type_name == "option" and parameter.name not in ("help", "compile"):
                yield path, parameter.opts[-1], not getattr(parameter, "is_flag", False)


def lines(count: int, seed: int) -> Iterator[list[str]]:
    """Every option once with a senseless value, then as many pairs of options."""
    drawn = random.Random(seed)  # noqa: S311
    known = list(options())
    drawn.shuffle(known)
    for number in range(count):
        path, option, takes_value = known[number % len(known)]
        line = [*path, *ARGUMENTS[path], option]
        line += [drawn.choice(VALUES)] if takes_value else []
        if number >= len(known):
            _, other, takes_value = drawn.choice([item for item in known if item[0] == path])
            line += [other, *([drawn.choice(VALUES)] if takes_value else [])]
        yield line


@pytest.mark.parametrize(
    "count",
    [pytest.param(40, id="some"), pytest.param(1500, id="many", marks=pytest.mark.slow)],
)
def test_senseless_options_are_a_line_and_a_known_code(
    count: int, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for line in lines(count, seed=count):
        code = run(line)
        said = capfd.readouterr().err
        assert code in EXIT_CODES, (line, said)
        assert "internal error" not in said and "Traceback" not in said, (line, said)
        assert code == 0 or said.strip(), line
        os.chdir(folder)


def test_the_commands_of_this_test_exist() -> None:
    assert {path for path, *_ in options()} == set(ARGUMENTS)
    assert len(list(options())) > 100


CONFIGURATION = """\
preset = "light"
scale = 2
hr = ["folder"]
out = "run"
resume = "never"
device = "cpu"
compile = false
accumulate = 1
tensorboard = false
threads = 1
validate_minutes = 5.0
checkpoint_minutes = 2.0
[training]
part = "all"
seed = 0
iterations = 1
batch = 1
patch = 8
degradation = "isotropic"
sigma_min = 0.2
sigma_max = 2.0
sigma_centred = true
disturbance = 0.0
noise_level = 0.0
candidates = 1
softness = 0.0
optimizer = "muon"
learning_rate = 0.001
final_rate = 0.02
warmup = 100
weight_decay = 0.0
clip = 0.3
ema = 0.999
kernel_weight = 0.05
noise_weight = 0.02
kernel_target = "expected"
precision = "fp32"
window = 25
spike = 2.0
[model]
features = 64
reduction = 4
groups = 2
blocks = 3
group_skip = "input"
attention = false
head_blocks = 2
latent = 32
kernel_size = 21
kernel_filters = [11, 7, 5, 1]
kernel_planes = 1
kernel_channels = 8
kernel_norm = "sum"
kernel_space = "hr"
pooling = "energy"
estimator_features = 32
estimator_blocks = 2
skip = "linear"
skip_taps = 21
skip_taper = 3
noise = "fixed"
upsampler = "direct"
smoothing = "code"
cls_epsilon = 0.01
deconvolution = "dcls"
deconvolution_space = "features"
dual_path = true
"""


def test_senseless_values_of_a_configuration_are_refused_by_name(tmp_path: Path) -> None:
    """A file is read, or a UsageError names it, the entry and what was expected."""
    file = tmp_path / "config.toml"
    refused = 0
    whole = CONFIGURATION.splitlines()
    for number, line in enumerate(whole):
        name, _, _ = line.partition(" = ")
        for value in TOML_VALUES if "=" in line else ():
            file.write_text("\n".join([*whole[:number], f"{name} = {value}", *whole[number + 1 :]]))
            try:
                given = GivenOptions.of_file(file)
                given.settings(), given.options(), given.network()
            except UsageError as error:
                assert name in str(error), (name, value)
                refused += 1
    assert refused > 700


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xfe\x00", id="no UTF-8"),
        pytest.param(b"#" * 65_537, id="too long"),
        pytest.param(b"scale = " + b"9" * 9000, id="a number of 9000 digits"),
        pytest.param(b"scale = 0x" + b"f" * 9000, id="a hexadecimal number of 9000 digits"),
        pytest.param(b"training = " + b"[" * 300 + b"]" * 300, id="a nested value"),
        pytest.param(b"a = " + b"[" * 100_000, id="nested arrays"),
        pytest.param(b"a" + b".a" * 2000 + b" = 1", id="nested names"),
        pytest.param(b"[training]\n[training]\n", id="a table twice"),
        pytest.param(b"scale = 2\nscale = 3\n", id="a name twice"),
        pytest.param(b'training = "x"\n', id="text for a table"),
        pytest.param(b"x\0 = 1\n", id="NUL"),
        pytest.param(b"seed = 1\n", id="an entry of another table"),
    ],
)
def test_a_damaged_configuration_is_refused_by_name(content: bytes, folder: Path) -> None:
    file = folder / "config.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"config\.toml: "):
        GivenOptions.of_file(file)
