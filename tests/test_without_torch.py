"""The base installation has no PyTorch: what works, and how the rest is refused."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli.metrics import psnr
from dcls_cli.models.releases import RELEASES, location, release
from dcls_cli.models.weights import read
from dcls_cli.upscaler import Upscaler
from tests.pace import importing_s, processor_s

ROOT = Path(__file__).resolve().parent.parent

CODE = "import sys; from dcls_cli.cli.app import main; sys.argv = ['dcls', *sys.argv[1:]]; main()"

#: How many times the processor time of importing the libraries a start on a small photo may take:
#: 4 to 6 were measured. A limit in seconds failed on processors without AVX-512.
COLD_START = 10


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All packages that are installed here, but for PyTorch: links to them in a folder."""
    folder = tmp_path_factory.mktemp("site")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("torch", "functorch", "onnxscript", "_", "dcls")):
            (folder / entry.name).symlink_to(entry)
    return folder


def dcls(
    packages: Path, *arguments: object, folder: Path = Path("/")
) -> subprocess.CompletedProcess[str]:
    """Run the program without the packages of this environment, but for those in a folder.

    Elsewhere than in the checkout, whose hints are shorter.
    """
    command = [sys.executable, "-S", "-c", CODE, *map(str, arguments)]
    environment = {"PYTHONPATH": f"{packages}:{ROOT}", "OMP_NUM_THREADS": "1", "PATH": "/bin"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    Image.open(ROOT / "examples" / "dog.png").crop((0, 0, 64, 64)).save(path)
    return path


def test_a_photo_is_restored_and_soon(packages: Path, small: Path, tmp_path: Path) -> None:
    made: list[subprocess.CompletedProcess[str]] = []
    command = ("upscale", small, "-v", "--overwrite", "-o", tmp_path / "out.png")
    spent = processor_s(lambda: made.append(dcls(packages, *command)), 3)
    done = made[-1]
    assert done.returncode == 0, done.stderr
    assert re.search(r"cpu \(ONNX Runtime\) (int8|fp32)", done.stdout)
    with Image.open(tmp_path / "out.png") as image:
        assert np.asarray(image).shape == (256, 256, 3)
    libraries = importing_s("numpy, onnxruntime, PIL.Image, imagecodecs, rich.progress, typer", 3)
    assert spent < COLD_START * libraries


@pytest.mark.parametrize("scale", [2, 3])
def test_other_scales_are_restored_as_by_pytorch(
    scale: int, packages: Path, small: Path, tmp_path: Path
) -> None:
    upscaler = Upscaler.from_pretrained(release(scale).name, device="cpu", precision="fp32")
    expected = upscaler.up(np.asarray(Image.open(small))).image.astype(float)
    for precision, least_db in (("fp32", 60.0), ("int8", 45.0)):
        out = tmp_path / f"{precision}.png"
        options = [
            "-s",
            scale,
            "-m",
            release(scale).name,
            "--precision",
            precision,
            "-v",
            "-o",
            out,
        ]
        done = dcls(packages, "upscale", small, *options)
        assert done.returncode == 0, done.stderr
        assert f"cpu (ONNX Runtime) {precision}" in done.stdout
        with Image.open(out) as image:
            got = np.asarray(image).astype(float)
        assert got.shape == (64 * scale, 64 * scale, 3)
        assert psnr(got, expected, peak=255.0) > least_db
        if precision == "fp32":
            assert np.abs(got - expected).max() <= 1  # roundings of samples that differ by 1e-4


def test_weights_are_shown_and_checked(packages: Path, tmp_path: Path) -> None:
    path = location(RELEASES[0])
    done = dcls(packages, "weights", "show", path, "--json")
    assert done.returncode == 0, done.stderr
    config, state = read(path)
    event = json.loads(done.stdout)
    assert event["parameters"] == sum(tensor.numel() for tensor in state.values())
    assert event["config"]["scale"] == config.scale
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(path.read_bytes()[:-1] + b"\xff")
    done = dcls(packages, "weights", "show", damaged)
    assert done.returncode == 3
    assert "damaged: its content does not match its own SHA-256" in done.stderr


def test_models_are_listed_and_described(packages: Path) -> None:
    done = dcls(packages, "models", "info", "dcls-light-x3", "--json")
    assert done.returncode == 0, done.stderr
    event = json.loads(done.stdout)
    assert (event["name"], event["scale"], event["state"]) == ("dcls-light-x3", 3, "included")


def test_the_engine_that_is_there_is_measured(packages: Path) -> None:
    sizes = ["--side", "24", "--tile", "16", "--seconds", "0.1"]
    done = dcls(packages, "bench", "-s", "3", *sizes, "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "training needs PyTorch" in line
    events = [json.loads(text) for text in done.stdout.splitlines()]
    assert [event["precision"] for event in events] == ["fp32", "int8"]
    for event in events:
        assert (event["event"], event["model"]) == ("released", "dcls-light-x3")
        assert (event["side_px"], event["tile_px"]) == (24, 16)
        assert min(event["us_per_px"], event["tile_us_per_px"]) > 0
    done = dcls(packages, "bench", *sizes)
    assert "dcls-light-x4, int8: " in done.stdout
    done = dcls(packages, "bench", "--preset", "paper-iso", *sizes)
    assert done.returncode == 5
    assert "--preset paper-iso -s 4, which has no released network, needs PyTorch" in done.stderr


def test_what_two_wheels_have_left_is_told(packages: Path, small: Path, tmp_path: Path) -> None:
    """Of two wheels one was uninstalled, and with it the files that both have."""
    site = tmp_path / "site"
    site.mkdir()
    for entry in packages.iterdir():
        if entry.name != "onnxruntime":
            (site / entry.name).symlink_to(entry.resolve())
    (site / "onnxruntime" / "capi").mkdir(parents=True)
    for arguments in (["doctor"], ["upscale", small, "-o", tmp_path / "out.png"]):
        done = dcls(site, *arguments)
        assert done.returncode == 5, done.stderr
        told = done.stdout + done.stderr
        assert "ONNX Runtime is incomplete, as after one of two wheels was uninstalled" in told
        assert "pip uninstall -y onnxruntime" in told


def test_weights_without_graphs_need_pytorch(packages: Path, small: Path, tmp_path: Path) -> None:
    alone = tmp_path / "mine.safetensors"
    alone.write_bytes(location(RELEASES[0]).read_bytes())
    done = dcls(packages, "upscale", small, "-w", alone, "-o", tmp_path / "out.png")
    assert done.returncode == 5
    (line,) = done.stderr.splitlines()
    assert "without PyTorch its graphs are needed" in line
    assert f"pip install '{ROOT}[torch]'" in line


def test_the_doctor_does_not_call_it_ill(packages: Path) -> None:
    done = dcls(packages, "doctor")
    assert done.returncode == 0, done.stderr
    assert f"not installed (optional): pip install '{ROOT}[torch]'" in done.stdout
    assert re.search(r"engine onnx +cpu \(ONNX Runtime\) fp32, a tile in \d+ ms", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
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
