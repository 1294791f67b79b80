"""Where memory runs out, tiles become smaller and the picture stays the same."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.backends import Memory
from dcls_cli.backends.pytorch import PyTorchBackend
from dcls_cli.config import ModelConfig
from dcls_cli.errors import OutOfMemoryError
from dcls_cli.image import Photo
from dcls_cli.image.photo import collect
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS, Blur
from dcls_cli.upscaling import upscale
from dcls_cli.upscaling.sizes import MINIMUM_TILE_PX, choose_tile, halved

ROOT = Path(__file__).resolve().parents[2]
BYTES = np.dtype(np.uint8)


class SmallCard(DCLS):
    """A network on a device that has no room for images of more than so many pixels."""

    room = 0
    runs: list[tuple[int, ...]]

    def restore(self, lr: torch.Tensor, blur: Blur) -> torch.Tensor:
        self.runs.append(tuple(lr.shape))
        if self.room and lr.shape[0] * lr.shape[2] * lr.shape[3] > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().restore(lr, blur)


def engine(config: ModelConfig, room: int) -> tuple[PyTorchBackend, SmallCard]:
    torch.manual_seed(0)
    network = SmallCard(config)
    network.room, network.runs = room, []
    return PyTorchBackend(network, "cpu", "fp32"), network


def photo(height: int = 200, width: int = 170, *, alpha: bool = False) -> Photo:
    picture = Image.open(ROOT / "examples/dog.png").convert("RGBA" if alpha else "RGB")
    samples = np.tile(np.asarray(picture), (3, 3, 1))[:height, :width]
    assert samples.shape[:2] == (height, width)
    return Photo.from_samples(samples, 255, 8)


TINY = {"features": 16, "groups": 1, "blocks": 1, "latent": 8, "estimator_features": 16}
LIGHT = ModelConfig.light(2, **TINY, estimator_blocks=1)
PAPER = ModelConfig.paper(2, **TINY, kernel_size=11, kernel_channels=4)


@pytest.mark.parametrize("config", [LIGHT, PAPER], ids=["light", "paper"])
@pytest.mark.parametrize("tile", [0, 128])
def test_memory_that_runs_out_halves_the_tiles_and_keeps_the_pixels(
    config: ModelConfig, tile: int
) -> None:
    said: list[str] = []
    backend, network = engine(config, room=90 * 90)
    tiled = upscale(photo(), backend, tile=tile, warn=said.append)
    said.clear()  # these weights are random, and so is the blur
    network.runs.clear()
    got = collect(tiled, BYTES)
    assert len(said) == 1
    assert said[0].startswith("memory ran out; went on with tiles of ")
    sizes = [max(shape[2:]) for shape in network.runs]
    first = sizes.index(min(sizes))
    assert max(sizes[first:]) <= 90  # what did not fit is not tried again
    expected = collect(upscale(photo(), engine(config, 0)[0], tile=tile), BYTES)
    assert np.abs(got.astype(int) - expected.astype(int)).max() <= 1
    assert np.mean(got != expected) < 0.05  # what a random network makes contradicts its input


def test_finished_tiles_are_kept() -> None:
    backend, network = engine(LIGHT, 0)
    source = photo(300, 380)
    upscaled = upscale(source, backend, tile=128)
    assert (len(upscaled.tiles), upscaled.batch) == (12, 4)
    network.runs.clear()

    def shrink(done: int, _: int) -> None:
        if done == 1:
            network.room = 90 * 90

    rows = upscale(source, backend, tile=128, progress=shrink)
    got = collect(rows, BYTES)
    whole = [shape[0] for shape in network.runs if max(shape[2:]) == 128]
    # The first batch, at most those in work or waiting already, and what failed.
    assert whole[0] == 4
    assert whole.count(4) <= 3
    assert sum(shape[0] for shape in network.runs[1:] if max(shape[2:]) < 128) >= 4 * 4
    assert np.abs(got.astype(int) - collect(upscaled, BYTES).astype(int)).max() <= 1


def test_first_fewer_tiles_at_a_time_then_smaller_ones() -> None:
    said: list[str] = []
    backend, network = engine(LIGHT, room=3 * 64 * 64)
    whole = upscale(photo(), backend, tile=64, warn=said.append)
    assert whole.batch == 15
    said.clear()
    network.runs.clear()
    got = collect(whole, BYTES)
    # 15, which fail, become 7, which fail, and those 3.
    sizes = [shape[0] for shape in network.runs]
    assert sizes[:3] == [15, 7, 3]
    assert max(sizes[3:]) <= 3
    assert sum(sizes[2:]) == 30
    assert said == ["memory ran out; went on with 3 tiles at a time"]
    assert np.array_equal(got, collect(upscale(photo(), engine(LIGHT, 0)[0], tile=64), BYTES))
    said.clear()
    backend, network = engine(LIGHT, room=90 * 90)
    assert upscale(photo(), backend, tile=128).batch == 4
    tiled = upscale(photo(), backend, tile=128, warn=said.append)
    said.clear()
    got = collect(tiled, BYTES)
    tried = [shape[0] for shape in network.runs if shape[2] == 128]
    assert tried[-3:] == [4, 2, 1]
    assert said == ["memory ran out; went on with tiles of 80 pixels"]


def test_no_room_for_the_smallest_tile_is_an_error_with_numbers() -> None:
    backend, _ = engine(LIGHT, room=10 * 10)
    before = set(threading.enumerate())
    with pytest.raises(OutOfMemoryError, match=r"tiles of \d+ pixels.* MB, and \d+ MB are free"):
        collect(upscale(photo(alpha=True), backend), BYTES)
    assert set(threading.enumerate()) <= before  # no thread is left


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
from dcls_cli.backends.pytorch import PyTorchBackend
from dcls_cli.image import read, write
from dcls_cli.upscaling import upscale

backend = PyTorchBackend.load(Path(sys.argv[1]), "cpu", "fp32")
photo = read(Path(sys.argv[2]))
backend.restore(np.zeros((1, 3, 64, 64), np.float32), backend.estimate(photo.colour))
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[4]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    write(upscale(photo, backend, tile=0, warn=print), Path(sys.argv[3]), overwrite=False)
except Exception as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
@pytest.mark.parametrize(("megabytes", "codes"), [(220, (0, 4)), (40, (4,)), (10, (4,))])
def test_a_real_limit_of_memory(megabytes: int, codes: tuple[int, ...], tmp_path: Path) -> None:
    """No library is brought to where it dies: oneDNN does without its smallest pieces of memory.

    Where smaller tiles fit, how much room is left for the encoder's threads is up to the allocator.
    """
    source, output = tmp_path / "photo.png", tmp_path / "out.png"
    picture = Image.open(ROOT / "examples/dog.png").convert("RGB")
    tiled = np.tile(np.asarray(picture), (2, 3, 1))[:240, :320]
    Image.fromarray(tiled).save(source)
    model = ROOT / "weights/dcls-light-x4.safetensors"
    command = [sys.executable, "-c", LIMITED, str(model), str(source), str(output), str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in codes, done.stderr
    if done.returncode:
        reason = r"\d+ MB are free" if codes == (4,) else "(MB are free|while encoding)"
        assert re.search(f"OutOfMemoryError out of memory .*{reason}", done.stdout)
        assert list(tmp_path.iterdir()) == [source]
        return
    assert "memory ran out; went on with tiles of" in done.stdout
    backend = PyTorchBackend(weights.load(model), "cpu", "fp32")
    expected = collect(upscale(Photo.from_samples(tiled, 255, 8), backend, tile=0), BYTES)
    got = np.asarray(Image.open(output)).astype(int)
    assert np.abs(got - expected).max() <= 1


def test_tiles_are_as_large_as_half_of_the_memory_allows() -> None:
    def chosen(free: int, height: int = 4000, planes: int = 1) -> int:
        memory = Memory(free, 2500)
        return choose_tile(height, 6000, memory, planes=planes, lanes=1, padding=21)

    assert chosen(2**34) == 278
    assert chosen(2**34, height=40) == 0
    assert chosen(2 * 2500 * 200**2) == 198  # 240 is a fast length, 241 and 242 are not
    assert chosen(2 * 2500 * 200**2, planes=2) == 138
    assert chosen(0) == MINIMUM_TILE_PX


def test_long_strips_are_tiled_where_the_engine_asks_for_it() -> None:
    def chosen(width: int, longest: int | None) -> int:
        return choose_tile(9, width, Memory(2**34, 2500, longest), planes=1, lanes=1, padding=21)

    assert [chosen(1024, 1024), chosen(1025, 1024), chosen(1025, None)] == [0, 278, 0]


@pytest.mark.parametrize("side", [64, 65, 278, 512])
def test_four_halves_cover_a_tile_with_their_overlap(side: int) -> None:
    assert 2 * halved(side, 32) - 32 - side in (0, 1)
