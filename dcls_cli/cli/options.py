"""Options that several commands share, each defined once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Scale = Annotated[
    int | None, typer.Option("-s", "--scale", help="Up-scaling factor: 2, 3 or 4; default 4.")
]

Model = Annotated[
    str | None,
    typer.Option("-m", "--model", metavar="NAME", help="Model, hf:OWNER/REPO, or auto (default)."),
]

Weights = Annotated[
    Path | None, typer.Option("-w", "--weights", metavar="FILE", help="Your own weights.")
]

Kernel = Annotated[
    Path | None,
    typer.Option("--kernel", metavar="FILE", help="The blur, if known: .npy, grey PNG or TIFF."),
]

KernelSpace = Annotated[
    Literal["hr", "lr"] | None,
    typer.Option("--kernel-space", help="Its taps are output (hr, default) or input (lr) pixels."),
]

Tile = Annotated[
    int | None,
    typer.Option("--tile", min=0, help="Pixels; 0: the whole photo at once. Default: by its size."),
]

Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    typer.Option("--precision", help="Of the convolutions."),
]

Device = Annotated[str, typer.Option("-d", "--device", help="auto, cpu or cuda[:N].")]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]

Json = Annotated[bool, typer.Option("--json", help="Print NDJSON on stdout.")]
