"""Files that change, crash the program, cannot be read, or have two spellings of one name."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from dcls_cli.cli.app import run
from tests.faults.programs import ENVIRONMENT, PROGRAM
from tests.jobs.files import picture

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs() -> list[str]:
    """The names in `out`; every file is a whole image."""
    for path in Path("out").iterdir():
        with Image.open(path) as image:
            image.load()
    return sorted(path.name for path in Path("out").iterdir())


def test_case_20_two_spellings_of_one_name(x2: Path) -> None:
    names = [unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD")]
    for seed, name in enumerate(names):
        picture(Path(f"in/{name}.png"), seed=seed)
    if len(list(Path("in").iterdir())) == 1:
        pytest.skip("this file system holds one of the two")
    assert run(["batch", "in", "-o", "out", "-w", str(x2), "-d", "cpu"]) == 0
    assert outputs() == sorted(f"{name}_x2.png" for name in names)
    first, second = (Path(f"out/{name}_x2.png").read_bytes() for name in names)
    assert first != second


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="util-linux is not installed")
def test_case_24_what_may_not_be_read(x2: Path, tmp_path: Path) -> None:
    """Without the privilege of root to read everything: a photo and a folder."""
    for name in ("a.png", "secret.png", "closed/b.png", "z.png"):
        picture(Path("in") / name)
    for path in ("in/secret.png", "in/closed"):
        Path(path).chmod(0)
    plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    command = [*plain, *PROGRAM, "batch", "in", "-o", "out", "-w", str(x2), "-d", "cpu"]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    Path("in/closed").chmod(0o755)
    told = result.stderr.splitlines()
    assert result.returncode == 1, told
    assert told[:-1] == [
        "dcls: in/closed: cannot be read: Permission denied",
        "dcls: in/secret.png: cannot be read: Permission denied",
    ]
    assert told[-1] == "dcls: 2 done, 2 failed, 0 skipped"
    assert outputs() == ["a_x2.png", "z_x2.png"]


def test_case_24_a_file_that_grows_while_it_is_read(x2: Path, capsys: Capture) -> None:
    """A copy that is under way: refused or restored, once; whole it is restored by the next run."""
    for number in range(3):
        picture(Path(f"in/{number}.png"), (60, 60), seed=number)
    growing = Path("in/1.png")
    content = growing.read_bytes()
    growing.write_bytes(content[: len(content) // 2])

    def copy() -> None:
        with growing.open("ab", buffering=0) as file:
            for at in range(len(content) // 2, len(content)):
                file.write(content[at : at + 1])
                time.sleep(1e-4)

    copying = threading.Thread(target=copy)
    copying.start()
    arguments = ["batch", "in", "-o", "out", "-w", str(x2), "-d", "cpu"]
    code = run(arguments)
    copying.join()
    said = capsys.readouterr().err
    assert said.count("in/1.png: truncated") == code <= 1
    assert f"{3 - code} done, {code} failed" in said
    assert run(arguments) == 0
    assert outputs() == ["0_x2.png", "1_x2.png", "2_x2.png"]


CRASHING = """
import os, signal
from dcls_cli.cli import app
from dcls_cli.jobs.worker import Worker
load = Worker.load
def crash(worker, task):
    if task.source.name == "5.png":
        os.kill(os.getpid(), signal.SIGSEGV)
    return load(worker, task)
Worker.load = crash
app.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_case_34_a_decoder_that_crashes_ends_the_batch_and_costs_no_photo(
    x2: Path, capsys: Capture
) -> None:
    """Decoders are threads: their crash is the program's. What is done stays, the rest goes on."""
    for number in range(9):
        picture(Path(f"in/{number}.png"), seed=number)
    arguments = ["batch", "in", "-o", "out", "-w", str(x2), "-d", "cpu"]
    command = [sys.executable, "-c", CRASHING, *arguments]
    crashed = subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=False)
    assert crashed.returncode == -signal.SIGSEGV
    assert run([*arguments, "--exclude", "5.png"]) == 0
    assert "left out: 1 not wanted" in capsys.readouterr().err
    assert outputs() == [f"{number}_x2.png" for number in (0, 1, 2, 3, 4, 6, 7, 8)]
    assert run(arguments) == 0  # the library was repaired
    assert len(outputs()) == 9
