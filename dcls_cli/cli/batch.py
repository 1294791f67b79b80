"""`dcls batch`: every photo of a folder, once, whatever happens meanwhile."""

import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import options
from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from dcls_cli.jobs.events import Event


def batch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help='Folders, photos, "patterns*", and lists: text files (.txt) with one name per '
            "line; also as addresses: s3://bucket/photos/.",
        ),
    ],
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Write the same tree into this folder, or below s3://bucket/prefix/. "
            "[default: INPUT_x4 beside a single folder]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    scale: options.Scale = None,
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
    kernel: options.Kernel = None,
    kernel_space: options.KernelSpace = None,
    tile: options.Tile = "auto",
    kernel_mode: options.KernelMode = "global",
    fidelity: options.Fidelity = 0.0,
    noise: options.Noise = "auto",
    tta: options.Tta = False,
    precision: options.Precision = "auto",
    backend: options.Engine = "auto",
    device: Annotated[
        str,
        typer.Option(
            "-d",
            "--device",
            metavar="NAME",
            help="Compute on auto, cpu, cuda[:N], or on several: cuda:0,cuda:1.",
            rich_help_panel=options.ENGINE,
        ),
    ] = "auto",
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive/--no-recursive",
            help="Enter folders within folders, or not.",
            rich_help_panel=options.SELECTION,
        ),
    ] = True,
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help='Restore only names that match, such as "*.jpg"; may be repeated.',
            rich_help_panel=options.SELECTION,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help='Leave out names that match, such as "proofs/*"; may be repeated.',
            rich_help_panel=options.SELECTION,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Restore only part I of N, for one of N machines; slurm and k8s read both from "
            "the environment of a job array.",
            rich_help_panel=options.SELECTION,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Restore at most N photos this time.",
            rich_help_panel=options.SELECTION,
        ),
    ] = None,
    fail_fast: Annotated[
        bool,
        typer.Option(
            "--fail-fast",
            help="Stop at the first photo that fails.",
            rich_help_panel=options.SELECTION,
        ),
    ] = False,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also write a table with one row per photo: .jsonl or .csv.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "-j",
            "--jobs",
            min=1,
            max=64,
            metavar="N",
            help="Work on N photos per device at a time.",
            rich_help_panel=options.ENGINE,
        ),
    ] = 3,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Compute in Ray workers: local, auto (the cluster of this machine), HOST:PORT "
            "or ray://HOST:PORT.",
            rich_help_panel=options.ENGINE,
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N|LEAST:MOST",
            help="Number of Ray workers. [default: as many as fit]",
            rich_help_panel=options.ENGINE,
        ),
    ] = None,
    gpus_per_worker: Annotated[
        float,
        typer.Option(
            metavar="N",
            help="GPUs for each Ray worker; 0.5 lets two workers share one.",
            rich_help_panel=options.ENGINE,
        ),
    ] = 0.0,
    dry_run: options.DryRun = False,
    overwrite: options.Overwrite = False,
    redo_changed: Annotated[
        bool,
        typer.Option(
            "--redo-changed",
            help="Replace existing outputs that were made with other options.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    redo_older: Annotated[
        bool,
        typer.Option(
            "--redo-older",
            help="Replace existing outputs that other or unknown weights made.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Enlarge all photos of a folder and its subfolders.

    Photos that are done are skipped, so that the same command resumes an interrupted batch.
    """
    from dcls_cli.cli import console, signals
    from dcls_cli.cli.downloads import find_model
    from dcls_cli.cli.photo_views import PhotoView, print_batch_forecast, print_summary
    from dcls_cli.files.addresses import location
    from dcls_cli.jobs.cluster import Cluster, ClusterRun
    from dcls_cli.jobs.forecast import forecast_batch
    from dcls_cli.jobs.output_folders import output_of, prepare_folder
    from dcls_cli.jobs.plan import naming_of, plan_batch
    from dcls_cli.jobs.pool import PATIENCE_S, UNLIMITED_S, Run, abandon_threads
    from dcls_cli.jobs.report import Report, Tally, check_report
    from dcls_cli.jobs.request import Request
    from dcls_cli.jobs.selection import Shard
    from dcls_cli.jobs.worker import workers_of

    table = None if report is None else location(report)
    if table is not None:
        check_report(table, dry_run=dry_run)
    request = Request(
        inputs=tuple(inputs),
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
        devices=tuple(devices_of(device)),
        format=options.format_of(form),
        quality=quality,
        lossless=lossless,
        bit_depth=options.bit_depth_of(bit_depth),
        metadata=metadata,
        name=name,
        max_pixels=options.pixels_of(max_pixels),
        overwrite=overwrite,
        redo_changed=redo_changed,
        redo_older=redo_older,
        recursive=recursive,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        shard=Shard.parse(shard) if shard else None,
        limit=limit,
        dry_run=dry_run,
    )
    cluster = Cluster.of(ray, workers, gpus_per_worker)
    here = workers_of(request, find_model, console.note)
    naming = naming_of(request, here[0].networks)
    out = output_of(request, naming)
    prepare_folder(out, dry_run=dry_run)
    written = None if table is None else Report(table)
    tally, planning = Tally(written), PhotoView(None, json=json)

    def emit_planned(event: "Event") -> None:
        tally.take(event)
        planning.take(event)

    plan = plan_batch(request, out, naming, here[0].records, emit_planned)
    if dry_run:
        sized, found = forecast_batch(plan.tasks, out, here, emit_planned, threads=jobs)
        print_batch_forecast(sized, found, tally, plan.left_out, json=json)
        raise typer.Exit(int(bool(tally.errors)))
    started = time.perf_counter()
    run = Run(here, threads=jobs) if cluster is None else ClusterRun(request, cluster)
    with signals.watched() as watch, PhotoView(len(plan.tasks), json=json) as view:

        def must_end() -> bool:
            return watch.exit_code is not None or (fail_fast and bool(tally.errors))

        patience = lambda: PATIENCE_S if watch.exit_code else UNLIMITED_S  # noqa: E731
        with closing(run.events(plan.tasks, must_end, patience)) as events:
            for event in events:
                tally.take(event)
                view.take(event)
    print_summary(
        tally,
        plan.left_out,
        json=json,
        ended_by=watch.exit_code,
        seconds=round(time.perf_counter() - started, 3),
        engines=run.records(),
    )
    if written is not None:
        written.write()
    if watch.exit_code is not None:
        abandon_threads()
        raise signals.Ended(watch.exit_code, reported=True)
    raise typer.Exit(tally.fatal.exit_code if tally.fatal else tally.exit_code())


def devices_of(text: str) -> list[str]:
    """Split `cuda:0,cuda:1`, or `cuda:0,1` for short.

    Raises:
        UsageError: a part is empty, or a number stands first.
    """
    devices: list[str] = []
    for part in text.split(","):
        stripped = part.strip()
        if stripped.isdigit() and devices:
            stripped = f"{devices[-1].partition(':')[0]}:{stripped}"
        if not stripped or stripped.isdigit():
            raise UsageError(f"-d {text}: expected devices such as cpu, cuda:0 or cuda:0,cuda:1")
        devices.append(stripped)
    return devices
