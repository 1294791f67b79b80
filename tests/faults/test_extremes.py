"""Photos of extreme sizes: thin strips, more pixels than memory or disk, and a large real one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.machine import free_memory_bytes
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from tests.faults.programs import ENVIRONMENT, dcls, small_disk
from tests.faults.test_bad_images import chunk, png
from tests.posix import resource

Capture = pytest.CaptureFixture[str]

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and small disks")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def noise(name: str, width: int, height: int) -> str:
    samples = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(samples).save(name)
    return name


def restored(photo: str, size: tuple[int, int], *arguments: str) -> np.ndarray:
    assert run(["upscale", photo, "-o", "out.png", "--overwrite", "-d", "cpu", *arguments]) == 0
    with Image.open("out.png") as image:
        assert image.size == size
        return np.asarray(image, int)


@pytest.mark.parametrize("size", [(1, 20_000), (70_000, 1)])
def test_case_10_a_strip_is_the_same_in_tiles(size: tuple[int, int], x2: Path) -> None:
    photo = noise("strip.png", *size)
    large = (2 * size[0], 2 * size[1])
    arguments = ("-w", str(x2), "--precision", "fp32")
    whole = restored(photo, large, *arguments)
    tiled = restored(photo, large, *arguments, "--tile", "2000")
    # What a random network makes of noise contradicts it everywhere, and is mended everywhere.
    assert np.abs(whole - tiled).max() <= 2
    assert np.mean(np.abs(whole - tiled) > 1) < 1e-4


@pytest.mark.parametrize(
    "size", [(20_000, 1), pytest.param((1, 70_000), marks=pytest.mark.slow)], ids=str
)
def test_case_10_a_strip_is_the_same_on_the_other_engine(size: tuple[int, int]) -> None:
    """Its transforms are matrices: of a strip in one piece they would take all memory."""
    photo = noise("strip.png", *size)
    large = (4 * size[0], 4 * size[1])
    arguments = ("-m", "dcls-light-x4", "--precision", "fp32", "--tile")
    expected = restored(photo, large, *arguments, "278", "--backend", "torch")  # as auto chooses
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    got = restored(photo, large, *arguments, "auto", "--backend", "onnx")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # kB
    assert np.abs(got - expected).max() <= 1


def allow_4_gb() -> None:
    """Let the program have so many addresses."""
    resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))


@linux
def test_case_18_a_raised_limit_is_bounded_by_the_memory(x2: Path) -> None:
    Path("a.png").write_bytes(png(30_000, 20_000, chunk(b"IDAT", b"")))
    result = dcls("upscale", "a.png", "-w", x2, "--max-pixels", "1e9", preexec_fn=allow_4_gb)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "a.png: 30000x20000 pixels need about 9.0 GB of memory to be read, and " in line
    assert [path.name for path in Path().iterdir()] == ["a.png"]


@linux
def test_case_18_a_raised_limit_is_bounded_by_the_disk(
    x2: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A picture above the limit that can be read, and no room for what it becomes."""
    Image.new("L", (14_000, 13_000)).save("a.png", compress_level=1)
    with small_disk(tmp_path / "out", "8m") as out:
        for limit, said in (
            ("auto", "14000x13000 pixels (182 megapixels) are more than the limit of 179"),
            ("2e8", "takes about 262 MB and its disk has 8 MB left"),
        ):
            raised = [] if limit == "auto" else ["--max-pixels", limit]
            assert run(["upscale", "a.png", "-w", str(x2), "-o", f"{out}/", *raised]) == 1
            assert said in capsys.readouterr().err
            assert list(out.iterdir()) == []


#: Its own peak: that of getrusage is the peak of whoever started it, if that was larger.
MEASURED = """
import re, sys
from pathlib import Path
from dcls_cli.cli.app import run
code = run(sys.argv[1:])
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024)
sys.exit(code)
"""


def peak_bytes(*arguments: str) -> int:
    """Run `dcls` with 4 GB of addresses; how much memory it took at its peak."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        env=ENVIRONMENT,
        preexec_fn=allow_4_gb,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


@linux
@pytest.mark.slow
@pytest.mark.skipif(free_memory_bytes() < 4e9, reason="needs 4 GB of free memory")
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_case_19_a_large_photo_in_4_gb(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """24 megapixels become 384, in base + 60 bytes for each pixel of the photo, and by far."""
    torch.manual_seed(0)
    tiny = {"features": 16, "groups": 1, "blocks": 1, "latent": 8, "estimator_features": 16}
    weights.write(DCLS(ModelConfig.light(4, **tiny, estimator_blocks=1)), Path("x4.safetensors"))
    row, column = np.mgrid[:4000, :6000]
    planes = (row * 255 // 4000, column * 255 // 6000, (row + column) % 256)
    Image.fromarray(np.stack(planes, axis=2).astype(np.uint8)).save(f"a.{suffix}", quality=90)
    Image.new("RGB", (300, 300)).save(f"small.{suffix}")
    options = ("-w", "x4.safetensors", "-d", "cpu", "--tile", "256")
    base = peak_bytes("upscale", f"small.{suffix}", *options)
    peak = peak_bytes("upscale", f"a.{suffix}", *options)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with Image.open(f"a_x4.{suffix}") as image:
        assert image.size == (24_000, 16_000)
    bytes_a_pixel = (peak - base) / 24e6
    print(json.dumps({"base": base, "peak": peak, "bytes_a_pixel": bytes_a_pixel}))  # noqa: T201
    assert 0 < bytes_a_pixel < 60
