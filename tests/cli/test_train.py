"""`dcls train`: its options, exit codes, files and what it tells; the networks are real."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyte
import pytest
import torch
from PIL import Image
from rich.console import Console

import dcls_cli
from dcls_cli.cli import console
from dcls_cli.cli.app import run
from dcls_cli.cli.training_view import LiveView, PlainView, clock, time_left
from dcls_cli.config import ModelConfig
from dcls_cli.models import weights
from dcls_cli.training.reports import RollbackReport, ValidationReport, WindowReport
from tests.pace import stretched
from tests.posix import pty

ROOT = Path(dcls_cli.__file__).parents[1]
PROGRAM = [sys.executable, "-c", "from dcls_cli.cli.app import main; main()", "train"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

#: The light network on the smallest patches that make sense.
QUICK = ("-s", 2, "--patch", 8, "--batch", 1, "--candidates", 1, "-d", "cpu", "--threads", 1)


@pytest.fixture(autouse=True, scope="module")
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def hr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hr")
    random = np.random.default_rng(0)
    for index in range(2):
        coarse = Image.fromarray((random.random((9, 9, 3)) * 255).astype(np.uint8))
        coarse.resize((60, 56), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


@dataclass(frozen=True)
class Told:
    """What a command line said, and how it ended."""

    code: int
    out: str
    err: str


Train = Callable[..., Told]


@pytest.fixture
def train(capfd: pytest.CaptureFixture[str]) -> Train:
    def call(*arguments: object) -> Told:
        capfd.readouterr()
        code = run(["train", *map(str, arguments)])
        return Told(code, *capfd.readouterr())

    return call


def test_trains_validates_and_tells(train: Train, hr: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for index in range(7):
        (mixed / f"bad{index}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    out = tmp_path / "run"
    told = train(
        *QUICK, "--hr", hr, "--hr", mixed, "--val", hr, "--out", out, "--iterations", 3, "--seed", 4
    )
    assert told.code == 0, told.err
    (line,) = told.out.splitlines()
    assert line.startswith(f"{out / 'best.safetensors'}  PSNR Y ") and "  3 steps  " in line
    files = {path.name for path in out.iterdir()}
    assert files >= {"best.safetensors", "latest.safetensors", "log.jsonl", "checkpoints"}
    assert files >= {"config.toml", "skipped.txt", "curves.png", "samples.png"}

    assert told.err.count("skipped ") >= 6 and "skipped 2 more images" in told.err
    assert "2 images, 0.0 megapixels, 7 skipped" in told.err
    skipped = (out / "skipped.txt").read_text().splitlines()
    assert [row.split("\t")[0] for row in skipped] == [
        str(mixed / f"bad{index}.png") for index in range(7)
    ]
    record = tomllib.loads((out / "config.toml").read_text())
    assert record["training"]["seed"] == 4 and record["training"]["patch"] == 8
    assert record["training"]["sigma_max"] == 2.0 and record["training"]["sigma_centred"] is True
    assert {**record["model"], "scale": 2} == json.loads(ModelConfig.light(2).to_json())
    assert record["hr"] == [str(hr), str(mixed)] and record["record"]["images_skipped"] == 7

    validation = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    assert f"PSNR Y {validation['psnr_y_db']:.2f} dB" in line
    assert len(validation["psnr_y_db_by_sigma"]) == 8
    config, metadata = weights.read_metadata(out / "best.safetensors")
    assert config == ModelConfig.light(2)
    assert metadata["validation_psnr_y_db"] == f"{validation['psnr_y_db']:.3f}"

    again = train(
        *QUICK, "--hr", hr, "--hr", mixed, "--val", hr, "--out", out, "--iterations", 3,
        "--seed", 4, "--resume", "auto",
    )  # fmt: skip
    assert (again.code, again.out) == (0, told.out), again.err
    refused = train(*QUICK, "--hr", hr, "--out", out, "--iterations", 3)
    assert refused.code == 1 and "holds a run already" in refused.err
    refused = train(*QUICK, "-s", 3, "--hr", hr, "--out", out, "--resume", "auto")
    assert refused.code == 1 and "scale 2, now 3" in refused.err


def test_another_length_is_told_in_one_line(train: Train, hr: Path, tmp_path: Path) -> None:
    """Longer: what the rate does. Shorter than what is done: that nothing is, and no result."""
    options = ("--hr", hr, "--out", tmp_path / "run", *QUICK)
    assert train(*options, "--iterations", 4).code == 0
    again = train(*options, "--iterations", 4, "--resume", "auto")
    assert (again.code, "long, not" in again.err) == (0, False)
    assert "4 steps" in again.out
    longer = train(*options, "--iterations", 6, "--resume", "auto")
    (line,) = (line for line in longer.err.splitlines() if "long, not" in line)
    assert re.fullmatch(
        r".*the run is now 6 iterations long, not 4 iterations: its learning rate continues from "
        r"\d\.\de-\d+ at \d\.\de-\d+, and decays to the new end",
        line,
    )
    assert (longer.code, "6 steps" in longer.out) == (0, True)
    shorter = train(*options, "--iterations", 5, "--resume", "auto")
    (line,) = (line for line in shorter.err.splitlines() if "long, not" in line)
    assert "nothing was trained: 6 steps and" in line
    assert "the run is now 5 iterations long, not 6 iterations" in line
    assert str(tmp_path / "run" / "latest.safetensors") in line
    assert (shorter.code, shorter.out) == (0, "")


def test_every_option_arrives(train: Train, hr: Path, tmp_path: Path) -> None:
    told = train(
        "--hr", hr, "--out", tmp_path / "run", "--scale", 3, "--max-minutes", 0.0001,
        "--batch", 2, "--patch", 7, "--learning-rate", 0.002, "--candidates", 3, "--seed", 9,
        "--sigma-min", 0.5, "--sigma-max", 1.5, "--optimizer", "adamw", "--precision", "fp32",
        "--device", "cpu", "--validate-minutes", 7, "--checkpoint-minutes", 9, "--threads", 1,
    )  # fmt: skip
    assert told.code == 1, "images are too small for the window"
    assert "2 skipped" in told.err or "2 image files, 2 skipped" in told.err
    told = train(
        "--hr", hr, "--out", tmp_path / "run", "--scale", 3, "--max-minutes", 0.0001,
        "--batch", 2, "--patch", 5, "--learning-rate", 0.002, "--candidates", 3, "--seed", 9,
        "--sigma-min", 0.5, "--sigma-max", 1.5, "--optimizer", "adamw", "--precision", "fp32",
        "--device", "cpu", "--validate-minutes", 7, "--checkpoint-minutes", 9, "--threads", 1,
    )  # fmt: skip
    assert told.code == 0, told.err
    assert told.out.startswith(f"{tmp_path / 'run' / 'latest.safetensors'}  not validated  ")
    record = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    expected = {
        "max_minutes": 0.0001, "batch": 2, "patch": 5, "learning_rate": 0.002, "candidates": 3,
        "seed": 9, "sigma_min": 0.5, "sigma_max": 1.5, "optimizer": "adamw", "precision": "fp32",
    }  # fmt: skip
    assert {key: record["training"][key] for key in expected} == expected
    assert (record["validate_minutes"], record["checkpoint_minutes"]) == (7, 9)
    assert record["threads"] == 1 and record["scale"] == 3


def test_a_file_of_options_and_the_options_that_win(
    train: Train, hr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "options.toml"
    file.write_text(
        f"""
        scale = 2
        hr = ["{hr.name}", "more"]
        out = "first"
        device = "cpu"
        threads = 1
        accumulate = 2
        [training]
        iterations = 9
        batch = 2
        patch = 8
        precision = "fp32"
        sigma_centred = false
        [model]
        blocks = 1
        groups = 1
        """
    )
    (tmp_path / "more").symlink_to(hr)
    (tmp_path / hr.name).symlink_to(hr)
    told = train(file, "--iterations", 2, "--seed", 3)
    assert told.code == 0, told.err
    first = tmp_path / "first"
    record = tomllib.loads((first / "config.toml").read_text())
    assert record["training"]["iterations"] == 2 and record["training"]["seed"] == 3
    assert record["accumulate"] == 2 and record["model"]["blocks"] == 1
    assert record["hr"] == [str(tmp_path / hr.name), str(tmp_path / "more")]

    # What a run has written repeats it, to the bit, and continues it.
    told = train(first / "config.toml", "--out", tmp_path / "again")
    assert told.code == 0, told.err
    one, two = (weights.read(run / "latest.safetensors")[1] for run in (first, tmp_path / "again"))
    assert one.keys() == two.keys() and all(one[name].equal(two[name]) for name in one)
    told = train(first / "config.toml")
    assert told.code == 1 and "holds a run already" in told.err
    told = train(first / "config.toml", "--resume", "auto", "--iterations", 3)
    assert told.code == 0 and "resumed at step 2" in told.err
    told = train(first / "config.toml", "--out", tmp_path / "other", "--precision", "auto")
    assert told.code == 0, told.err

    file.write_text("scale = 2\nbatches = 3\n")
    told = train(file, "--hr", hr, "--out", tmp_path / "no")
    assert told.code == 2
    assert told.err == (f"dcls: {file}: batches is not an option; did you mean training.batch?\n")
    told = train(tmp_path / "none.toml", "--hr", hr, "--out", tmp_path / "no")
    assert told.code == 2 and "none.toml: cannot be read" in told.err
    monkeypatch.setenv("DCLS_DATA", str(tmp_path / "empty"))
    told = train("--out", tmp_path / "no")
    assert told.code == 2 and "no --hr, and no DIV2K or Flickr2K in" in told.err
    assert not (tmp_path / "no").exists()


#: Arguments, exit code, part of the message.
Case = tuple[tuple[object, ...], int, str]


@pytest.mark.parametrize(
    "case",
    [
        (("-s", 5), 2, "scale 5 is not available; choose 2, 3 or 4"),
        (("--preset", "huge"), 2, "--preset"),
        (("--optimizer", "sgd"), 2, "--optimizer"),
        (("--precision", "fp16"), 2, "--precision"),
        (("--resume", "yes"), 2, "--resume"),
        (("--batch", 0), 2, "--batch"),
        (("--iterations", -3), 2, "--iterations"),
        (("--seed", -1), 2, "--seed"),
        (("--learning-rate", 0), 2, "learning_rate is"),
        (("--learning-rate", "nan"), 2, "learning_rate is"),
        (("--max-minutes", 0), 2, "max_minutes is 0.0, expected a number above 0"),
        (("--sigma-min", 9), 2, "sigma_max must be at least sigma_min"),
        (("--iterations", 1, "--max-minutes", 1), 2, "exclude each other"),
        (("--kernel-target", "image"), 2, "--preset paper-iso"),
        (("--kernel-target", "image", "--preset", "paper-iso", "--patch", 20), 2, "--patch 21"),
        (("--preset", "paper-aniso", "-s", 3), 2, "exists for x2 and x4, not for x3"),
        (("--accumulate", 0), 2, "--accumulate"),
        (("--accumulate", 3), 1, "batch 8 cannot be shared by 1 x 3 parts; give a multiple of 3"),
        (("--unknown",), 2, "--unknown"),
        (("--val", "missing"), 1, "--val: missing"),
        (("--init", "missing.safetensors"), 3, "missing.safetensors: no such weight file"),
        (("-d", "tpu"), 5, "tpu"),
    ],
)
def test_refuses_with_one_line(train: Train, hr: Path, tmp_path: Path, case: Case) -> None:
    arguments, code, named = case
    told = train("--hr", hr, "--out", tmp_path / "run", *arguments)
    assert told.code == code, told.err
    line = told.err.splitlines()[-1]
    assert named in line and line.startswith("dcls: ")
    assert "Traceback" not in told.err and "internal error" not in told.err
    assert told.out == "" and not (tmp_path / "run").exists()


def test_refuses_folders_that_cannot_be_used(train: Train, hr: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for folder, named in ((tmp_path / "no", "no such folder"), (tmp_path, "no usable training im")):
        told = train("--hr", folder, "--out", out, "--iterations", 1)
        assert told.code == 1 and named in told.err.splitlines()[-1]
    (tmp_path / "file").write_text("")
    told = train("--hr", hr, "--out", tmp_path / "file")
    assert told.code == 2 and "--out names a folder" in told.err
    told = train(*QUICK, "--hr", hr, "--out", tmp_path / "file" / "run", "--iterations", 1)
    assert told.code == 1 and told.err.splitlines()[-1].startswith(f"dcls: {tmp_path / 'file'}")
    assert not out.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_refuses_a_device_that_is_not_there(train: Train, hr: Path, tmp_path: Path) -> None:
    told = train("--hr", hr, "--out", tmp_path / "run", "-d", "cuda")
    assert told.code == 5 and "cuda" in told.err


def test_names_the_layers_that_start_at_random(train: Train, hr: Path, tmp_path: Path) -> None:
    from dcls_cli.network.dcls import DCLS

    weights.write(DCLS(ModelConfig.light(4)), tmp_path / "x4.safetensors")
    told = train(
        *QUICK, "--hr", hr, "--out", tmp_path / "run", "--iterations", 1,
        "--init", tmp_path / "x4.safetensors",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert (
        "start at random: restorer.conv_linear.weight, restorer.upsampler.0.bias, "
        "restorer.upsampler.0.weight\n"
    ) in told.err


def test_sigterm_ends_the_program_with_143(hr: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [*QUICK, "--hr", hr, "--out", out, "--checkpoint-minutes", 0]
    with subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        end = time.monotonic() + 120
        while not list(out.glob("checkpoints/*.ckpt")) and program.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.02)
        asked = time.monotonic()
        program.send_signal(signal.SIGTERM)
        stdout, stderr = program.communicate(timeout=300)
    assert program.returncode == 143, stderr
    assert time.monotonic() - asked < stretched(10)
    assert stdout == "" and "with --resume auto continues" in stderr


def test_draws_a_table_on_a_terminal(hr: Path, tmp_path: Path) -> None:
    arguments = [*QUICK, "--hr", hr, "--out", tmp_path / "run", "--iterations", 30]
    primary, secondary = pty.openpty()
    environment = {**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    with subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=secondary,
    ) as program:
        os.close(secondary)
        shown = b""
        while True:
            try:
                part = os.read(primary, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        assert program.stdout is not None
        result = program.stdout.read()
    assert program.returncode == 0
    assert b"\x1b" not in result and result.count(b"\n") == 1
    for word in (b"image loss", b"kernel loss", b"patches/s", b"learning rate"):
        assert word in shown
    assert re.search(rb"(25|30) of 30", shown)


@pytest.mark.slow
def test_ctrl_c_leaves_no_broken_table_on_the_screen(hr: Path, tmp_path: Path) -> None:
    """The terminal prints ^C behind the table's last line, which must not wrap."""
    arguments = [*QUICK, "--hr", hr, "--out", tmp_path / "run", "--iterations", 100_000]
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40"}
        os.execve(sys.executable, [*PROGRAM, *map(str, arguments)], environment)
    screen = pyte.Screen(80, 40)
    stream = pyte.ByteStream(screen)
    interrupted = False
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            stream.feed(os.read(terminal, 4096))
        except OSError:  # the program has ended
            break
        if not interrupted and any("image loss" in line for line in screen.display):
            interrupted = True
            os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    shown = "\n".join(screen.display)
    assert "with --resume auto continues" in " ".join(shown.split())
    assert not set(shown) & set("╭╮╰╯│─"), shown


