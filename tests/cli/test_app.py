"""The program as a whole: help, version, exit codes, signals, streams."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcls_cli
from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from tests.pace import importing_s, processor_s
from tests.posix import pty, resource

PROGRAM = [sys.executable, "-c", "from dcls_cli.cli.app import main; main()"]
ROOT = Path(dcls_cli.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled once

#: A program that says on stderr what it imported, after its own work.
SPY = (
    "import atexit, sys; from dcls_cli.cli.app import main;"
    "atexit.register(lambda: print('IMPORTED', *sys.modules, file=sys.stderr)); main()"
)


@pytest.fixture(scope="module")
def x4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = ModelConfig.light(
        4, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    path = tmp_path_factory.mktemp("weights") / "x4.safetensors"
    weights.write(DCLS(config), path)
    return path


def photo(folder: Path, side: int) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    path = folder / "photo.png"
    Image.fromarray(noise).save(path)
    return path


def dcls(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    for command in ("upscale", "train", "eval", "bench", "models", "weights"):
        assert f"\n  {command} " in shown
    assert "..." not in shown.replace("[ARGS]...", "")  # no sentence is cut off


@pytest.mark.parametrize("arguments", [["--help"], ["upscale", "--help"], ["models", "list"]])
def test_what_needs_no_network_imports_no_engine(arguments: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SPY, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    imported = result.stderr.split("IMPORTED", 1)[1].split()
    assert not {"torch", "onnxruntime", "numpy"} & set(imported)


def test_help_answers_within_the_budget() -> None:
    """0.3 s, or four times what importing Typer and Rich takes, on a slow or noisy machine."""
    spent = processor_s(lambda: dcls("--help"), 5)
    assert spent < max(0.3, 4 * importing_s("typer.core, rich.console, rich.table", 5))


def test_impossible_requests_are_refused_before_torch_is_loaded(tmp_path: Path, x4: Path) -> None:
    source = photo(tmp_path, 4)
    source.with_name("photo_x4.png").touch()
    for arguments in (["-w", x4], ["-w", x4, "-s", "0.5"], ["-w", source], ["-s", "5"]):
        result = subprocess.run(
            [sys.executable, "-c", SPY, "upscale", str(source), *map(str, arguments)],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode in (1, 2, 3)
        said, imported = result.stderr.split("IMPORTED", 1)
        assert len(said.splitlines()) == 1
        assert "torch" not in imported.split()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--version", "-V"):
        assert run([option]) == 0
        assert capsys.readouterr().out == f"dcls {dcls_cli.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["upscale", "--nonsense"], ["weights", "nonsense"]]
)
def test_usage_errors_are_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("dcls: ")
    assert "nonsense" in line


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("signum", "code", "side"),
    # The larger photo is restored while it is written.
    [(signal.SIGINT, 130, 700), (signal.SIGTERM, 143, 700), (signal.SIGINT, 130, 1300)],
)
def test_signals_end_the_work_and_leave_nothing(
    signum: signal.Signals, code: int, side: int, tmp_path: Path, x4: Path
) -> None:
    source = photo(tmp_path, side)
    process = subprocess.Popen(
        [*PROGRAM, "upscale", str(source), "-w", str(x4), "--json", "--tile", "64"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if '"tile"' in line:
            break
    process.send_signal(signum)
    _, err = process.communicate(timeout=300)
    assert process.returncode == code
    assert err in ("dcls: interrupted\n", "dcls: terminated\n")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.skipif(os.name == "nt", reason="pipes are POSIX")
def test_a_reader_that_goes_away_costs_no_photo(tmp_path: Path, x4: Path) -> None:
    source = photo(tmp_path, 8)
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [*PROGRAM, "upscale", str(source), "-w", str(x4), "--json"],
        env=ENVIRONMENT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")
    assert Image.open(tmp_path / "photo_x4.png").size == (32, 32)


@pytest.mark.skipif(os.name == "nt", reason="terminals are POSIX")
@pytest.mark.parametrize("colour", [True, False])
def test_progress_is_for_terminals_and_colours_are_optional(
    colour: bool, tmp_path: Path, x4: Path
) -> None:
    source = photo(tmp_path, 8)
    environment = {**ENVIRONMENT, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    if not colour:
        environment["NO_COLOR"] = "1"
    master, slave = pty.openpty()
    result = subprocess.run(
        [*PROGRAM, "upscale", str(source), "-w", str(x4)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
        timeout=300,
        check=True,
    )
    os.close(slave)
    shown = read_all(master)
    assert "photo.png" in shown
    assert ("\x1b[38;" in shown or "\x1b[3" in shown) == colour
    assert "\x1b" not in result.stdout
    assert "photo_x4.png  32x32" in result.stdout


def read_all(descriptor: int) -> str:
    """Read what a terminal was sent until its other end is closed."""
    os.set_blocking(descriptor, False)
    chunks = []
    for _ in range(50):
        try:
            chunk = os.read(descriptor, 65536)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        except OSError:  # Linux: the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(descriptor)
    return b"".join(chunks).decode()


@pytest.mark.skipif(os.name == "nt", reason="limits are POSIX")
def test_a_file_that_cannot_be_written_whole_leaves_nothing(tmp_path: Path, x4: Path) -> None:
    source = photo(tmp_path, 8)
    output = tmp_path / "photo_x4.png"
    for before in (None, b"precious"):
        if before is not None:
            output.write_bytes(before)
        result = dcls("upscale", source, "-w", x4, "--overwrite", preexec_fn=allow_100_bytes)
        assert result.returncode == 1
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"dcls: {output}: cannot be written: ")
        assert (output.read_bytes() if output.exists() else None) == before
        assert {path.name for path in tmp_path.iterdir()} <= {"photo.png", "photo_x4.png"}


def allow_100_bytes() -> None:
    """Make every file end after 100 bytes, as a full disk would."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
