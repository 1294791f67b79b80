"""`dcls train`: a network from folders of sharp images."""

from pathlib import Path
from typing import Annotated, Literal

import typer

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
            help="File of options; those of the command line win over it. RUN/config.toml of an "
            "earlier run repeats it.",
            show_default=False,
        ),
    ] = None,
    *,
    hr: Annotated[
        list[Path] | None,
        typer.Option(
            "--hr",
            metavar="DIR",
            help="Folder of sharp images, searched with its sub-folders, or a file of `dcls data "
            "prepare`; for several repeat the option: --hr A --hr B.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="Folder of the run.")
    ] = None,
    scale: Annotated[
        int | None, typer.Option("-s", "--scale", help="Up-scaling factor: 2, 3 or 4. [4]")
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option("--val", metavar="DIR", help="Sharp images to validate on (Gaussian8)."),
    ] = None,
    preset: Annotated[
        PresetOption | None,
        typer.Option(
            help="light: clean blurred images, as in benchmarks; photo: also noise, JPEG and blur "
            "of any direction. With the authors' network: paper-iso, paper-aniso (x2, x4): the "
            "two settings of the paper; noise15, noise30: its first one with noise. [light]"
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option("--init", metavar="WEIGHTS", help="Start from these weights, of any scale."),
    ] = None,
    part: Annotated[
        PartOption | None,
        typer.Option(help="What is trained: the estimator alone learns ten times as fast. [all]"),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(min=1, help="Length of the run, steps. [light, photo 50000; others 500000]"),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Length of the run in minutes of training instead.")
    ] = None,
    resume: Annotated[
        Resume | None,
        typer.Option(help="auto: go on with the run in RUN, if there is one. [never]"),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Patches a step, over all processes. [light, photo 8; others 64]"),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Take the batch in N parts, one after the other: the same update in less memory. "
            "[1]",
        ),
    ] = None,
    patch: Annotated[
        int | None,
        typer.Option(min=1, help="Width of an LR patch, pixels. [light, photo 48; others 64]"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate. [light, photo 1e-3; others 2e-4]")
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Crops drawn for a patch; that of most detail is used. [light, photo 2; others 1]",
        ),
    ] = None,
    softness: Annotated[
        float | None,
        typer.Option(min=0, help="Widest blur of the sharp images themselves, HR pixels. [0]"),
    ] = None,
    quantize: Annotated[
        bool | None,
        typer.Option(
            "--quantize/--no-quantize",
            help="Round the activations as int8 does; for the last minutes of a network that will "
            "run in int8.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of all random numbers. [0]")] = None,
    sigma_min: Annotated[
        float | None, typer.Option(help="Narrowest blur, HR pixels. [0.2; paper-aniso 0.6]")
    ] = None,
    sigma_max: Annotated[
        float | None, typer.Option(help="Widest blur, HR pixels. [the scale; paper-aniso 5]")
    ] = None,
    optimizer: Annotated[
        OptimizerOption | None, typer.Option(help="[light, photo muon; others adamw]")
    ] = None,
    kernel_target: Annotated[
        KernelTargetOption | None,
        typer.Option(
            help="What the authors' network learns as LR kernel: Eq. 7's expectation, or Eq. 7 on "
            "each image. [expected]"
        ),
    ] = None,
    precision: Annotated[
        PrecisionName | None,
        typer.Option(help="Of the convolutions; auto: bf16 where faster. [auto]"),
    ] = None,
    compile: Annotated[  # noqa: A002
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the network (torch.compile)."),
    ] = None,
    tensorboard: Annotated[
        bool | None,
        typer.Option(
            "--tensorboard/--no-tensorboard",
            help="Write curves and pictures for TensorBoard into RUN/tensorboard.",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option("-d", "--device", help="auto, cpu or cuda[:N]. [auto]")
    ] = None,
    validate_minutes: Annotated[
        float | None, typer.Option(min=0, help="Minutes of training between validations. [5]")
    ] = None,
    checkpoint_minutes: Annotated[
        float | None, typer.Option(min=0, help="Minutes of training between checkpoints. [2]")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
) -> None:
    """Train a network; LR images are made from the sharp ones on the fly.

    RUN gets checkpoints, best.safetensors and latest.safetensors (averaged weights), log.jsonl,
    curves.png, samples.png, config.toml and, if images were skipped, skipped.txt. SIGINT and
    SIGTERM end the run after its step; --resume auto goes on with the same bits.

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
