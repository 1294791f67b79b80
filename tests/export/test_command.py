"""`dcls export-onnx`: what it writes, says and refuses; killed, on a full disk, over a link."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import onnxruntime
import pytest

from dcls_cli.cli.app import run
from dcls_cli.graphs import read_graph

Capture = pytest.CaptureFixture[str]


def told(capsys: Capture, *words: str) -> None:
    """One line on stderr has these words."""
    (line,) = capsys.readouterr().err.splitlines()
    for word in words:
        assert word in line


def test_a_graph_is_written_and_told(weight_file: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "x.onnx"
    arguments = ["export-onnx", "-w", str(weight_file), "-o", str(output), "--no-verify"]
    small = ["--shape", "1x3x16x24", "--fft", "matmul", "--json"]
    assert run([*arguments, *small]) == 0
    event = json.loads(capsys.readouterr().out)
    (graph,) = event["graphs"]
    assert graph["path"] == str(output)
    assert graph["beyond_cuda"] == event["parity"] == []
    session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, 16, 24]
    before = output.read_bytes()
    assert run([*arguments, *small]) == 1
    told(capsys, "exists already", "--overwrite")
    assert output.read_bytes() == before


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, as the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "request_",
    [
        (["--opset", "19"], 2, ["operator set 19 is not supported", "20 to 25"]),
        (["--shape", "3xHxW"], 2, ["expected 1x3xHxW"]),
        (["-m", "dcls-light-x4"], 2, ["--model and --weights exclude each other"]),
        (["-s", "3"], 2, ["up-scales x2"]),
        (["-o", "x.pt"], 2, ["must end in .onnx"]),
        (["-o", "no/x.onnx"], 1, ["no/x.onnx", "the folder no does not exist"]),
    ],
)
def test_bad_requests(
    weight_file: Path,
    folder: Path,
    capsys: Capture,
    request_: tuple[list[str], int, list[str]],
) -> None:
    arguments, code, words = request_
    own = [] if "-o" in arguments else ["-o", "x.onnx"]
    assert run(["export-onnx", "-w", str(weight_file), *own, *arguments]) == code
    told(capsys, *words)
    assert list(folder.iterdir()) == []


def test_weights_that_are_missing_or_damaged(tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "x.onnx"
    assert run(["export-onnx", "-w", str(tmp_path / "w.safetensors"), "-o", str(output)]) == 3
    told(capsys, "no such weight file")
    assert not output.exists()


CODE = "import sys; from dcls_cli.cli.app import main; sys.argv = ['dcls', *sys.argv[1:]]; main()"


def command(weight_file: Path, output: Path) -> list[str]:
    """A process of its own, which can be killed, for a graph that is quickly made."""
    options = ["-w", str(weight_file), "--shape", "1x3x16x16", "--overwrite", "-o", str(output)]
    return [sys.executable, "-c", CODE, "export-onnx", *options]


@pytest.mark.slow
def test_over_a_link_and_killed(weight_file: Path, tmp_path: Path) -> None:
    """What has the name is always the old file or a whole new one."""
    folder = tmp_path / "out"
    folder.mkdir()
    output, real = folder / "x.onnx", tmp_path / "real.onnx"
    real.write_bytes(b"old")
    output.symlink_to(real)
    started = time.monotonic()
    subprocess.run(command(weight_file, output), check=True, capture_output=True)
    whole_s = time.monotonic() - started
    assert real.read_bytes() == b"old"
    assert not output.is_symlink()
    onnx.checker.check_model(output, full_check=True)
    before = output.read_bytes()
    draw = random.Random(0)
    for _ in range(20):
        with subprocess.Popen(command(weight_file, output), stderr=subprocess.DEVNULL) as process:
            time.sleep(draw.uniform(0.3, 1.1) * whole_s)
            process.send_signal(signal.SIGKILL)
        content = output.read_bytes()
        assert content == before or read_graph(output)
    subprocess.run(command(weight_file, output), check=True, capture_output=True)
    assert [path.name for path in folder.iterdir()] == ["x.onnx"]  # nothing stale is left


@pytest.mark.slow
def test_a_full_disk_keeps_the_old_file(weight_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {mounted.stderr.strip()}")
    try:
        output = folder / "x.onnx"
        output.write_bytes(b"old")
        line = command(weight_file, output)
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].endswith("not written: no space left on the disk")
        assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("x.onnx", b"old")]
    finally:
        subprocess.run(["umount", str(folder)], check=True)
