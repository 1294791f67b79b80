"""`dcls train`: a network from folders of sharp images. None is an option that was not given."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from dcls_cli.cli import commands
from dcls_cli.errors import UsageError

PresetOption = Literal["light", "photo", "paper-iso", "paper-aniso", "noise15", "noise30"]

_run = partial(typer.Option, rich_help_panel=commands.RUN)
_network = partial(typer.Option, rich_help_panel=commands.NETWORK)
_damage = partial(typer.Option, rich_help_panel=commands.DAMAGE)
_engine = partial(typer.Option, rich_help_panel=commands.ENGINE)


def train(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG.toml",
            help="Read options from this file; those of the command line win over it. "
            "RUN/config.toml of an earlier run repeats it.",
            show_default=False,
        ),
    ] = None,
    *,
    hr: Annotated[
        list[Path] | None,
        _run(
            "--hr",
            metavar="PATH",
            help="Train on the images of this folder and its subfolders, or on a file of `dcls "
            "data prepare`; may be repeated. [default: DIV2K and Flickr2K, see `dcls data "
            "download`]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        _run(
            "-o",
            "--out",
            metavar="RUN",
            help="Keep the run in this folder. [default: runs/PRESET-xN]",
        ),
    ] = None,
    scale: Annotated[
        int | None,
        _network(
            "-s", "--scale", metavar="N", help="Train for 2, 3 or 4 times the size. [default: 4]"
        ),
    ] = None,
    val: Annotated[
        Path | None,
        _run("--val", metavar="FOLDER", help="Validate on these sharp images, under Gaussian8."),
    ] = None,
    preset: Annotated[
        PresetOption | None,
        _network(
            help="light: clean blurred images, as in benchmarks. photo: also noise, JPEG, and blur "
            "of any direction. With the authors' network: paper-iso and paper-aniso (x2, x4), the "
            "two settings of the paper; noise15 and noise30, its first one with noise. "
            "[default: light]"
        ),
    ] = None,
    init: Annotated[
        Path | None,
        _network("--init", metavar="WEIGHTS", help="Start from these weights, of any scale."),
    ] = None,
    part: Annotated[
        Literal["all", "estimator", "restorer"] | None,
        _network(
            help="Train the estimator, the restorer, or all; the estimator alone learns ten times "
            "as fast. [default: all]"
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        _run(
            min=1,
            metavar="N",
            help="Train for N steps. [default: light and photo 50000, others 500000]",
        ),
    ] = None,
    max_minutes: Annotated[
        float | None,
        _run(metavar="N", help="Train for N minutes instead."),
    ] = None,
    resume: Annotated[
        Literal["auto", "never"] | None,
        _run(help="Continue the run in RUN if there is one (auto), or refuse. [default: never]"),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Take N patches a step, over all processes. [default: light and photo 8, others "
            "64]",
        ),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Take the batch in N parts, one after the other: the same update in less memory. "
            "[default: 1]",
        ),
    ] = None,
    patch: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Take patches of N LR pixels a side. [default: light and photo 48, others 64]",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Use this peak learning rate. [default: light and photo 1e-3, others 2e-4]",
        ),
    ] = None,
    candidates: Annotated[
        int | None,
        _damage(
            min=1,
            metavar="N",
            help="Draw N crops for each patch and use the one with most detail. [default: light "
            "and photo 2, others 1]",
        ),
    ] = None,
    softness: Annotated[
        float | None,
        _damage(
            min=0,
            metavar="SIGMA",
            help="Also blur some of the sharp images, by up to SIGMA HR pixels. [default: 0]",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Random seed. [default: 0]")
    ] = None,
    sigma_min: Annotated[
        float | None,
        _damage(metavar="SIGMA", help="Narrowest blur, HR pixels. [default: 0.2; paper-aniso 0.6]"),
    ] = None,
    sigma_max: Annotated[
        float | None,
        _damage(
            metavar="SIGMA", help="Widest blur, HR pixels. [default: the scale; paper-aniso 5]"
        ),
    ] = None,
    optimizer: Annotated[
        Literal["muon", "adamw"] | None,
        typer.Option(help="Optimizer. [default: light and photo muon, others adamw]"),
    ] = None,
    kernel_target: Annotated[
        Literal["expected", "image"] | None,
        _damage(
            help="LR kernel that the authors' network learns: the expectation of Eq. 7, or Eq. 7 "
            "on each image. [default: expected]"
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "bf16", "fp32"] | None,
        _engine(
            help="Precision of the convolutions; auto takes bf16 where it is faster. "
            "[default: auto]"
        ),
    ] = None,
    compile: Annotated[
        bool | None,
        _engine("--compile/--no-compile", help="Compile the network with torch.compile."),
    ] = None,
    tensorboard: Annotated[
        bool | None,
        _run(
            "--tensorboard/--no-tensorboard",
            help="Write curves and pictures for TensorBoard into RUN/tensorboard.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        _engine(
            "-d", "--device", metavar="NAME", help="Train on auto, cpu or cuda[:N]. [default: auto]"
        ),
    ] = None,
    validate_minutes: Annotated[
        float | None,
        _run(min=0, metavar="N", help="Validate every N minutes of training. [default: 5]"),
    ] = None,
    checkpoint_minutes: Annotated[
        float | None,
        _run(
            min=0, metavar="N", help="Write a checkpoint every N minutes of training. [default: 2]"
        ),
    ] = None,
    threads: Annotated[
        int | None,
        _engine(min=1, metavar="N", help="Use N CPU threads. [default: all]"),
    ] = None,
) -> None:
    """Train a network on sharp images, which it damages itself.

    The folder RUN gets checkpoints, best.safetensors and latest.safetensors (averaged weights),
    log.jsonl, curves.png, samples.png and config.toml. Ctrl-C ends the run after its step, and
    --resume auto continues it, on a CPU with the same bits.

    On N cards: torchrun --nproc-per-node N --no-python dcls train ...
    """
    options = dict(locals())  # have the names of the fields that they set
    from dcls_cli.cli.data import training_images
    from dcls_cli.cli.training_view import view_of
    from dcls_cli.config import checked_scale
    from dcls_cli.training.run import Run
    from dcls_cli.training.settings import GivenOptions

    if iterations is not None and max_minutes is not None:
        raise UsageError("--iterations and --max-minutes exclude each other; give one of them")
    del options["config"]
    options["hr"] = tuple(hr) if hr else None
    options["scale"] = None if scale is None else checked_scale(scale)
    options["precision"] = None if precision == "auto" else precision
    given = GivenOptions.of_names(options)
    if config is not None:
        given = GivenOptions.of_file(config).under(given)
    run = Run.of(given.without("precision") if precision == "auto" else given, training_images)
    raise typer.Exit(run.start(view_of(run.out, run.total_steps)))
