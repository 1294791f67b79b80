"""`dcls upscale`: photos in, sharper photos out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import console, options

if TYPE_CHECKING:
    from dcls_cli.jobs.events import Event, Task
    from dcls_cli.jobs.report import Tally


def upscale(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO...",
            help="Photos: JPEG, PNG, WebP, TIFF, AVIF, GIF, BMP or HEIC; - reads stdin.",
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
            help="Write to this file, into this folder (one that exists, or ends in a slash), or "
            "to stdout (-). [default: PHOTO_x4 beside the photo]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    model: options.Model = None,
    weights: options.Weights = None,
    form: options.Format = "keep",
    quality: options.Quality = None,
    lossless: options.Lossless = False,
    bit_depth: options.BitDepth = "auto",
    width: options.Width = None,
    height: options.Height = None,
    stretch: options.Stretch = False,
    max_side: options.LongestSide = None,
    metadata: options.Metadata = "keep",
    name: options.Name = options.DEFAULT_NAME,
    max_pixels: options.MaxPixels = options.DEFAULT_MAX_PIXELS,
    save_kernel: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the estimated blur: .npy or .png.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    kernel: options.Kernel = None,
    kernel_space: options.KernelSpace = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the evidence: one HTML page.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    tile: options.Tile = "auto",
    kernel_mode: options.KernelMode = "global",
    fidelity: options.Fidelity = 0.0,
    noise: options.Noise = "auto",
    tta: options.Tta = False,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
    backend: options.Engine = "auto",
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Enlarge photos: find the blur in each, invert it, and restore the photo."""
    from dcls_cli.cli.downloads import find_model
    from dcls_cli.cli.photo_views import PhotoView, print_forecast
    from dcls_cli.installation import require_torch
    from dcls_cli.jobs.forecast import forecast
    from dcls_cli.jobs.output_folders import make_folder, output_folder, temporary_folder
    from dcls_cli.jobs.plan import naming_of, plan_photos
    from dcls_cli.jobs.pool import one_by_one
    from dcls_cli.jobs.report import Tally
    from dcls_cli.jobs.request import Request
    from dcls_cli.jobs.streams import check_streams
    from dcls_cli.jobs.worker import workers_of

    request = Request(
        inputs=tuple(options.expanded(photos)),
        output=output,
        scale=scale,
        width=width,
        height=height,
        max_side=max_side,
        stretch=stretch,
        model=model,
        weights=weights,
        kernel=kernel,
        kernel_space=kernel_space,
        kernel_mode=kernel_mode,
        fidelity=fidelity,
        noise=noise,
        tta=tta,
        tile=options.tile_of(tile),
        precision=precision,
        backend=backend,
        devices=(device,),
        format=options.format_of(form),
        quality=quality,
        lossless=lossless,
        bit_depth=options.bit_depth_of(bit_depth),
        metadata=metadata,
        name=name,
        max_pixels=options.pixels_of(max_pixels),
        overwrite=overwrite,
        save_kernel=save_kernel,
        evidence=report,
        dry_run=dry_run,
    )
    check_streams(request, json=json)
    if report is not None:
        require_torch("--report")
    (worker,) = workers_of(request, find_model, console.note)
    tasks = plan_photos(request, naming_of(request, worker.networks))
    tally, folder = Tally(), output_folder(request)
    with PhotoView(None, json=json) as view:

        def emit(event: "Event") -> None:
            tally.take(event)
            view.take(event)

        def print_one(task: "Task") -> None:
            print_forecast(forecast(task, worker), json=json)

        def restore(task: "Task") -> None:
            worker.work(task, emit)

        if dry_run:
            with temporary_folder(folder):
                one_by_one(tasks, worker, emit, print_one)
        else:
            make_folder(folder)
            one_by_one(tasks, worker, emit, restore)
    raise typer.Exit(conclude(tally, json=json))


def conclude(tally: "Tally", *, json: bool) -> int:
    """Print the summary of photos that were named one by one, and return the exit code."""
    if json:
        console.event("summary", done=tally.done, failed=len(tally.errors))
    return tally.exit_code()
