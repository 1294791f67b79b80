"""Installations from nothing, with every Python here, as README and the guide write them; slow."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

pytestmark = pytest.mark.slow


def interpreter(version: str) -> str:
    """Path of a Python, on PATH or among those of pyenv, that can make environments."""
    on_path = shutil.which(f"python{version}")
    of_pyenv = sorted(map(str, Path.home().glob(f".pyenv/versions/{version}*/bin/python")))
    for path in [*of_pyenv, *([] if on_path is None else [on_path])]:
        works = subprocess.run([path, "-c", "import ensurepip"], capture_output=True, check=False)
        if works.returncode == 0:  # a shim of pyenv may stand for nothing
            return path
    pytest.skip(f"no Python {version} here")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def sh(script: str, folder: Path) -> str:
    """Run lines in an environment in which only its own packages exist; stop at the first fault."""
    bare = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=bare, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("version", PYTHONS)
def test_every_python_restores_the_same_picture(version: str, wheel: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "dog.png", tmp_path)
    python = interpreter(version)
    shown = sh(
        f"{python} -m venv env\n"
        f"env/bin/pip install -q -c {ROOT}/constraints.txt {wheel}\n"
        "env/bin/dcls dog.png -q\n"
        "env/bin/pip check\n"
        "env/bin/dcls doctor\n",
        tmp_path,
    )
    assert "No broken requirements found" in shown
    assert "torch                         not installed" in shown
    shutil.copy(ROOT / "examples" / "dog.png", tmp_path / "here.png")
    dcls = Path(sys.executable).parent / "dcls"
    sh(f"{dcls} upscale here.png --backend onnx -q", tmp_path)
    assert (tmp_path / "dog_x4.png").read_bytes() == (tmp_path / "here_x4.png").read_bytes()


def test_the_small_wheel_as_the_guide_writes_it(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "guide-administrator.md").read_text(encoding="utf-8")
    (block,) = re.findall(
        r"```sh\n(pip install -c constraints\.txt onnxruntime .+?)```", page, re.S
    )
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", ROOT, checkout], check=True)
    script = (
        f"{sys.executable} -m venv env\n. env/bin/activate\n{block}\ndcls examples/dog.png -q\n"
    )
    shown = sh(script + "pip list\n", checkout)
    assert re.search(r"^onnxruntime +\d", shown, re.MULTILINE)
    assert "onnxruntime-gpu" not in shown
    assert (checkout / "examples" / "dog_x4.png").is_file()
