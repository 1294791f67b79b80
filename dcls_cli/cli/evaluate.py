"""`dcls eval`: figures of a network under the benchmarks' protocols, beside those of others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dcls_cli.cli import commands, console
from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from dcls_cli.evaluation.running import Plan, Progress

BenchmarkName = Literal[
    "gaussian8",
    "gaussian8-noise15",
    "gaussian8-noise30",
    "div2krk",
    "div2krk-like",
    "photo",
    "graphics",
    "pairs",
]


def evaluate(
    *,
    hr: Annotated[
        Path | None,
        typer.Option("--hr", metavar="FOLDER", help="Measure on these sharp images (PNG, WebP)."),
    ] = None,
    benchmark: Annotated[
        BenchmarkName,
        typer.Option(
            metavar="NAME",
            help="Damage the images by eight isotropic blurs (gaussian8), also with noise "
            "(gaussian8-noise15, gaussian8-noise30), by random kernels (div2krk-like), or as "
            "cameras and the web do (photo). With pairs and div2krk the LR images are given. "
            "graphics draws its own pictures and counts where the result is worse than bicubic.",
        ),
    ] = "gaussian8",
    scale: Annotated[
        int, typer.Option("--scale", "-s", metavar="N", help="Enlarge 2, 3 or 4 times.")
    ] = 4,
    lr: Annotated[
        Path | None, typer.Option("--lr", metavar="FOLDER", help="LR images, for pairs.")
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="FOLDER", help="Unpacked data set, for div2krk."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            help="Measure this network: a name of `dcls models list`, hf:OWNER/REPO, or auto: what "
            "`dcls upscale` would take. [default: the usual one of the scale, auto for graphics]",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            "-w",
            metavar="FILE",
            help="Measure your own weights.",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="A,B,...",
            help="Also measure bicubic, other models or weight files, or networks of other "
            "projects (spandrel:FILE).",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="Also measure the estimated kernels.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Keep the results here, so that the same command resumes, and write report.html, "
            "montage.png, curves.png, figures.csv and figures.md.",
            rich_help_panel=commands.OUTPUT,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Work in N processes. [default: by images and cores]",
            rich_help_panel=commands.ENGINE,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            "--device",
            "-d",
            metavar="NAME",
            help="Compute on auto, cpu or cuda[:N].",
            rich_help_panel=commands.ENGINE,
        ),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME",
            help="Compute in fp32 (as for published figures), bf16, fp16, int8 or auto.",
            rich_help_panel=commands.ENGINE,
        ),
    ] = "fp32",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
) -> None:
    """Measure PSNR and SSIM of a network on sharp images that a benchmark damages.

    Published figures of the same protocol and set are printed beside ours, and marked.
    """
    from dcls_cli.cli.evaluation_methods import chosen_methods
    from dcls_cli.cli.evaluation_output import Output
    from dcls_cli.cli.evaluation_tables import print_tables
    from dcls_cli.config import checked_scale
    from dcls_cli.evaluation.benchmarks import BENCHMARKS, find_items
    from dcls_cli.evaluation.running import Plan, processes_for
    from dcls_cli.evaluation.running import evaluate as run
    from dcls_cli.evaluation.storage import ResultStore

    if json + csv + markdown > 1:
        raise UsageError("--json, --csv and --markdown exclude each other; give one of them")
    items = find_items(benchmark, checked_scale(scale), hr, lr, root)
    methods = chosen_methods(
        model=model,
        weights=weights,
        against=against,
        scale=scale,
        device=device,
        precision=precision,
        harmful=BENCHMARKS[benchmark].harmful,
    )
    plan = Plan(benchmark, scale, items, methods, kernels)
    store = ResultStore(out)
    count = processes_for(len(items), device) if jobs is None else jobs
    with _shown_progress(plan) as progress:
        results = run(plan, store, jobs=count, progress=progress)
    output = Output(plan, results, hr if root is None else root)
    if json:
        output.print_json()
    elif csv:
        output.print_csv()
    elif markdown:
        output.print_markdown()
    else:
        print_tables(output)
    output.tell_self_check()
    if out is not None:
        from dcls_cli.cli.evaluation_report import write_report

        write_report(output, out)


@contextmanager
def _shown_progress(plan: "Plan") -> "Iterator[Progress]":
    """A bar on stderr, where that is a terminal; yields what is called with counts of images."""
    from rich import progress as rich_progress

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    disable = not console.shows_progress()
    with rich_progress.Progress(
        *columns, console=console.err, disable=disable, transient=True
    ) as bar:
        task = bar.add_task(f"{plan.benchmark} x{plan.scale}", total=len(plan.items))
        yield lambda done, total: bar.update(task, completed=done, total=total)