def window(step: int, progress: float = 0.25) -> WindowReport:
    return WindowReport(step, progress, 600.0, 0.0432, 0.21, 0.1, 9.5e-4, 19.7)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    recorded = Console(record=True, width=90, force_terminal=False, soft_wrap=True)
    monkeypatch.setattr(console, "err", recorded)
    return recorded


def test_plain_lines_are_calm(terminal: Console) -> None:
    view = PlainView(None)
    for step in range(25, 2525, 25):
        view.on_report(window(step))
    view.on_report(ValidationReport(2500, 600.0, 30.31, (30.7, 29.9), best=True))
    view.on_report(RollbackReport(2525, 2500, "the loss is not finite", 0.5))
    lines = terminal.export_text().splitlines()
    assert len(lines) == 3
    assert lines[0] == (
        "dcls: step 25 (25.0%): loss 0.0432, kernel 0.210, 19.7 patches/s, rate 9.50e-04, "
        "0:10:00 elapsed, 0:30:00 left"
    )
    assert "PSNR Y 30.31 dB (best)" in lines[1]
    assert "back to step 2500" in lines[2] and "learning rate x 0.5" in lines[2]


def test_the_table_has_every_figure(terminal: Console) -> None:
    view = LiveView("runs/[bold]x", 10_000)
    terminal.print(view.render())
    view.on_report(window(2500))
    view.on_report(ValidationReport(2400, 600.0, 30.5, (31.0, 29.9), best=True))
    view.on_report(ValidationReport(2500, 620.0, 30.31, (30.7, 29.9), best=False))
    view.on_report(RollbackReport(2525, 2500, "the loss is not finite", 0.5))
    terminal.print(view.render())
    shown = terminal.export_text()
    for figure in (
        "runs/[bold]x", "first steps", "2500 of 10000", "0.0432", "0.210", "19.7", "9.50e-04",
        "30.31 dB, best 30.50", "0:10:00", "0:30:00", "roll-backs",
    ):  # fmt: skip
        assert figure in shown, figure


def test_clock() -> None:
    texts = [clock(seconds) for seconds in (0, 59.6, 3599.4, 360_000, float("nan"))]
    assert texts == ["0:00:00", "0:01:00", "0:59:59", "100:00:00", "-"]
    assert time_left(window(1, progress=0.75)) == 200
    assert clock(time_left(window(1, progress=0.0))) == "-"
