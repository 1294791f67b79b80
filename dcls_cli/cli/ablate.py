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
        typer.Option("--hr", metavar="DIR", help="Sharp images to train on; may be repeated."),
    ],
    val: Annotated[
        Path, typer.Option("--val", metavar="DIR", help="Sharp images to measure on (Gaussian8).")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder of the study; a run of its own each."),
    ],
    scale: Annotated[int, typer.Option("-s", "--scale", help="Up-scaling factor: 2, 3 or 4.")] = 4,
    arms: Annotated[
        str | None,
        typer.Option("--arms", metavar="A,B,...", help="Only these, and `full`; default: all."),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Runs of `full`, whose spread shows what a difference is worth."),
    ] = 2,
    iterations: Annotated[int, typer.Option(min=1, help="Steps of every run.")] = 1000,
    batch: Annotated[int, typer.Option(min=1, help="Patches a step.")] = 8,
    patch: Annotated[int, typer.Option(min=1, help="Width of an LR patch, pixels.")] = 48,
    width: Annotated[
        int, typer.Option(min=16, help="Features of the networks; fewer train faster.")
    ] = LIGHT_WIDTH,
    device: Annotated[str, typer.Option("-d", "--device", help="auto, cpu or cuda[:N].")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The table in Markdown.")] = False,
) -> None:
    """Train a small network in several versions, each without one idea of the paper.

    All runs have as many steps on as many patches, so that beside other work no version gets more
    training than another. The table is printed and written to DIR/ablations.md. A study that was
    ended goes on when the same command is given again.
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
