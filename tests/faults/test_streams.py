"""Photos through pipes; streams that are closed, full, no terminal or of another language (28)."""

import io
import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from dcls_cli.cli.app import run
from tests.faults.programs import ENVIRONMENT, PROGRAM, Nursery, dcls
from tests.jobs.files import picture
from tests.posix import pty

pytestmark = pytest.mark.skipif(os.name == "nt", reason="streams of POSIX")

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "case",
    [
        ("a.jpg", [], "JPEG"),
        ("a.bmp", [], "PNG"),
        ("a.png", ["-f", "webp"], "WEBP"),
        ("a.png", ["-f", "tiff"], "TIFF"),
    ],
)
def test_a_photo_goes_through_a_pipe(
    case: tuple[str, list[str], str], tmp_path: Path, x2: Path, nursery: Nursery
) -> None:
    name, options, form = case
    photo = picture(tmp_path / name)
    arguments = ["upscale", "-", "-o", "-", "-w", x2, "-d", "cpu", "--precision", "fp32", *options]
    piped = nursery.start(*arguments, cwd=tmp_path, stdin=photo)
    assert piped.wait() == 0
    (line,) = piped.err.read_text().splitlines()
    assert line.startswith("dcls: -  24x16  ")
    content = piped.out.read_bytes()
    assert Image.open(io.BytesIO(content)).format == form
    suffix = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif"}[form]
    arguments = ["upscale", photo, "-o", f"b.{suffix}", "-w", x2, "-d", "cpu"]
    named = nursery.start(*arguments, "--precision", "fp32", cwd=tmp_path)
    assert named.wait() == 0
    assert (tmp_path / f"b.{suffix}").read_bytes() == content


def test_only_one_end_may_be_a_pipe(tmp_path: Path, x2: Path, nursery: Nursery) -> None:
    photo = picture(tmp_path / "a.png")
    options = ["-w", x2, "-d", "cpu"]
    to_file = nursery.start("upscale", "-", "-o", "b.png", *options, cwd=tmp_path, stdin=photo)
    from_file = nursery.start("upscale", "a.png", "-o", "-", *options, cwd=tmp_path)
    assert to_file.wait() == from_file.wait() == 0
    assert (tmp_path / "b.png").read_bytes() == from_file.out.read_bytes()


@pytest.mark.parametrize(
    "case",
    [
        (2, "needs an output", ["-"]),
        (2, "'-' is one photo", ["-", "a.png", "-o", "out/"]),
        (2, "give one photo", ["a.png", "b.png", "-o", "-"]),
        (2, "stdout cannot hold both", ["a.png", "-o", "-", "--json"]),
        (2, "can be read again", ["a.png", "-o", "-", "--report", "a.html"]),
        (2, "JPEG cannot hold transparency", ["alpha.png", "-o", "-", "-f", "jpg"]),
        (1, "dcls: stdin: the file is empty", ["-", "-o", "-"]),
    ],
)
def test_what_pipes_cannot_do(
    case: tuple[int, str, list[str]], tmp_path: Path, x2: Path, nursery: Nursery
) -> None:
    code, said, arguments = case
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(tmp_path / "alpha.png")
    running = nursery.start("upscale", *arguments, "-w", x2, cwd=tmp_path)
    assert running.wait() == code
    assert running.out.read_bytes() == b""
    (line,) = running.err.read_text().splitlines()
    assert said in line


def test_no_photo_is_written_to_a_terminal(tmp_path: Path, x2: Path) -> None:
    master, slave = pty.openpty()
    result = subprocess.run(
        [*PROGRAM, "upscale", str(picture(tmp_path / "a.png")), "-o", "-", "-w", str(x2)],
        env=ENVIRONMENT,
        stdout=slave,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    os.close(slave)
    os.close(master)
    assert result.returncode == 2
    assert "would write the photo to the terminal" in result.stderr


@pytest.mark.parametrize("streams", [">&- 2>&-", "2>/dev/full | head -c 1"])
def test_streams_that_take_nothing_cost_no_photo(streams: str, tmp_path: Path, x2: Path) -> None:
    for name in ("a.png", "b.tif"):
        picture(tmp_path / "in" / name)
    program = '"$0" -c "from dcls_cli.cli.app import main; main()"'
    command = f'{program} batch in -o out -w "$1" -d cpu --json {streams}; exit ${{PIPESTATUS[0]}}'
    result = subprocess.run(
        ["bash", "-c", command, PROGRAM[0], str(x2)],
        cwd=tmp_path,
        env={**ENVIRONMENT, "NO_COLOR": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    for name in ("a_x2.png", "b_x2.tif"):
        with Image.open(tmp_path / "out" / name) as image:
            image.load()


def test_a_pipe_that_breaks_is_a_photo_that_is_lost(tmp_path: Path, x2: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    photo = picture(tmp_path / "a.png")
    result = subprocess.run(
        [*PROGRAM, "upscale", str(photo), "-o", "-", "-w", str(x2), "-d", "cpu"],
        env=ENVIRONMENT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    os.close(writer)
    assert result.returncode == 1
    assert result.stderr == "dcls: stdout: cannot be written: Broken pipe\n"


def test_a_poor_terminal_shows_any_name(tmp_path: Path, x2: Path) -> None:
    name = "caf\u00e9 \u2603 [red]x[/red] %s"
    picture(tmp_path / "in" / f"{name}.png")
    picture(tmp_path / "a.png").rename(tmp_path / "in" / os.fsdecode(b"\xff\xfe.png"))
    environment = {**ENVIRONMENT, "LANG": "C", "LC_ALL": "C", "TERM": "dumb"}
    environment |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    arguments = ["batch", "in", "-o", "out", "-w", x2, "-d", "cpu", "--report", "rows.csv"]
    result = dcls(*arguments, cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert "[red]x[/red] %s_x2.png" in result.stdout
    assert "\x1b" not in result.stdout + result.stderr + (tmp_path / "rows.csv").read_text()
    assert "2 done, 0 failed" in result.stderr


def test_an_image_on_stdout_is_no_business_of_help(capsys: Capture) -> None:
    assert run(["upscale", "--help"]) == 0
    assert "stdout (-)" in " ".join(capsys.readouterr().out.split())
