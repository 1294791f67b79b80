"""`dcls train`: a network from folders of sharp images."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from dcls_cli.errors import TrainingError, UsageError

PresetName = Literal["light", "photo", "paper"]
Resume = Literal["auto", "never"]
PrecisionName = Literal["auto", "bf16", "fp32"]
OptimizerOption = Literal["muon", "adamw"]
KernelTargetOption = Literal["expected", "image"]
PartOption = Literal["all", "estimator"]


def train(
    *,
    hr: Annotated[
        list[Path],
        typer.Option(
            "--hr",
            metavar="DIR",
            help="Folder of sharp images, searched with its sub-folders; for several folders "
            "repeat the option: --hr A --hr B.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder of the run.")],
    scale: Annotated[int, typer.Option("-s", "--scale", help="Up-scaling factor: 2, 3 or 4.")] = 4,
    val: Annotated[
        Path | None,
        typer.Option("--val", metavar="DIR", help="Sharp images to validate on (Gaussian8)."),
    ] = None,
    preset: Annotated[
        PresetName,
        typer.Option(
            help="light: clean blurred images, as in benchmarks; photo: also noise, JPEG and blur "
            "of any direction; paper: the authors' network."
        ),
    ] = "light",
    init: Annotated[
        Path | None,
        typer.Option("--init", metavar="WEIGHTS", help="Start from these weights, of any scale."),
    ] = None,
    part: Annotated[
        PartOption,
        typer.Option(help="What is trained: the estimator alone learns ten times as fast."),
    ] = "all",
    iterations: Annotated[
        int | None,
        typer.Option(min=1, help="Length of the run, steps. [light, photo 50000; paper 500000]"),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Length of the run in minutes of training instead.")
    ] = None,
    resume: Annotated[
        Resume, typer.Option(help="auto: go on with the run in RUN, if there is one.")
    ] = "never",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Patches a step. [light, photo 8; paper 64]")
    ] = None,
    patch: Annotated[
        int | None,
        typer.Option(min=1, help="Width of an LR patch, pixels. [light, photo 48; paper 64]"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate. [light, photo 1e-3; paper 2e-4]")
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Crops drawn for a patch; that of most detail is used. [light, photo 2; paper 1]",
        ),
    ] = None,
    softness: Annotated[
        float | None,
        typer.Option(min=0, help="Widest blur of the sharp images themselves, HR pixels. [0]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all random numbers.")] = 0,
    sigma_min: Annotated[
        float | None, typer.Option(help="Narrowest blur, HR pixels. [0.2]")
    ] = None,
    sigma_max: Annotated[
        float | None, typer.Option(help="Widest blur, HR pixels. [the scale]")
    ] = None,
    optimizer: Annotated[
        OptimizerOption | None, typer.Option(help="[light, photo muon; paper adamw]")
    ] = None,
    kernel_target: Annotated[
        KernelTargetOption | None,
        typer.Option(
            help="What the paper's network learns as LR kernel: Eq. 7's expectation, or Eq. 7 on "
            "each image. [expected]"
        ),
    ] = None,
    precision: Annotated[
        PrecisionName, typer.Option(help="Of the convolutions; auto: bf16 where faster.")
    ] = "auto",
    compile: Annotated[  # noqa: A002
        bool, typer.Option("--compile", help="Compile the network (torch.compile).")
    ] = False,
    device: Annotated[str, typer.Option("-d", "--device", help="auto, cpu or cuda[:N].")] = "auto",
    validate_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes of training between validations.")
    ] = 5.0,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes of training between checkpoints.")
    ] = 2.0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
) -> None:
    """Train a network; LR images are made from the sharp ones on the fly.

    RUN gets checkpoints, best.safetensors and latest.safetensors (averaged weights), log.jsonl,
    curves.png, samples.png, config.json and, if images were skipped, skipped.txt. SIGINT and
    SIGTERM end the run after its step; --resume auto goes on with the same bits.

    On N cards: torchrun --nproc-per-node N --no-python dcls train ...
    """
    from dcls_cli.backends.devices import select_device, select_precision
    from dcls_cli.cli.training_run import Run
    from dcls_cli.config import PRESETS, checked_scale
    from dcls_cli.training.config import Cadence, TrainConfig

    if iterations is not None and max_minutes is not None:
        raise UsageError("--iterations and --max-minutes exclude each other; give one of them")
    model = PRESETS[preset](checked_scale(scale))
    chosen_device = select_device(device)
    fast_bf16 = select_precision("auto", chosen_device) == "bf16"
    try:
        config = TrainConfig.preset(
            preset,
            scale,
            part=part,
            iterations=iterations,
            max_minutes=max_minutes,
            batch=batch,
            patch=patch,
            learning_rate=learning_rate,
            candidates=candidates,
            softness=softness,
            seed=seed,
            sigma_min=sigma_min,
            sigma_max=sigma_max,
            optimizer=optimizer,
            kernel_target=kernel_target,
            precision=("bf16" if fast_bf16 else "fp32") if precision == "auto" else precision,
        )
    except TrainingError as error:
        raise UsageError(f"options: {error}") from error
    if config.kernel_target == "image":
        check_kernel_target(model.kernel_space, model.kernel_size, config.patch, preset)
    run = Run(
        model=model,
        config=config,
        hr=tuple(hr),
        val=val,
        out=out,
        init=init,
        resume=resume,
        device=chosen_device,
        compile=compile,
        cadence=Cadence(validation_minutes=validate_minutes, checkpoint_minutes=checkpoint_minutes),
        threads=threads,
    )
    raise typer.Exit(run.start())


def check_kernel_target(space: str, kernel_size: int, patch: int, preset: str) -> None:
    """Refuse Eq. 7 on images where it has no meaning.

    Raises:
        UsageError: the network estimates HR kernels, or a patch is smaller than its kernel.
    """
    if space != "lr":
        raise UsageError(
            f"--kernel-target image is for --preset paper; {preset} learns the HR kernel itself"
        )
    if patch < kernel_size:
        raise UsageError(
            f"--kernel-target image needs --patch {kernel_size} or larger, the kernel's width; "
            f"got {patch}"
        )
