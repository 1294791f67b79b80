"""Options of `dcls train`; None is an option that was not given."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from dcls_cli.cli import commands

PresetOption = Literal["light", "photo", "paper-iso", "paper-aniso", "noise15", "noise30"]
_Resume = Literal["auto", "never"]
_PrecisionName = Literal["auto", "bf16", "fp32"]
_Optimizer = Literal["muon", "adamw"]
_KernelTarget = Literal["expected", "image"]
_Part = Literal["all", "estimator", "restorer"]

_run = partial(typer.Option, rich_help_panel=commands.RUN)
_network = partial(typer.Option, rich_help_panel=commands.NETWORK)
_damage = partial(typer.Option, rich_help_panel=commands.DAMAGE)
_engine = partial(typer.Option, rich_help_panel=commands.ENGINE)

Config = Annotated[
    Path | None,
    typer.Argument(
        metavar="CONFIG.toml",
        help="Read options from this file; those of the command line win over it. "
        "RUN/config.toml of an earlier run repeats it.",
        show_default=False,
    ),
]

Hr = Annotated[
    list[Path] | None,
    _run(
        "--hr",
        metavar="PATH",
        help="Train on the images of this folder and its subfolders, or on a file of `dcls "
        "data prepare`; may be repeated. [default: DIV2K and Flickr2K, see `dcls data "
        "download`]",
    ),
]

Out = Annotated[
    Path | None,
    _run(
        "-o", "--out", metavar="RUN", help="Keep the run in this folder. [default: runs/PRESET-xN]"
    ),
]

Scale = Annotated[
    int | None,
    _network("-s", "--scale", metavar="N", help="Train for 2, 3 or 4 times the size. [default: 4]"),
]

Val = Annotated[
    Path | None,
    _run("--val", metavar="FOLDER", help="Validate on these sharp images, under Gaussian8."),
]

Preset = Annotated[
    PresetOption | None,
    _network(
        help="light: clean blurred images, as in benchmarks. photo: also noise, JPEG, and blur "
        "of any direction. With the authors' network: paper-iso and paper-aniso (x2, x4), the "
        "two settings of the paper; noise15 and noise30, its first one with noise. "
        "[default: light]"
    ),
]

Init = Annotated[
    Path | None,
    _network("--init", metavar="WEIGHTS", help="Start from these weights, of any scale."),
]

Part = Annotated[
    _Part | None,
    _network(
        help="Train the estimator, the restorer, or all; the estimator alone learns ten times "
        "as fast. [default: all]"
    ),
]

Iterations = Annotated[
    int | None,
    _run(
        min=1,
        metavar="N",
        help="Train for N steps. [default: light and photo 50000, others 500000]",
    ),
]

MaxMinutes = Annotated[
    float | None,
    _run(metavar="N", help="Train for N minutes instead."),
]

Resume = Annotated[
    _Resume | None,
    _run(help="Continue the run in RUN if there is one (auto), or refuse. [default: never]"),
]

Batch = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Take N patches a step, over all processes. [default: light and photo 8, others 64]",
    ),
]

Accumulate = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Take the batch in N parts, one after the other: the same update in less memory. "
        "[default: 1]",
    ),
]

Patch = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Take patches of N LR pixels a side. [default: light and photo 48, others 64]",
    ),
]

LearningRate = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="Use this peak learning rate. [default: light and photo 1e-3, others 2e-4]",
    ),
]

Candidates = Annotated[
    int | None,
    _damage(
        min=1,
        metavar="N",
        help="Draw N crops for each patch and use the one with most detail. [default: light "
        "and photo 2, others 1]",
    ),
]

Softness = Annotated[
    float | None,
    _damage(
        min=0,
        metavar="SIGMA",
        help="Also blur some of the sharp images, by up to SIGMA HR pixels. [default: 0]",
    ),
]

Seed = Annotated[int | None, typer.Option(min=0, metavar="N", help="Random seed. [default: 0]")]

SigmaMin = Annotated[
    float | None,
    _damage(metavar="SIGMA", help="Narrowest blur, HR pixels. [default: 0.2; paper-aniso 0.6]"),
]

SigmaMax = Annotated[
    float | None,
    _damage(metavar="SIGMA", help="Widest blur, HR pixels. [default: the scale; paper-aniso 5]"),
]

Optimizer = Annotated[
    _Optimizer | None,
    typer.Option(help="Optimizer. [default: light and photo muon, others adamw]"),
]

KernelTarget = Annotated[
    _KernelTarget | None,
    _damage(
        help="LR kernel that the authors' network learns: the expectation of Eq. 7, or Eq. 7 "
        "on each image. [default: expected]"
    ),
]

Precision = Annotated[
    _PrecisionName | None,
    _engine(
        help="Precision of the convolutions; auto takes bf16 where it is faster. [default: auto]"
    ),
]

Compile = Annotated[  # noqa: A002
    bool | None,
    _engine("--compile/--no-compile", help="Compile the network with torch.compile."),
]

Tensorboard = Annotated[
    bool | None,
    _run(
        "--tensorboard/--no-tensorboard",
        help="Write curves and pictures for TensorBoard into RUN/tensorboard.",
    ),
]

Device = Annotated[
    str | None,
    _engine(
        "-d", "--device", metavar="NAME", help="Train on auto, cpu or cuda[:N]. [default: auto]"
    ),
]

ValidateMinutes = Annotated[
    float | None,
    _run(min=0, metavar="N", help="Validate every N minutes of training. [default: 5]"),
]

CheckpointMinutes = Annotated[
    float | None,
    _run(min=0, metavar="N", help="Write a checkpoint every N minutes of training. [default: 2]"),
]

Threads = Annotated[
    int | None,
    _engine(min=1, metavar="N", help="Use N CPU threads. [default: all]"),
]
