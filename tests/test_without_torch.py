"""The base installation has no PyTorch: what works, and how the rest is refused."""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pace import importing_s, processor_s

ROOT = Path(__file__).resolve().parent.parent

CODE = "import sys; from dcls_cli.cli.app import main; sys.argv = ['dcls', *sys.argv[1:]]; main()"

#: Of a start on a small photo: processor time, which other programs on the machine do not change.
COLD_START_S = 1.5


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All packages that are installed here, but for PyTorch: links to them in a folder."""
    folder = tmp_path_factory.mktemp("site")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("torch", "functorch", "onnxscript", "_", "dcls")):
            (folder / entry.name).symlink_to(entry)
    return folder


def dcls(packages: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program without the packages of this environment, but for those in a folder."""
    command = [sys.executable, "-S", "-c", CODE, *map(str, arguments)]
    environment = {"PYTHONPATH": f"{packages}:{ROOT}", "OMP_NUM_THREADS": "1", "PATH": "/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    Image.open(ROOT / "examples" / "dog.png").crop((0, 0, 64, 64)).save(path)
    return path


def test_a_photo_is_restored_and_soon(packages: Path, small: Path, tmp_path: Path) -> None:
    made: list[subprocess.CompletedProcess[str]] = []
    spent = processor_s(
        lambda: made.append(dcls(packages, "upscale", small, "-o", tmp_path / "out.png"))
    )
    (done,) = made
    assert done.returncode == 0, done.stderr
    assert re.search(r"cpu \(ONNX Runtime\) (int8|fp32)", done.stdout)
    with Image.open(tmp_path / "out.png") as image:
        assert np.asarray(image).shape == (256, 256, 3)
    libraries = importing_s("numpy, onnxruntime, PIL.Image, imagecodecs, rich.progress, typer")
    assert spent < max(COLD_START_S, 2.5 * libraries)


def test_the_doctor_does_not_call_it_ill(packages: Path) -> None:
    done = dcls(packages, "doctor")
    assert done.returncode == 0, done.stderr
    assert f"not installed (optional): pip install '{ROOT}[torch]'" in done.stdout
    assert re.search(r"engine onnx +cpu \(ONNX Runtime\) fp32, a tile in \d+ ms", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["upscale", "{}", "-s", "2"], "without PyTorch its graphs are needed"),
        (["upscale", "{}", "--backend", "torch"], "--backend torch needs PyTorch"),
        (["upscale", "{}", "--report", "{}.html"], "--report needs PyTorch"),
        (["export-onnx", "-o", "{}.onnx"], "needs PyTorch"),
        (["train", "--scale", "4", "--hr", "{}/..", "--out", "{}.run"], "needs PyTorch"),
    ],
)
def test_what_needs_pytorch_says_so(
    packages: Path, small: Path, arguments: list[str], words: str
) -> None:
    done = dcls(packages, *(text.format(small) for text in arguments))
    assert done.returncode == 5, done.stderr
    (line,) = done.stderr.splitlines()
    assert words in line
    assert f"pip install '{ROOT}[torch]'" in line
    assert [path.name for path in small.parent.iterdir()] == ["small.png"]
