"""`dcls upscale`: photos in, sharper photos out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from dcls_cli.cli import console, options
from dcls_cli.cli.forecast import print_forecast
from dcls_cli.cli.option_values import encoding_of, size_of, tile_of
from dcls_cli.cli.restoring import Settings, load, restore, save
from dcls_cli.cli.results import tell
from dcls_cli.cli.tally import Tally
from dcls_cli.errors import DclsError, UsageError

if TYPE_CHECKING:
    from dcls_cli.cli.networks import Named, Networks
    from dcls_cli.cli.outputs import Job

    #: What is done with a photo; how many it has restored.
    Work = Callable[..., int]


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
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
    backend: options.Engine = "auto",
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Enlarge photos: find the blur in each, invert it, and restore the photo."""
    from dcls_cli.backends import require_torch
    from dcls_cli.cli.evidence import known_kernel
    from dcls_cli.cli.naming import Naming
    from dcls_cli.cli.networks import Networks
    from dcls_cli.cli.outputs import passing_folder, plan_jobs, prepare_folder
    from dcls_cli.cli.piping import check_streams

    factor = checked_factor(scale)
    tile_px = tile_of(tile)
    check_streams(photos, output, json=json, report=report)
    if report is not None:
        require_torch("--report")
    networks = Networks(
        model,
        weights,
        factor,
        device=device,
        precision=precision,
        engine=backend,
        exact=kernel is not None,
    )
    size = size_of(networks.factor, width=width, height=height, longest=max_side, stretch=stretch)
    encoding = encoding_of(form, quality, lossless, bit_depth)
    naming = Naming(
        template=name,
        size=size,
        model=networks.fixed_name,
        format=encoding.format,
    )
    jobs = plan_jobs(photos, output, save_kernel, report, naming)
    if kernel_mode == "tile" and (kernel or report):
        given = "--kernel" if kernel else "--report"
        raise UsageError(f"{given} is about one blur of the whole photo, not --kernel-mode tile")
    known = known_kernel(kernel, kernel_space, networks.config)
    settings = Settings(
        tile_px, known, overwrite, encoding, int(max_pixels), metadata, size, kernel_mode
    )
    tally = Tally(json=json)
    several = len(photos) > 1
    if dry_run:
        with passing_folder(output, several=several):
            work(jobs, networks, settings, tally, print_forecast)
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


def checked_factor(scale: float | None) -> float | None:
    """Refuse factors that no network reaches.

    Raises:
        UsageError: see above.
    """
    from dcls_cli.config import LARGEST_SCALE

    if scale is not None and not 1 <= scale <= LARGEST_SCALE:
        raise UsageError(f"scale {scale:g} is not available; choose 1 to {LARGEST_SCALE}")
    return scale


def run(job: "Job", networks: "Networks", settings: Settings, *, json: bool) -> int:
    """Up-scale one photo, write it, and tell about it; 1, the photos that are done.

    Raises:
        DclsError: there is no output.
    """
    loaded = load(job, networks, settings)
    name, why = loaded.network.name, loaded.network.reason
    if json:
        console.event("start", input=job.source, output=job.output, model=name, reason=why)
    else:
        networks.explain(job.source, loaded.network)
    with PhotoView(job.source, json=json) as view:
        backend = networks.load(loaded.network)
        view.stage("finding the blur")
        restored = restore(loaded, backend, settings, view.step)
        result = save(restored, settings)
    tell(result, json=json)
    return 1


class PhotoView:
    """Shows on a terminal what is being done with a photo, or prints an event for each tile."""

    def __init__(self, source: Path, *, json: bool) -> None:
        """Show a photo whose network is being loaded."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._source, self._json = source, json
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True),
            console=console.err,
            disable=not console.shows_progress(),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)
        self.stage("loading the network")

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self._bar.stop()

    def stage(self, what: str) -> None:
        """Show what is being done."""
        name = console.visible(self._source.name)
        self._bar.update(self._task, description=f"{name}: {what}")

    def step(self, done: int, total: int) -> None:
        """Show that so many tiles are restored."""
        self.stage(in_words(done, total))
        self._bar.update(self._task, completed=done, total=total)
        if self._json and done:
            console.event("tile", input=self._source, done=done, total=total)


def in_words(done: int, total: int) -> str:
    """What is being done while tiles are restored."""
    return "restoring" if total == 1 else f"restoring {done} of {total} tiles"
