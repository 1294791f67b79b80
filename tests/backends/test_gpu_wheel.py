"""The wheel for NVIDIA's GPUs on machines without a GPU that works: silence, one line, or failure.

The driver is a library of our own that answers as NVIDIA's does; all else is what is installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dcls_cli import example
from dcls_cli.backends import sessions, wheels
from dcls_cli.backends.split_graphs import has_int8_instructions

pytestmark = [
    pytest.mark.skipif(
        "onnxruntime-gpu" not in wheels.installed_wheels(), reason="not the wheel for GPUs"
    ),
    pytest.mark.skipif(wheels.has_nvidia_driver(), reason="a real NVIDIA driver"),
]

#: What `auto` takes on a CPU.
ON_CPU = f"cpu (ONNX Runtime) {'int8' if has_int8_instructions() else 'fp32'}"

WORKS, NO_DEVICE, UNKNOWN = 0, 100, 999


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small photos, for which `-m auto` takes two networks."""
    folder = tmp_path_factory.mktemp("photos")
    small = Image.open(example.location()).crop((0, 0, 48, 40))
    small.save(folder / "a.png")
    small.save(folder / "b.jpg")
    return folder


def driver(folder: Path, answer: int) -> Path:
    """A folder with a driver that answers cuInit with a number."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler for a driver of Linux")
    source = folder / "driver.c"
    source.write_text(f"int cuInit(unsigned flags) {{ return {answer}; }}\n")
    library = folder / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return folder


def dcls(*arguments: object, libraries: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if libraries is not None:
        environment["LD_LIBRARY_PATH"] = str(libraries)
    code = "import sys; from dcls_cli.cli.app import main; sys.argv = ['dcls', *sys.argv[1:]]"
    command = [sys.executable, "-c", f"{code}; main()", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def batch(photos: Path, out: Path, libraries: Path | None) -> subprocess.CompletedProcess[str]:
    return dcls("batch", "-v", photos, "-o", out, "--backend", "onnx", libraries=libraries)


def test_the_wheel_has_cuda_and_auto_does_not_try_it() -> None:
    assert "CUDAExecutionProvider" in sessions.available_providers()
    assert sessions.device_candidates("auto") == ["cpu"]
    assert sessions.device_candidates("cuda:1") == ["cuda:1"]


def test_without_a_driver_nothing_is_said(photos: Path, tmp_path: Path) -> None:
    done = batch(photos, tmp_path / "out", None)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(ON_CPU) == 2
    assert "CUDA" not in done.stderr
    assert "GPU" not in done.stderr


def test_a_driver_that_sees_no_gpu_is_no_gpu(photos: Path, tmp_path: Path) -> None:
    done = batch(photos, tmp_path / "out", driver(tmp_path, NO_DEVICE))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(ON_CPU) == 2
    assert "CUDA" not in done.stderr
    assert "GPU" not in done.stderr


@pytest.mark.parametrize("answer", [WORKS, UNKNOWN])
def test_a_gpu_without_libraries_is_told_once_and_the_cpu_is_used(
    photos: Path, tmp_path: Path, answer: int
) -> None:
    done = batch(photos, tmp_path / "out", driver(tmp_path, answer))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(ON_CPU) == 2
    (line,) = (line for line in done.stderr.splitlines() if "cuda" in line)
    assert "device 'cuda' is not usable: a library is missing: lib" in line
    assert line.endswith("; the CPU is used")


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (None, "no NVIDIA driver was found; install it"),
        (NO_DEVICE, "NVIDIA's driver sees no GPU"),
        (WORKS, "a library is missing: lib"),
    ],
)
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_that_is_named_fails_with_the_cause(
    photos: Path, tmp_path: Path, device: str, answer: int | None, cause: str
) -> None:
    libraries = None if answer is None else driver(tmp_path, answer)
    arguments = ["upscale", photos / "a.png", "-o", tmp_path / "out.png", "--backend", "onnx"]
    done = dcls(*arguments, "-d", device, libraries=libraries)
    assert done.returncode == 5
    assert not (tmp_path / "out.png").exists()
    (line,) = done.stderr.splitlines()
    assert f"device '{device}' is not usable: {cause}" in line


def test_the_doctor_shows_the_state(tmp_path: Path) -> None:
    for answer, words in ((NO_DEVICE, "found, but it sees no GPU"), (WORKS, "found")):
        done = dcls("doctor", libraries=driver(tmp_path, answer))
        lines = dict(line.split(None, 1) for line in done.stdout.splitlines() if " " in line)
        assert done.returncode == 0, done.stderr
        assert lines["nvidia"].removeprefix("driver").strip() == words
        assert ("; the CPU is used" in done.stdout) == (answer == WORKS)
