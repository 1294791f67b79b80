"""`dcls batch`: every photo of a folder, once, whatever happens meanwhile."""

from pathlib import Path
from typing import Annotated

import typer

from dcls_cli.cli import options
from dcls_cli.cli.upscale import check_scale
from dcls_cli.errors import UsageError


def batch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Folders, photos, 'patterns', and lists: .txt, a name a line."
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="Folder; it gets the same tree.")
    ],
    scale: options.Scale = None,
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
    kernel: options.Kernel = None,
    kernel_space: options.KernelSpace = None,
    tile: options.Tile = "auto",
    kernel_mode: options.KernelMode = "global",
    precision: options.Precision = "auto",
    backend: options.Engine = "auto",
    device: Annotated[
        str,
        typer.Option("-d", "--device", help="auto, cpu, cuda[:N], or several: cuda:0,cuda:1."),
    ] = "auto",
    recursive: Annotated[
        bool, typer.Option("--recursive/--no-recursive", help="Folders within folders too.")
    ] = True,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Only such names, as '*.jpg'; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="No such names, as 'proofs/*'; may be repeated."),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only part I of N, for N machines.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N photos this time.")
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End with the first photo that fails.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a row for each photo: .jsonl or .csv."),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option("-j", "--jobs", min=1, max=64, help="Photos at work per device, by threads."),
    ] = 3,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be done and what it takes; do nothing."),
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Restore all photos of a folder, except those that are done already."""
    from dcls_cli.batching.report import check_report
    from dcls_cli.batching.selection import Shard
    from dcls_cli.cli.batch_forecast import foretell
    from dcls_cli.cli.batch_plan import Wanted, plan, prepare_folder
    from dcls_cli.cli.batch_run import run
    from dcls_cli.cli.batch_tally import BatchTally
    from dcls_cli.cli.evidence import known_kernel
    from dcls_cli.cli.naming import Naming
    from dcls_cli.cli.networks import Networks
    from dcls_cli.cli.restoring import Settings

    check_scale(scale)
    tile_px = options.tile_of(tile)
    if report is not None:
        if dry_run:
            raise UsageError("--report tells what was done, and --dry-run does nothing")
        check_report(report)
    wanted = Wanted(
        inputs=tuple(inputs),
        out=output,
        recursive=recursive,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        shard=Shard.parse(shard) if shard else None,
        limit=limit,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    networks = [
        Networks(model, weights, scale, device=each, precision=precision, engine=backend)
        for each in devices_of(device)
    ]
    encoding = options.encoding_of(form, quality, lossless, bit_depth)
    naming = Naming(
        template=name,
        scale=networks[0].config.scale,
        model=networks[0].fixed_name,
        format=encoding.format,
    )
    if kernel_mode == "tile" and kernel:
        raise UsageError("--kernel is one blur for whole photos, not for --kernel-mode tile")
    known = known_kernel(kernel, kernel_space, networks[0].config)
    size = options.size_of(width, height, max_side)
    settings = Settings(
        tile_px, known, overwrite, encoding, int(max_pixels), metadata, size, kernel_mode
    )
    tally = BatchTally(json=json, fail_fast=fail_fast, report=report)
    prepare_folder(output, dry_run=dry_run)
    items = plan(wanted, naming, size, tally)
    if dry_run:
        raise typer.Exit(foretell(items, output, networks, settings, tally, threads=jobs))
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
