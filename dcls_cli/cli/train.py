"""`dcls train`: a network from folders of sharp images."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from dcls_cli.cli import commands
from dcls_cli.errors import UsageError

PresetOption = Literal["light", "photo", "paper-iso", "paper-aniso", "noise15", "noise30"]
Resume = Literal["auto", "never"]
PrecisionName = Literal["auto", "bf16", "fp32"]
OptimizerOption = Literal["muon", "adamw"]
KernelTargetOption = Literal["expected", "image"]
PartOption = Literal["all", "estimator", "restorer"]


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
        typer.Option(
            "--hr",
            metavar="PATH",
            help="Train on the images of this folder and its subfolders, or on a file of `dcls "
            "data prepare`; may be repeated. [default: DIV2K and Flickr2K, see `dcls data "
            "download`]",
            rich_help_panel=commands.RUN,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="RUN",
            help="Keep the run in this folder. [default: runs/PRESET-xN]",
            rich_help_panel=commands.RUN,
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            "-s",
            "--scale",
            metavar="N",
            help="Train for 2, 3 or 4 times the size. [default: 4]",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            "--val",
            metavar="FOLDER",
            help="Validate on these sharp images, under Gaussian8.",
            rich_help_panel=commands.RUN,
        ),
    ] = None,
    preset: Annotated[
        PresetOption | None,
        typer.Option(
            help="light: clean blurred images, as in benchmarks. photo: also noise, JPEG, and blur "
            "of any direction. With the authors' network: paper-iso and paper-aniso (x2, x4), the "
            "two settings of the paper; noise15 and noise30, its first one with noise. "
            "[default: light]",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            "--init",
            metavar="WEIGHTS",
            help="Start from these weights, of any scale.",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    part: Annotated[
        PartOption | None,
        typer.Option(
            help="Train the estimator, the restorer, or all; the estimator alone learns ten times "
            "as fast. [default: all]",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Train for N steps. [default: light and photo 50000, others 500000]",
            rich_help_panel=commands.RUN,
        ),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            metavar="N", help="Train for N minutes instead.", rich_help_panel=commands.RUN
        ),
    ] = None,
    resume: Annotated[
        Resume | None,
        typer.Option(
            help="Continue the run in RUN if there is one (auto), or refuse. [default: never]",
            rich_help_panel=commands.RUN,
        ),
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
        typer.Option(
            min=1,
            metavar="N",
            help="Draw N crops for each patch and use the one with most detail. [default: light "
            "and photo 2, others 1]",
            rich_help_panel=commands.DAMAGE,
        ),
    ] = None,
    softness: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SIGMA",
            help="Also blur some of the sharp images, by up to SIGMA HR pixels. [default: 0]",
            rich_help_panel=commands.DAMAGE,
        ),
    ] = None,
    quantize: Annotated[
        bool | None,
        typer.Option(
            "--quantize/--no-quantize",
            help="Round activations as int8 does, for the last minutes of a network that will run "
            "in int8.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Random seed. [default: 0]")
    ] = None,
    sigma_min: Annotated[
        float | None,
        typer.Option(
            metavar="SIGMA",
            help="Narrowest blur, HR pixels. [default: 0.2; paper-aniso 0.6]",
            rich_help_panel=commands.DAMAGE,
        ),
    ] = None,
    sigma_max: Annotated[
        float | None,
        typer.Option(
            metavar="SIGMA",
            help="Widest blur, HR pixels. [default: the scale; paper-aniso 5]",
            rich_help_panel=commands.DAMAGE,
        ),
    ] = None,
    optimizer: Annotated[
        OptimizerOption | None,
        typer.Option(help="Optimizer. [default: light and photo muon, others adamw]"),
    ] = None,
    kernel_target: Annotated[
        KernelTargetOption | None,
        typer.Option(
            help="LR kernel that the authors' network learns: the expectation of Eq. 7, or Eq. 7 "
            "on each image. [default: expected]",
            rich_help_panel=commands.DAMAGE,
        ),
    ] = None,
    precision: Annotated[
        PrecisionName | None,
        typer.Option(
            help="Precision of the convolutions; auto takes bf16 where it is faster. [default: "
            "auto]",
            rich_help_panel=commands.ENGINE,
        ),
    ] = None,
    compile: Annotated[  # noqa: A002
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="Compile the network with torch.compile.",
            rich_help_panel=commands.ENGINE,
        ),
    ] = None,
    tensorboard: Annotated[
        bool | None,
        typer.Option(
            "--tensorboard/--no-tensorboard",
            help="Write curves and pictures for TensorBoard into RUN/tensorboard.",
            rich_help_panel=commands.RUN,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "-d",
            "--device",
            metavar="NAME",
            help="Train on auto, cpu or cuda[:N]. [default: auto]",
            rich_help_panel=commands.ENGINE,
        ),
    ] = None,
    validate_minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Validate every N minutes of training. [default: 5]",
            rich_help_panel=commands.RUN,
        ),
    ] = None,
    checkpoint_minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Write a checkpoint every N minutes of training. [default: 2]",
            rich_help_panel=commands.RUN,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Use N CPU threads. [default: all]",
            rich_help_panel=commands.ENGINE,
        ),
    ] = None,
) -> None:
    """Train a network on sharp images, which it damages itself.

    The folder RUN gets checkpoints, best.safetensors and latest.safetensors (averaged weights),
    log.jsonl, curves.png, samples.png and config.toml. Ctrl-C ends the run after its step, and
    --resume auto continues it with the same bits.

    On N cards: torchrun --nproc-per-node N --no-python dcls train ...
    """
    from dcls_cli.cli.training_run import Run
    from dcls_cli.config import checked_scale
    from dcls_cli.training.settings import Said

    if iterations is not None and max_minutes is not None:
        raise UsageError("--iterations and --max-minutes exclude each other; give one of them")
    given = Said(
        run=_given(
            preset=preset,
            scale=None if scale is None else checked_scale(scale),
            hr=tuple(hr) if hr else None,
            out=out,
            val=val,
            init=init,
            resume=resume,
            device=device,
            compile=compile,
            accumulate=accumulate,
            tensorboard=tensorboard,
            threads=threads,
            validate_minutes=validate_minutes,
            checkpoint_minutes=checkpoint_minutes,
        ),
        training=_given(
            part=part,
            iterations=iterations,
            max_minutes=max_minutes,
            batch=batch,
            patch=patch,
            learning_rate=learning_rate,
            candidates=candidates,
            softness=softness,
            quantize=quantize,
            seed=seed,
            sigma_min=sigma_min,
            sigma_max=sigma_max,
            optimizer=optimizer,
            kernel_target=kernel_target,
            precision=None if precision == "auto" else precision,
        ),
        model={},
    )
    said = given if config is None else Said.in_file(config).under(given)
    raise typer.Exit(Run.of(said.without("precision") if precision == "auto" else said).start())


def _given(**options: object) -> dict[str, object]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}
