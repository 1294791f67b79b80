"""What photos would take: sizes, memory, disk, time. Nothing is written."""

import math
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcls_cli.errors import ImageError, UsageError
from dcls_cli.files import temporaries
from dcls_cli.files.addresses import Address, Location, local
from dcls_cli.files.atomic import printable
from dcls_cli.files.remote import fetch
from dcls_cli.jobs.events import Failed, Task
from dcls_cli.jobs.existing_outputs import is_turned, measure
from dcls_cli.jobs.output_folders import nearest
from dcls_cli.jobs.streams import stdout_path
from dcls_cli.jobs.worker import Loaded, Worker
from dcls_cli.machine import peak_bytes

if TYPE_CHECKING:
    from dcls_cli.backends import Backend
    from dcls_cli.image import Photo
    from dcls_cli.jobs.events import Emit
    from dcls_cli.jobs.request import Request
    from dcls_cli.tiling import Tile
    from dcls_cli.upscaling.planning import KernelMode

#: Side of the piece of which the time is taken, LR pixels.
_SAMPLE_PX = 128

#: Side of the corner whose blur is found to see what memory that takes: large enough for as many
#: windows as there are in any photo.
_CORNER_PX = 768

_FLOAT_BYTES = 4

#: Times that are taken of it.
_SAMPLES = 3

#: Bands of finished rows that exist at a time: one is encoded, one is made.
_BANDS = 2

#: What most photos are made of; of a batch only the largest one is opened.
_CHANNELS, _DEPTH = 3, 8


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What restoring a photo would take.

    Attributes:
        input: the photo.
        output: its file.
        input_width, input_height, width, height: pixels of both.
        model, device, precision: what would restore it.
        tiles: pieces, and tile_px: pixels of the longer side of each.
        memory_bytes: of the device, about; on a CPU with the program and its network.
        free_memory_bytes: of the device, now.
        disk_bytes: of the output, about.
        seconds: of restoring, about: one piece was timed.
    """

    input: Location
    output: Location
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


@dataclass(frozen=True, kw_only=True)
class BatchForecast:
    """What a batch would take.

    Attributes:
        input_pixels, output_pixels: of all photos that would be restored.
        renamed: photos that get their suffix into the names of their outputs.
        disk_bytes: of the outputs, about; free_disk_bytes: now; None in an object store.
        memory_bytes: about, as of a photo; free_memory_bytes: now.
        seconds: about: a piece of the largest photo was timed.
        device, precision: of the first engine; engines: how many.
    """

    input_pixels: int
    output_pixels: int
    renamed: int
    disk_bytes: int
    free_disk_bytes: int | None
    memory_bytes: int
    free_memory_bytes: int
    seconds: float
    device: str
    precision: str
    engines: int


@dataclass(frozen=True)
class Sized:
    """A photo and the size that its output gets; its orientation may turn both."""

    task: Task
    input_pixels: int
    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Of the output."""
        return self.width * self.height


def forecast(task: Task, worker: Worker) -> Forecast:
    """Check everything that restoring a photo checks, and say what it would take.

    Raises:
        DclsError: the photo could not be restored.
    """
    loaded = worker.load(task)
    return _of_loaded(loaded, worker.networks.load(loaded.network), worker)


def forecast_batch(
    tasks: Iterable[Task], out: Location, workers: Sequence[Worker], emit: "Emit", *, threads: int
) -> tuple[list[Sized], BatchForecast | None]:
    """Say what would be done with each photo, and what all would take.

    Of a photo nothing but its header is read, except of the largest one. What is wrong with the
    rest of the others shows when they are restored.

    Args:
        tasks: the photos.
        out: folder or prefix of the outputs.
        workers: one for each device.
        emit: is given the photos that are known to fail.
        threads: photos in work at a time for each device.

    Returns:
        The photos that would be restored, and the sum; None without any.

    Raises:
        DclsError: the network cannot be loaded.
    """
    worker = workers[0]
    sized = []
    for task in tasks:
        try:
            sized.append(_sized(task, worker))
        except (ImageError, UsageError) as error:
            emit(_failed(task, error))
    for largest in sorted(sized, key=lambda each: each.input_pixels, reverse=True):
        try:
            of_largest = _of_largest(largest.task, worker)
        except (ImageError, UsageError) as error:
            emit(_failed(largest.task, error))
            sized.remove(largest)
        else:
            engines = len(workers)
            total = _sum(sized, of_largest, out, worker.request, engines=engines, threads=threads)
            return sized, total
    return sized, None


