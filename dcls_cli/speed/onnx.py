"""The speed of the released networks on ONNX Runtime, which needs no PyTorch."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from dcls_cli import graphs
from dcls_cli.backends import Backend
from dcls_cli.backends.loading import load_backend
from dcls_cli.models.releases import RELEASES, Release, location


@dataclass(frozen=True)
class ReleaseSpeed:
    """A released network on ONNX Runtime.

    Attributes:
        model: name of the release.
        device: what it ran on.
        precision: of the convolutions.
        side_px: of the square LR image, whose blur is estimated and which is restored at once.
        us_per_px: time for an LR pixel of it.
        tile_px: of the square tile, which is restored with a known blur.
        tile_us_per_px: time for an LR pixel of it.
    """

    model: str
    device: str
    precision: str
    side_px: int
    us_per_px: float
    tile_px: int
    tile_us_per_px: float


def releases_of(preset: str, scale: int) -> list[Release]:
    """The released networks of a preset and a scale whose graphs are here."""
    of_them = [item for item in RELEASES if (item.preset, item.scale) == (preset, scale)]
    return [item for item in of_them if _restorer(item, "fp32")]


def measure_release(
    item: Release, device: str, *, side_px: int, tile_px: int, seconds: float, threads: int
) -> list[ReleaseSpeed]:
    """Measure a release in each precision that its graphs have; of several runs the fastest counts.

    Args:
        item: the release.
        device: that computes.
        side_px: of the square LR image.
        tile_px: of the square tile.
        seconds: for each image and tile, about.
        threads: of the processor.

    Raises:
        BackendError: the device is not usable here.
        OutOfMemoryError: memory ran out.
    """
    speeds = []
    for precision in ("fp32", "int8"):
        if _restorer(item, precision):
            with _threads(threads):
                backend = load_backend(location(item), device, precision, "onnx")
            speeds.append(_measured(item.name, backend, side_px, tile_px, seconds))
    return speeds


def _measured(
    model: str, backend: Backend, side_px: int, tile_px: int, seconds: float
) -> ReleaseSpeed:
    chance = np.random.default_rng(0)
    image = chance.random((3, side_px, side_px), np.float32)
    tile = chance.random((1, 3, tile_px, tile_px), np.float32)
    blur = backend.estimate(image)
    image_s = _fastest(lambda: backend.restore(image[None], backend.estimate(image)), seconds)
    tile_s = _fastest(lambda: backend.restore(tile, blur), seconds)
    return ReleaseSpeed(
        model=model,
        device=backend.device,
        precision=backend.precision,
        side_px=side_px,
        us_per_px=image_s / side_px**2 * 1e6,
        tile_px=tile_px,
        tile_us_per_px=tile_s / tile_px**2 * 1e6,
    )


def _restorer(item: Release, precision: str) -> bool:
    whole = location(item).with_suffix(graphs.SUFFIX)
    return graphs.main_part_paths(whole, precision)[1].is_file()


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Sessions that are opened inside the block compute in so many threads."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(number)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _fastest(run: Callable[[], object], seconds: float) -> float:
    """The least time of a run, after a first one."""
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best
