"""`dcls upscale --dry-run`: what would be done, and what it would take."""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.cli import console
from dcls_cli.cli.restoring import Loaded, Settings, load

if TYPE_CHECKING:
    from dcls_cli.backends import Backend
    from dcls_cli.cli.networks import Networks
    from dcls_cli.cli.outputs import Job
    from dcls_cli.tiling import Tile

#: Side of the piece of which the time is taken, LR pixels.
_SAMPLE_PX = 128

#: Times that are taken of it.
_SAMPLES = 3

#: Bands of finished rows that exist at a time: one is encoded, one is made.
_BANDS = 2


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What restoring a photo would take.

    Attributes:
        input: the photo.
        output: its file.
        input_width, input_height, width, height: pixels of both.
        model, device, precision: what would restore it.
        tiles: pieces, and tile_px: pixels of the longer side of each.
        memory_bytes: beside the program and its network, about.
        free_memory_bytes: of the device, now.
        disk_bytes: of the output, about.
        seconds: of restoring, about: one piece was timed.
    """

    input: Path
    output: Path
    input_width: int
    input_height: int
    width: int
    height: int
    model: str
    device: str
    precision: str
    tiles: int
    tile_px: int
    memory_bytes: int
    free_memory_bytes: int
    disk_bytes: int
    seconds: float


def print_forecast(job: "Job", networks: "Networks", settings: Settings, *, json: bool) -> int:
    """Check everything that `upscale` checks, and print the forecast of one photo; 0 are done.

    Raises:
        DclsError: the photo could not be restored.
    """
    loaded = load(job, networks, settings)
    found = forecast(loaded, networks.load(loaded.network), settings)
    if json:
        console.event("forecast", **asdict(found))
        return 0
    console.say(
        f"{found.output}  {found.input_width}x{found.input_height} -> "
        f"{found.width}x{found.height}  {found.model}  {found.device} {found.precision}  "
        f"{found.tiles} tile{'s' * (found.tiles > 1)} of {found.tile_px} px  "
        f"memory {megabytes(found.memory_bytes)} of {megabytes(found.free_memory_bytes)} free  "
        f"disk {megabytes(found.disk_bytes)}  about {time_of(found.seconds)}"
    )
    return 0


def forecast(loaded: Loaded, backend: "Backend", settings: Settings) -> Forecast:
    """Plan the pieces of a photo and time one."""
    from dcls_cli.cli.piping import stdout_path
    from dcls_cli.image.writing import expected_bytes, waiting_bytes
    from dcls_cli.upscaling import batch_of, tiles_of

    photo, scale = loaded.photo, backend.config.scale
    tiles = tiles_of(photo, backend, tile=settings.tile, kernel_mode=settings.kernel_mode)
    tall, wide = tiles[0].size
    planes = 2 if photo.has_alpha else 1
    memory = backend.memory()
    width, height = settings.size.of(photo.width, photo.height)
    to_stdout = loaded.job.to_stdout
    target = stdout_path(photo, settings.encoding) if to_stdout else loaded.job.output
    form = settings.encoding.of(target)
    depth = settings.encoding.depth(form, photo.bit_depth)
    samples = width * height * photo.channels
    row_bytes = photo.width * scale * photo.channels * depth // 8
    batch = batch_of(photo, backend, tiles) if settings.kernel_mode == "global" else 1
    at_once = min(batch * backend.lanes, len(tiles))
    restoring = tall * wide * memory.bytes_per_px * planes * at_once
    return Forecast(
        input=loaded.job.source,
        output=loaded.job.output,
        input_width=photo.width,
        input_height=photo.height,
        width=width,
        height=height,
        model=loaded.network.name,
        device=backend.device,
        precision=backend.precision,
        tiles=len(tiles),
        tile_px=max(tall, wide),
        memory_bytes=photo.samples.nbytes + restoring + _BANDS * row_bytes * tall * scale,
        free_memory_bytes=memory.free_bytes,
        disk_bytes=expected_bytes(form, samples, depth) + waiting_bytes(form, samples, depth),
        seconds=_seconds(loaded, backend, tiles, planes, local=settings.kernel_mode == "tile"),
    )


def _seconds(
    loaded: Loaded, backend: "Backend", tiles: "list[Tile]", planes: int, *, local: bool
) -> float:
    """Time one small piece; count the pixels of all, of `local` estimates too.

    Of some times the least counts: the first one warms up, and others may disturb.
    """
    raster = loaded.photo.colour
    piece = raster[:, slice(0, _SAMPLE_PX), slice(0, _SAMPLE_PX)]
    estimate_s = restore_s = math.inf
    for _ in range(_SAMPLES):
        started = time.perf_counter()
        blur = backend.estimate(piece, tiled=len(tiles) > 1)
        estimated = time.perf_counter()
        backend.restore(piece[None], blur)
        estimate_s = min(estimate_s, estimated - started)
        restore_s = min(restore_s, time.perf_counter() - estimated)
    height, width = piece.shape[1:]
    in_tiles = sum(tile.size[0] * tile.size[1] for tile in tiles)
    estimated_px = loaded.photo.width * loaded.photo.height * planes + in_tiles * local
    work = estimate_s * estimated_px + restore_s * in_tiles * planes
    return float(work / (height * width))


def megabytes(count: int) -> str:
    """For people."""
    return f"{count / 1e6:.0f} MB" if count < 1e10 else f"{count / 1e9:.0f} GB"


def time_of(seconds: float) -> str:
    """For people, in the unit that fits."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
