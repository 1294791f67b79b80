"""`dcls ablate`: the paper's ablations with an equal, small budget for each network."""

from pathlib import Path
from typing import Annotated

import typer

from dcls_cli.errors import UsageError

#: Features of the `light` network.
LIGHT_WIDTH = 64


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
            "--arms", metavar="A,B,...", help="Train only these, and full. [default: all]"
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
    from dcls_cli.cli.ablation_study import Study
    from dcls_cli.config import checked_scale
    from dcls_cli.training.ablations import ARMS, FULL, arm

    chosen = [item.name for item in ARMS] if arms is None else [FULL]
    for name in filter(None, (part.strip() for part in (arms or "").split(","))):
        if arm(name) is None:
            raise UsageError(
                f"--arms {name}: no such arm; there are {', '.join(item.name for item in ARMS)}"
            )
        if name not in chosen:
            chosen.append(name)
    study = Study.of(
        hr=tuple(hr),
        val=val,
        out=out,
        scale=checked_scale(scale),
        names=tuple(chosen),
        seeds=seeds,
        width=width,
        options={"iterations": iterations, "batch": batch, "patch": patch},
        device=device,
        threads=threads,
    )
    raise typer.Exit(study.start(markdown=markdown))
