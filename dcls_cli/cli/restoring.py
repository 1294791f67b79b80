"""One photo, from its file to the output: the three stages that `upscale` and `batch` share."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dcls_cli.cli import console
from dcls_cli.cli.piping import stdout_path
from dcls_cli.cli.results import Result

if TYPE_CHECKING:
    import numpy as np

    from dcls_cli.backends import Backend
    from dcls_cli.cli.networks import Named, Networks
    from dcls_cli.cli.outputs import Job
    from dcls_cli.image import Encoding, Photo, Picture
    from dcls_cli.image.metadata import Kept
    from dcls_cli.image.resizing import OutputSize
    from dcls_cli.upscaling import KernelMode, Progress, Upscaled

#: Results with at most so many bytes of samples are held in memory; larger ones are restored while
#: they are written.
HELD_BYTES = 2**26


class Settings(NamedTuple):
    """What holds for every photo of one command line.

    Attributes:
        tile: see `upscaling.upscale`.
        kernel: the user's blur, made fit for the network.
        overwrite: whether existing outputs may be replaced.
        encoding: format, quality and depth of the outputs.
        max_pixels: of an input.
        metadata: what is kept of the photos' metadata.
        size: of the outputs.
        kernel_mode: see `upscaling.upscale`.
    """

    tile: int | None
    kernel: "np.ndarray | None"
    overwrite: bool
    encoding: "Encoding"
    max_pixels: int
    metadata: "Kept"
    size: "OutputSize"
    kernel_mode: "KernelMode" = "global"


@dataclass(frozen=True, eq=False)
class Loaded:
    """A photo that can be restored, and what it becomes."""

    job: "Job"
    photo: "Photo"
    network: "Named"
    seconds: float


@dataclass(frozen=True, eq=False)
class Restored:
    """A photo whose blur is known and which is not written yet.

    Attributes:
        loaded: the photo.
        upscaled: the evidence.
        picture: the result: in memory if it is small, else restored while it is written.
        device, precision, scale: of the network.
        seconds: that it took so far.
    """

    loaded: Loaded
    upscaled: "Upscaled"
    picture: "Picture"
    device: str
    precision: str
    scale: int
    seconds: float


def load(job: "Job", networks: "Networks", settings: Settings) -> Loaded:
    """Read a photo and check its outputs, so that what must fail fails before any work.

    Raises:
        DclsError: the photo cannot be read, or an output not be written.
    """
    from dcls_cli.cli.kernels import check_kernel_output

    started = time.perf_counter()
    photo = _read(job, settings)
    _check_output(job, photo, *settings.size.of(photo.width, photo.height), settings)
    for path in filter(None, (job.kernel, job.report)):
        check_kernel_output(path, overwrite=settings.overwrite)
    network = networks.choose(photo, settings.size.factor_of(photo.width, photo.height))
    return Loaded(job, photo, network, time.perf_counter() - started)


def _read(job: "Job", settings: Settings) -> "Photo":
    from dcls_cli.cli.piping import read_stdin
    from dcls_cli.image import read

    if job.from_stdin:
        return read_stdin(max_pixels=settings.max_pixels, kept=settings.metadata)
    return read(job.source, max_pixels=settings.max_pixels, kept=settings.metadata)


def _check_output(job: "Job", photo: "Photo", width: int, height: int, settings: Settings) -> None:
    from dcls_cli.image import check_encoding, check_output

    alpha, encoding = photo.has_alpha, settings.encoding
    if job.to_stdout:
        path = stdout_path(photo, encoding)
        check_encoding(path, width, height, alpha=alpha, encoding=encoding)
        return
    check_output(
        job.output,
        width,
        height,
        overwrite=settings.overwrite,
        alpha=alpha,
        grey=photo.grey,
        bit_depth=photo.bit_depth,
        source=None if job.from_stdin else job.source,
        encoding=encoding,
    )


def restore(
    loaded: Loaded, backend: "Backend", settings: Settings, progress: "Progress"
) -> Restored:
    """Restore a photo, or find out what is needed to restore a large one while it is written.

    Raises:
        DclsError: there is no result.
    """
    from dcls_cli.image.resizing import Resized
    from dcls_cli.upscaling import held, upscale

    started = time.perf_counter()
    photo = loaded.photo
    upscaled = upscale(
        photo,
        backend,
        tile=settings.tile,
        kernel=settings.kernel,
        kernel_mode=settings.kernel_mode,
        progress=progress,
        warn=lambda text: console.note(f"{loaded.job.source}: {text}"),
    )
    depth = settings.encoding.bit_depth or photo.bit_depth
    width, height = settings.size.of(photo.width, photo.height)
    picture: Picture = upscaled
    if (width, height) != (upscaled.width, upscaled.height):
        picture = Resized(upscaled, width, height)
    samples = width * height * photo.channels
    small = samples * depth // 8 <= HELD_BYTES
    return Restored(
        loaded,
        upscaled,
        held(picture, photo, depth) if small else picture,
        backend.device,
        backend.precision,
        backend.config.scale,
        time.perf_counter() - started,
    )


def save(restored: Restored, settings: Settings) -> Result:
    """Write the outputs of a photo, restoring what is not restored yet.

    Raises:
        DclsError: one cannot be written, or there is no result.
    """
    from dcls_cli.cli.changes import changes
    from dcls_cli.cli.kernels import write_kernel
    from dcls_cli.cli.piping import write_stdout
    from dcls_cli.image import write

    started = time.perf_counter()
    loaded, upscaled = restored.loaded, restored.upscaled
    job, space = loaded.job, upscaled.kernel_space
    picture, encoding = restored.picture, settings.encoding
    if job.to_stdout:
        notes = write_stdout(picture, stdout_path(loaded.photo, encoding), encoding)
    else:
        notes = write(picture, job.output, overwrite=settings.overwrite, encoding=encoding)
    if job.kernel is not None:
        write_kernel(upscaled.kernel, space, job.kernel, overwrite=settings.overwrite)
    if job.report is not None:
        _write_report(restored, settings)
    return Result(
        input=job.source,
        output=job.output,
        width=restored.picture.width,
        height=restored.picture.height,
        seconds=loaded.seconds + restored.seconds + time.perf_counter() - started,
        model=loaded.network.name,
        reason=loaded.network.reason,
        device=restored.device,
        precision=restored.precision,
        scale=restored.scale,
        tiles=len(upscaled.tiles),
        kernel=job.kernel,
        kernel_known=settings.kernel is not None,
        kernel_space=space,
        kernel_width_px=upscaled.kernel_width_px,
        kernel_confidence=upscaled.kernel_confidence,
        kernel_estimated_px=upscaled.kernel_estimated_px,
        report=job.report,
        notes=(*loaded.photo.notes, *changes(restored, settings), *notes),
    )


def _write_report(restored: Restored, settings: Settings) -> None:
    from dcls_cli.cli.evidence import write_report

    loaded = restored.loaded
    assert loaded.job.report is not None
    write_report(
        loaded.job.report,
        loaded.job.source,
        loaded.photo,
        loaded.job.output,
        restored.upscaled,
        model=loaded.network.name,
        known=settings.kernel is not None,
        overwrite=settings.overwrite,
    )
