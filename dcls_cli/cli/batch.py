"""`dcls batch`: every photo of a folder, once, whatever happens meanwhile."""

from pathlib import Path
from typing import Annotated

import typer

from dcls_cli.cli import options
from dcls_cli.cli.option_values import encoding_of, size_of, tile_of
from dcls_cli.cli.upscale import checked_factor
from dcls_cli.errors import UsageError


def batch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Folders, photos, 'patterns*', and lists: text files (.txt) with one name per "
            "line.",
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Write the same tree into this folder. [default: INPUT_x4 beside a single folder]",
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
            help="Take only such names, as in '*.jpg'; may be repeated.",
            rich_help_panel=options.SELECTION,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Leave out such names, as in 'proofs/*'; may be repeated.",
            rich_help_panel=options.SELECTION,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Take only part I of N, for one of N machines.",
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
        Path | None,
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
    dry_run: options.DryRun = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Enlarge all photos of a folder and its subfolders.

    Photos that are done are skipped, so that the same command resumes an interrupted batch.
    """
    from dcls_cli.batching.report import check_report
    from dcls_cli.batching.selection import Shard
    from dcls_cli.cli.batch_forecast import print_forecast
    from dcls_cli.cli.batch_plan import Wanted, folder_beside, plan, prepare_folder
    from dcls_cli.cli.batch_run import run
    from dcls_cli.cli.batch_tally import BatchTally
    from dcls_cli.cli.evidence import known_kernel
    from dcls_cli.cli.naming import Naming
    from dcls_cli.cli.networks import Networks
    from dcls_cli.cli.restoring import Settings

    factor = checked_factor(scale)
    tile_px = tile_of(tile)
    if report is not None:
        if dry_run:
            raise UsageError("--report tells what was done, and --dry-run does nothing")
        check_report(report)
    networks = [
        Networks(
            model,
            weights,
            factor,
            device=each,
            precision=precision,
            engine=backend,
            exact=kernel is not None,
        )
        for each in devices_of(device)
    ]
    size = size_of(
        networks[0].factor, width=width, height=height, longest=max_side, stretch=stretch
    )
    out = output or folder_beside(inputs, size)
    wanted = Wanted(
        inputs=tuple(inputs),
        out=out,
        recursive=recursive,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        shard=Shard.parse(shard) if shard else None,
        limit=limit,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    encoding = encoding_of(form, quality, lossless, bit_depth)
    naming = Naming(
        template=name,
        size=size,
        model=networks[0].fixed_name,
        format=encoding.format,
    )
    if kernel_mode == "tile" and kernel:
        raise UsageError("--kernel is one blur for whole photos, not for --kernel-mode tile")
    known = known_kernel(kernel, kernel_space, networks[0].config)
    settings = Settings(
        tile_px, known, overwrite, encoding, int(max_pixels), metadata, size, kernel_mode
    )
    tally = BatchTally(json=json, fail_fast=fail_fast, report=report)
    prepare_folder(out, dry_run=dry_run)
    items = plan(wanted, naming, size, tally)
    if dry_run:
        raise typer.Exit(print_forecast(items, out, networks, settings, tally, threads=jobs))
    raise typer.Exit(run(items, networks, settings, tally, threads=jobs))


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
