"""`dcls upscale`: photos in, sharper photos out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import console, options
from dcls_cli.cli.forecast import foretell
from dcls_cli.cli.restoring import Settings, load, restore, save
from dcls_cli.cli.results import tell
from dcls_cli.cli.tally import Tally
from dcls_cli.errors import DclsError, UsageError

if TYPE_CHECKING:
    from dcls_cli.cli.networks import Named, Networks
    from dcls_cli.cli.outputs import Job
    from dcls_cli.upscaling import Progress

    #: What is done with a photo; how many it has restored.
    Work = Callable[..., int]


def upscale(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO...", help="JPEG, PNG, WebP, TIFF, AVIF, GIF, BMP, HEIC; - for stdin."
        ),
    ],
    *,
    scale: options.Scale = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="File, folder, or - for stdout; default PHOTO_x4 beside PHOTO.",
        ),
    ] = None,
    model: options.Model = None,
    weights: options.Weights = None,
    form: options.Format = "keep",
    quality: options.Quality = 95,
    lossless: options.Lossless = False,
    bit_depth: options.BitDepth = "auto",
    width: options.Width = None,
    height: options.Height = None,
    max_side: options.LongestSide = None,
    metadata: options.Metadata = "keep",
    name: options.Name = options.DEFAULT_NAME,
    max_pixels: options.MaxPixels = options.DEFAULT_MAX_PIXELS,
    save_kernel: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the blur that was found: .npy or .png."),
    ] = None,
    kernel: options.Kernel = None,
    kernel_space: options.KernelSpace = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the evidence: one HTML page."),
    ] = None,
    tile: options.Tile = "auto",
    kernel_mode: options.KernelMode = "global",
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say sizes, memory, disk and time; restore nothing.")
    ] = False,
    backend: options.Engine = "auto",
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Find the blur in each photo, invert it, and write the photo larger and sharper."""
    from dcls_cli.backends import require_torch
    from dcls_cli.cli.evidence import known_kernel
    from dcls_cli.cli.naming import Naming
    from dcls_cli.cli.networks import Networks
    from dcls_cli.cli.outputs import passing_folder, plan_jobs, prepare_folder
    from dcls_cli.cli.piping import check_streams

    check_scale(scale)
    tile_px = options.tile_of(tile)
    check_streams(photos, output, json=json, report=report)
    if report is not None:
        require_torch("--report")
    networks = Networks(model, weights, scale, device=device, precision=precision, engine=backend)
    encoding = options.encoding_of(form, quality, lossless, bit_depth)
    naming = Naming(
        template=name,
        scale=networks.config.scale,
        model=networks.fixed_name,
        format=encoding.format,
    )
    jobs = plan_jobs(photos, output, save_kernel, report, naming)
    if kernel_mode == "tile" and (kernel or report):
        given = "--kernel" if kernel else "--report"
        raise UsageError(f"{given} is about one blur of the whole photo, not --kernel-mode tile")
    known = known_kernel(kernel, kernel_space, networks.config)
    size = options.size_of(width, height, max_side)
    settings = Settings(
        tile_px, known, overwrite, encoding, int(max_pixels), metadata, size, kernel_mode
    )
    tally = Tally(json=json)
    several = len(photos) > 1
    if dry_run:
        with passing_folder(output, several=several):
            work(jobs, networks, settings, tally, foretell)
    else:
        prepare_folder(output, several=several)
        work(jobs, networks, settings, tally, run)
    raise typer.Exit(tally.exit_code())


def work(
    jobs: "Sequence[Job]", networks: "Networks", settings: Settings, tally: Tally, each: "Work"
) -> None:
    """Check all photos, then do something with each that can be restored.

    Raises:
        DclsError: a network cannot be loaded.
    """
    ready: list[tuple[Job, Named]] = []
    for job in jobs:
        try:
            # The photo is read again later: all of them might not fit into memory.
            ready.append((job, load(job, networks, settings).network))
        except DclsError as error:
            tally.fail(job.source, error)
    for _, named in ready:  # what cannot be loaded fails before any work
        networks.load(named)
    for job, _ in ready:
        try:
            tally.done += each(job, networks, settings, json=tally.json)
        except DclsError as error:
            tally.fail(job.source, error)


def check_scale(scale: int | None) -> None:
    """Refuse a scale that cannot be.

    Raises:
        UsageError: see above.
    """
    from dcls_cli.config import checked_scale

    if scale is not None:
        checked_scale(scale)


def run(job: "Job", networks: "Networks", settings: Settings, *, json: bool) -> int:
    """Up-scale one photo, write it, and tell about it; 1, the photos that are done.

    Raises:
        DclsError: there is no output.
    """
    loaded = load(job, networks, settings)
    name, why = loaded.network.name, loaded.network.reason
    if json:
        console.event("start", input=job.source, output=job.output, model=name, reason=why)
    elif why is not None:
        console.note(f"{job.source}: {name}, by the rule of -m auto: {why}")
    with progress_of(job.source, json=json) as progress:
        restored = restore(loaded, networks.load(loaded.network), settings, progress)
        result = save(restored, settings)
    tell(result, json=json)
    return 1


@contextmanager
def progress_of(source: Path, *, json: bool) -> "Iterator[Progress]":
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
            if json:
                console.event("tile", input=source, done=done, total=total)

        yield step
