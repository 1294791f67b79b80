"""`dcls ablate`: the paper's ablations with an equal, small budget for each network."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import console

if TYPE_CHECKING:
    from rich.table import Table

    from dcls_cli.training.ablations import Result

#: Features of the `light` network.
LIGHT_WIDTH = 64

_SHORT_HEAD = ("this network has", "params", "PSNR Y", "diff.", "SSIM Y", "LR-PSNR", "k. error")


def ablate(
    *,
    hr: Annotated[
        list[Path],
        typer.Option(
            "--hr", metavar="FOLDER", help="Train on these sharp images; may be repeated."
        ),
    ],
    val: Annotated[
        Path,
        typer.Option(
            "--val", metavar="FOLDER", help="Measure on these sharp images, under Gaussian8."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Keep the study here, a run for each network."
        ),
    ],
    scale: Annotated[
        int, typer.Option("-s", "--scale", metavar="N", help="Enlarge 2, 3 or 4 times.")
    ] = 4,
    arms: Annotated[
        str | None,
        typer.Option(
            "--arms", metavar="A,B,...", help="Train only these versions, and full. [default: all]"
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Train the full network N times: the spread shows what a difference is worth.",
        ),
    ] = 2,
    iterations: Annotated[int, typer.Option(min=1, metavar="N", help="Train for N steps.")] = 1000,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Take N patches a step.")] = 8,
    patch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Take patches of N LR pixels.")
    ] = 48,
    width: Annotated[
        int, typer.Option(min=16, metavar="N", help="Use N features; fewer train faster.")
    ] = LIGHT_WIDTH,
    device: Annotated[
        str, typer.Option("-d", "--device", metavar="NAME", help="Train on auto, cpu or cuda[:N].")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Use N CPU threads.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table in Markdown.")
    ] = False,
) -> None:
    """Train a small network in several versions, each without one idea of the paper.

    All versions get the same number of steps. The table is printed and written to
    FOLDER/ablations.md. The same command resumes an interrupted study.
    """
    from dcls_cli.cli.training_view import view_of
    from dcls_cli.config import checked_scale
    from dcls_cli.training.ablation_study import Study
    from dcls_cli.training.ablations import markdown_table

    study = Study.of(
        hr=tuple(hr),
        val=val,
        out=out,
        scale=checked_scale(scale),
        arms=arms,
        seeds=seeds,
        width=width,
        options={"iterations": iterations, "batch": batch, "patch": patch},
        device=device,
        threads=threads,
    )
    results = study.start(view_of, console.note)
    if isinstance(results, int):
        raise typer.Exit(results)
    if markdown:
        for line in markdown_table(results).splitlines():
            console.say(line)
    else:
        console.show(_table(results))


def _table(results: "Sequence[Result]") -> "Table":
    """The table for people; short on terminals, where what is in question shows in the answer."""
    from rich import box
    from rich.table import Table

    from dcls_cli.training.ablations import HEAD, table_lines

    narrow = console.out.is_terminal
    table = Table(title="ablations", box=box.SIMPLE if narrow else None)
    table.caption = "differences from the mean of the bases, PSNR in dB, error of taps in HR space"
    for place, head in enumerate(_SHORT_HEAD if narrow else HEAD):
        numbers = place >= (1 if narrow else 2)
        table.add_column(head, justify="right" if numbers else "left", no_wrap=numbers)
    for line in table_lines(results):
        table.add_row(*(line[1:] if narrow else line))
    return table