def _of_loaded(loaded: Loaded, backend: "Backend", worker: Worker) -> Forecast:
    """Plan the pieces of a photo and time one."""
    from dcls_cli.image.writing import expected_bytes, waiting_bytes
    from dcls_cli.upscaling import batch_of, tiles_of
    from dcls_cli.upscaling.restoring import WAITING

    photo, scale, request = loaded.photo, backend.config.scale, worker.request
    local = request.kernel_mode == "tile"
    tiles = tiles_of(photo, backend, tile=request.tile, kernel_mode=request.kernel_mode)
    tall, wide = tiles[0].size
    planes = 2 if photo.has_alpha else 1
    memory = backend.memory()
    width, height = worker.size.of(photo.width, photo.height)
    to_stdout = loaded.task.to_stdout
    target = stdout_path(photo, request.encoding) if to_stdout else loaded.task.output
    form = request.encoding.of(target)
    depth = request.encoding.depth(form, photo.bit_depth)
    samples = width * height * photo.channels
    batch = 1 if local else batch_of(photo, backend, tiles)
    at_once = min(batch * backend.lanes, len(tiles))
    on_cpu = backend.device.startswith("cpu")
    of_tile = tall * wide * memory.bytes_per_px * planes
    if on_cpu and _restored_a_tile(photo, backend, (tall, wide), request.kernel_mode):
        # With the program, the network, the photo and one tile at a time.
        held, restoring = peak_bytes(), of_tile * (at_once - 1)
    else:
        held, restoring = photo.samples.nbytes, of_tile * at_once
    finished = min(len(tiles) - 1, backend.lanes + WAITING) * tall * wide * _FLOAT_BYTES
    stitched = _BANDS * photo.width * tall * (_FLOAT_BYTES + depth // 8)
    results = scale**2 * photo.channels * (finished + stitched)
    return Forecast(
        input=loaded.task.source,
        output=loaded.task.output,
        input_width=photo.width,
        input_height=photo.height,
        width=width,
        height=height,
        model=loaded.network.name,
        device=backend.device,
        precision=backend.precision,
        tiles=len(tiles),
        tile_px=max(tall, wide),
        memory_bytes=held + restoring + results,
        free_memory_bytes=memory.free_bytes,
        disk_bytes=expected_bytes(form, samples, depth) + waiting_bytes(form, samples, depth),
        seconds=_seconds(loaded, backend, tiles, planes, local=local, tta=request.tta),
    )


def _restored_a_tile(
    photo: "Photo", backend: "Backend", size: tuple[int, int], kernel_mode: "KernelMode"
) -> bool:
    """Find the blur of a photo's corner and restore a tile, so that the memory was once taken.

    Estimates of it leave out what engines keep for themselves.

    Returns:
        Whether the system counts memory, so that this is of use.
    """
    from dcls_cli.image.photo import collect, dtype_of
    from dcls_cli.upscaling import upscale

    if not peak_bytes():
        return False
    corner = replace(photo, samples=photo.samples[:_CORNER_PX, :_CORNER_PX])
    upscale(corner, backend, kernel_mode=kernel_mode)
    tall, wide = size
    tile = upscale(replace(photo, samples=photo.samples[:tall, :wide]), backend)
    collect(tile, dtype_of(photo.bit_depth))
    return True


def _seconds(
    loaded: Loaded,
    backend: "Backend",
    tiles: "list[Tile]",
    planes: int,
    *,
    local: bool,
    tta: bool,
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
    restored_px = in_tiles * (planes + 7 * tta)
    estimated_px += 8 * loaded.photo.width * loaded.photo.height * tta
    work = estimate_s * estimated_px + restore_s * restored_px
    return float(work / (height * width))


def _sized(task: Task, worker: Worker) -> Sized:
    """Check the header of a photo and what it becomes.

    Raises:
        ImageError: the photo is too large or cannot be read.
        UsageError: the format of the output cannot hold it.
    """
    from dcls_cli.image import check_encoding, read
    from dcls_cli.image.reading import check_size

    request = worker.request
    stored = measure(task.source) if isinstance(task.source, Address) else task.size
    if stored is None and isinstance(task.source, Address):
        raise ImageError(f"{printable(task.source)}: not an image of a supported format")
    if stored is None:  # reading it says why, or gives the size
        photo = read(local(task.source), max_pixels=request.max_pixels)
        size = photo.width, photo.height
    else:
        size = stored[::-1] if is_turned(task.source) else stored
        check_size(size, request.max_pixels)
    width, height = worker.size.of(*size)
    check_encoding(task.output, width, height, alpha=False, encoding=request.encoding)
    return Sized(task, size[0] * size[1], width, height)


def _failed(task: Task, error: ImageError | UsageError) -> Failed:
    """Why a photo would have no output, with the name of a file."""
    text = str(error)
    names = tuple(f"{printable(path)}: " for path in (task.source, task.output))
    named = error if text.startswith(names) else ImageError(f"{names[0]}{text}")
    return Failed(task.source, named, task)


def _of_largest(task: Task, worker: Worker) -> Forecast:
    """The forecast of a photo whose folder may not exist yet; an object is fetched for it.

    Raises:
        ImageError: it cannot be read.
        UsageError: the format of the output cannot hold it.
        DclsError: its store cannot be asked.
    """
    if isinstance(task.source, Address):
        with temporaries.folder() as folder:
            path = folder / "photo"
            fetch(task.source, path)
            return _of_largest(replace(task, source=path), worker)
    from dcls_cli.image import check_encoding, read

    request = worker.request
    photo = read(local(task.source), max_pixels=request.max_pixels, kept=request.metadata)
    width, height = worker.size.of(photo.width, photo.height)
    encoding = request.encoding
    check_encoding(task.output, width, height, alpha=photo.has_alpha, encoding=encoding)
    network = worker.choose(photo)
    loaded = Loaded(task, photo, network, 0.0)
    return _of_loaded(loaded, worker.networks.load(network), worker)


def _sum(
    sized: Sequence[Sized],
    largest: Forecast,
    out: Location,
    request: "Request",
    *,
    engines: int,
    threads: int,
) -> BatchForecast:
    """Add up all photos; `largest` is the forecast of the largest of them."""
    from dcls_cli.image.writing import expected_bytes

    depth = request.encoding.bit_depth or _DEPTH
    inputs = sorted((each.input_pixels for each in sized), reverse=True)
    waiting = _CHANNELS * sum(inputs[1 : engines * threads])
    return BatchForecast(
        input_pixels=sum(inputs),
        output_pixels=sum(each.pixels for each in sized),
        renamed=sum(each.task.renamed for each in sized),
        disk_bytes=sum(
            expected_bytes(request.encoding.of(each.task.output), _CHANNELS * each.pixels, depth)
            for each in sized
        ),
        free_disk_bytes=None if isinstance(out, Address) else shutil.disk_usage(nearest(out)).free,
        memory_bytes=largest.memory_bytes * engines + waiting,
        free_memory_bytes=largest.free_memory_bytes,
        seconds=largest.seconds * sum(inputs) / inputs[0] / engines,
        device=largest.device,
        precision=largest.precision,
        engines=engines,
    )
