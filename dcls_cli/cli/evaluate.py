"""`dcls eval`: figures of a network under the benchmarks' protocols, beside those of others."""

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dcls_cli.cli import commands, console
from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from dcls_cli.evaluation.running import Plan, Progress
    from dcls_cli.evaluation.tables import Cells, Results

_network = partial(typer.Option, rich_help_panel=commands.NETWORK)
_output = partial(typer.Option, rich_help_panel=commands.OUTPUT)
_engine = partial(typer.Option, rich_help_panel=commands.ENGINE)

BenchmarkName = Literal[
    "gaussian8",
    "gaussian8-noise15",
    "gaussian8-noise30",
    "div2krk",
    "div2krk-like",
    "photo",
    "graphics",
    "text",
    "pairs",
]


def evaluate(
    *,
    hr: Annotated[
        Path | None,
        typer.Option("--hr", metavar="FOLDER", help="Measure on the sharp images in this folder."),
    ] = None,
    benchmark: Annotated[
        BenchmarkName,
        typer.Option(
            metavar="NAME",
            help="Damage the images by eight isotropic blurs (gaussian8), also with noise "
            "(gaussian8-noise15, gaussian8-noise30), by random kernels (div2krk-like), or as "
            "cameras and the web do (photo). With pairs and div2krk the LR images are given. "
            "graphics draws its own pictures and counts where the result is worse than bicubic; "
            "text draws pages and counts the words that Tesseract reads.",
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
        _network(
            "--model",
            "-m",
            metavar="NAME",
            help="Measure this network: a name of `dcls models list`, hf:OWNER/REPO, or auto: what "
            "`dcls upscale` would take. [default: the standard one of the scale, or "
            "auto for graphics and text]",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        _network("--weights", "-w", metavar="FILE", help="Measure your own weights."),
    ] = None,
    against: Annotated[
        str | None,
        _network(
            "--against",
            metavar="A,B,...",
            help="Also measure bicubic, other models or weight files, or networks of other "
            "projects (spandrel:FILE).",
        ),
    ] = None,
    fidelity: Annotated[
        float,
        _network("--fidelity", metavar="N", help="Restore with this --fidelity, from 0 to 1."),
    ] = 0.0,
    tta: Annotated[
        bool, _network("--tta", help="Restore in eight flips and rotations and take the mean.")
    ] = False,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="Also measure the estimated kernels.")
    ] = False,
    out: Annotated[
        Path | None,
        _output(
            "--out",
            metavar="FOLDER",
            help="Keep the results here, so that the same command resumes, and write report.html, "
            "montage.png, curves.png, figures.csv and figures.md.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        _engine(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Work in N processes. [default: by images and cores]",
        ),
    ] = None,
    device: Annotated[
        str,
        _engine("--device", "-d", metavar="NAME", help="Compute on auto, cpu or cuda[:N]."),
    ] = "auto",
    precision: Annotated[
        str,
        _engine(
            "--precision",
            metavar="NAME",
            help="Compute in fp32 (as for published figures), bf16, fp16, int8 or auto.",
        ),
    ] = "fp32",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
) -> None:
    """Measure PSNR and SSIM of a network on sharp images that a benchmark damages.

    Published figures of the same protocol and set are printed beside ours, and marked.
    """
    from dcls_cli.cli.downloads import find_model
    from dcls_cli.config import checked_scale
    from dcls_cli.evaluation import text
    from dcls_cli.evaluation.benchmarks import BENCHMARKS, find_items
    from dcls_cli.evaluation.methods import chosen_methods
    from dcls_cli.evaluation.rows import ResultStore
    from dcls_cli.evaluation.running import Plan, processes_for
    from dcls_cli.evaluation.running import evaluate as run
    from dcls_cli.evaluation.tables import Results

    if json + csv + markdown > 1:
        raise UsageError("--json, --csv and --markdown exclude each other; give one of them")
    items = find_items(benchmark, checked_scale(scale), hr, lr, root)
    if benchmark == "text":
        console.note(text.check())
    methods = chosen_methods(
        model=model,
        weights=weights,
        against=against,
        scale=scale,
        device=device,
        precision=precision,
        find_model=find_model,
        harmful=BENCHMARKS[benchmark].harmful,
        fidelity=fidelity,
        tta=tta,
    )
    plan = Plan(benchmark, scale, items, methods, kernels)
    store = ResultStore(out)
    count = processes_for(len(items), device) if jobs is None else jobs
    with _progress_bar(plan) as progress:
        rows = run(plan, store, jobs=count, progress=progress)
    results = Results(plan, rows, hr if root is None else root)
    if json:
        for name, fields in results.events():
            console.event(name, **fields)
    elif csv or markdown:
        for line in results.csv().splitlines() if csv else results.markdown():
            console.say(line)
    else:
        _print_tables(results)
    check = results.self_check()
    if check is not None:
        console.note(check)
    if out is not None:
        from dcls_cli.evaluation.report import write_report

        write_report(results, out, console.note)


@contextmanager
def _progress_bar(plan: "Plan") -> "Iterator[Progress]":
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
        yield lambda count, total: bar.update(task, completed=count, total=total)


def _print_tables(results: "Results") -> None:
    """PSNR and SSIM on Y side by side, the kernels, then all means and what is published."""
    from dcls_cli.evaluation.harm import HARM_FIGURES, harm_cells
    from dcls_cli.evaluation.tables import READING_TITLE, cells, kernel_cells, reading_cells

    console.show(
        _by_case(results, "PSNR Y in dB / SSIM Y", lambda row: cells(row)[:2], list(results.rows))
    )
    if results.has_reading:
        console.show(_by_case(results, READING_TITLE, reading_cells, list(results.rows)))
    if results.has_kernels:
        title = "kernels: LR-PSNR in dB / error of taps in HR / in LR space"
        console.show(_by_case(results, title, kernel_cells, results.estimating))
    for method, groups in results.harm.items():
        title = f"{console.visible(method)} beside bicubic, PSNR in dB over RGB"
        table = _table(title, ("group", *HARM_FIGURES))
        for harm in groups:
            table.add_row(*harm_cells(harm))
        console.show(table)
    console.show(_means(results))


def _by_case(results: "Results", title: str, of: "Cells", methods: list[str]) -> "Table":
    """One line for each case, each image and the mean; each method has its column."""
    heads = [results.benchmark.cases or "image", *map(console.visible, methods)]
    table = _table(f"{results.title}\n{title}", heads)
    table.columns[0].overflow = "ellipsis"
    places = [list(results.rows).index(method) for method in methods]
    for block in results.blocks:
        for name, line in zip(block.names, block.rows, strict=True):
            figures = [" / ".join(of(line[place])) for place in places]
            table.add_row(console.visible(name), *figures)
        table.add_section()
    return table


def _means(results: "Results") -> "Table":
    """A line for each method, ours and published ones."""
    from dcls_cli.evaluation.tables import FIGURES, MARK, cells, published_cells

    table = _table("means", ("method", "parameters", *FIGURES))
    table.columns[0].justify = "left"
    for method, row in zip(results.rows, results.blocks[-1].rows[0], strict=True):
        table.add_row(console.visible(method), results.sizes[method], *cells(row))
    table.add_section()
    for item in results.published:
        method, *figures = published_cells(item)
        table.add_row(f"{method} *", *figures, "", "")
    if results.published:
        table.caption = f"* {MARK}"
    return table


def _table(title: str, heads: "Sequence[str]") -> "Table":
    """A table without lines, whose columns are set flush right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE if console.out.is_terminal else None)
    for head in heads:
        table.add_column(head, justify="right", overflow="fold")
    return table
