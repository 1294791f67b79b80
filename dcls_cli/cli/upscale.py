"""`dcls upscale`: photos in, sharper photos out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from dcls_cli.cli import console
from dcls_cli.cli.tally import Tally
from dcls_cli.errors import DclsError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from dcls_cli.backends import Backend
    from dcls_cli.cli.networks import Named, Networks
    from dcls_cli.cli.outputs import Job
    from dcls_cli.upscaling import Progress, Upscaled

Precision = Literal["auto", "fp32", "bf16", "fp16"]

Space = Literal["hr", "lr"]


class Options(NamedTuple):
    """What holds for every photo of one command line."""

    tile: int | None
    kernel: "np.ndarray | None"
    overwrite: bool
    json: bool


def upscale(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="JPEG, PNG, WebP, TIFF or BMP files.")
    ],
    *,
    scale: Annotated[
        int | None,
        typer.Option("-s", "--scale", help="Up-scaling factor: 2, 3 or 4; default 4."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="OUT", help="File or folder; default PHOTO_x4 beside PHOTO."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", metavar="NAME", help="Model, hf:OWNER/REPO, or auto (default)."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("-w", "--weights", metavar="FILE", help="Your own weights.")
    ] = None,
    save_kernel: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the blur that was found: .npy or .png."),
    ] = None,
    kernel: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The blur, if you know it: .npy, grey PNG or TIFF."),
    ] = None,
    kernel_space: Annotated[
        Space | None, typer.Option(help="Its taps are output (hr, default) or input (lr) pixels.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the evidence: one HTML page."),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(min=0, help="Pixels; 0: the whole photo at once. Default: by its size."),
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Of the convolutions.")] = "auto",
    device: Annotated[str, typer.Option("-d", "--device", help="auto, cpu or cuda[:N].")] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing outputs.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print NDJSON on stdout.")] = False,
) -> None:
    """Find the blur in each photo, invert it, and write the photo larger and sharper."""
    from dcls_cli.cli.evidence import known_kernel
    from dcls_cli.cli.networks import Networks
    from dcls_cli.cli.outputs import plan_jobs, prepare_folder
    from dcls_cli.config import checked_scale
    from dcls_cli.upscaling import MINIMUM_TILE_PX

    if scale is not None:
        checked_scale(scale)
    if tile and tile < MINIMUM_TILE_PX:
        raise UsageError(f"--tile {tile}: expected 0 or at least {MINIMUM_TILE_PX} pixels")
    networks = Networks(model, weights, scale, device=device, precision=precision)
    jobs = plan_jobs(photos, output, save_kernel, report, networks.config.scale)
    known = known_kernel(kernel, kernel_space, networks.config)
    options = Options(tile, known, overwrite, json)
    prepare_folder(output, several=len(photos) > 1)
    tally = Tally(json=json)
    ready = []
    for job in jobs:
        named = checked(job, networks, tally, options)
        if named is not None:
            ready.append((job, named))
    for _, named in ready:  # what cannot be loaded fails before any work
        networks.load(named)
    for job, named in ready:
        try:
            run(job, named, networks.load(named), options)
            tally.done += 1
        except DclsError as error:
            tally.fail(job.source, error)
    raise typer.Exit(tally.exit_code())


def checked(job: "Job", networks: "Networks", tally: Tally, options: Options) -> "Named | None":
    """Read a photo once and check its outputs, so that what must fail fails before any work.

    Returns:
        The network that restores the photo, or None if the photo has failed already.
    """
    from dcls_cli.cli.kernels import check_kernel_output
    from dcls_cli.image import check_output, read

    scale = networks.config.scale
    try:
        photo = read(job.source)
        check_output(
            job.output,
            photo.width * scale,
            photo.height * scale,
            overwrite=options.overwrite,
            alpha=photo.alpha is not None,
            source=job.source,
        )
        for path in filter(None, (job.kernel, job.report)):
            check_kernel_output(path, overwrite=options.overwrite)
        return networks.choose(photo)
    except DclsError as error:
        tally.fail(job.source, error)
        return None


def run(job: "Job", named: "Named", backend: "Backend", options: Options) -> None:
    """Up-scale one photo, write it, and tell about it.

    Raises:
        DclsError: there is no output.
    """
    from dcls_cli.cli.evidence import write_report
    from dcls_cli.cli.kernels import write_kernel
    from dcls_cli.image import read, write
    from dcls_cli.upscaling import upscale as restore

    started = time.perf_counter()
    if options.json:
        console.event(
            "start", input=job.source, output=job.output, model=named.name, reason=named.reason
        )
    elif named.reason is not None:
        console.note(f"{job.source}: {named.name}, by the rule of -m auto: {named.reason}")
    photo = read(job.source)
    with progress_of(job.source, options) as progress:
        upscaled = restore(
            photo, backend, tile=options.tile, kernel=options.kernel, progress=progress
        )
        notes = write(upscaled.photo, job.output, overwrite=options.overwrite)
    if job.kernel is not None:
        space = upscaled.kernel_space
        write_kernel(upscaled.kernel, space, job.kernel, overwrite=options.overwrite)
    if job.report is not None:
        write_report(
            job.report,
            job.source,
            photo,
            job.output,
            upscaled,
            model=named.name,
            known=options.kernel is not None,
            overwrite=options.overwrite,
        )
    for text in (*photo.notes, *notes):
        console.note(f"{job.source}: {text}")
    tell(
        job,
        upscaled,
        named,
        backend,
        seconds=time.perf_counter() - started,
        json=options.json,
        known=options.kernel is not None,
    )


def tell(
    job: "Job",
    upscaled: "Upscaled",
    named: "Named",
    backend: "Backend",
    *,
    seconds: float,
    json: bool,
    known: bool,
) -> None:
    """Print the result: one line, or one event."""
    photo = upscaled.photo
    if json:
        console.event(
            "done",
            input=job.source,
            output=job.output,
            width=photo.width,
            height=photo.height,
            seconds=round(seconds, 3),
            model=named.name,
            device=backend.device,
            precision=backend.precision,
            scale=backend.config.scale,
            tiles=upscaled.tiles,
            kernel=job.kernel,
            kernel_known=known,
            kernel_space=upscaled.kernel_space,
            kernel_width_px=round(upscaled.kernel_width_px, 4),
            report=job.report,
        )
        return
    pixels = {"hr": "output", "lr": "input"}[upscaled.kernel_space]
    console.say(
        f"{job.output}  {photo.width}x{photo.height}  {seconds:.1f} s  "
        f"{named.name}  {backend.device} {backend.precision}  "
        f"kernel width {upscaled.kernel_width_px:.2f} px of the {pixels}"
    )


@contextmanager
def progress_of(source: Path, options: Options) -> "Iterator[Progress]":
    """Show a bar on a terminal, or print an event for each tile."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console.err,
        disable=not console.err.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task(console.visible(source), total=None)

        def step(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if options.json:
                console.event("tile", input=source, done=done, total=total)

        yield step
