"""`dcls train`: a network from folders of sharp images."""

import typer

from dcls_cli.cli import training_options as options
from dcls_cli.errors import UsageError


def train(
    config: options.Config = None,
    *,
    hr: options.Hr = None,
    out: options.Out = None,
    scale: options.Scale = None,
    val: options.Val = None,
    preset: options.Preset = None,
    init: options.Init = None,
    part: options.Part = None,
    iterations: options.Iterations = None,
    max_minutes: options.MaxMinutes = None,
    resume: options.Resume = None,
    batch: options.Batch = None,
    accumulate: options.Accumulate = None,
    patch: options.Patch = None,
    learning_rate: options.LearningRate = None,
    candidates: options.Candidates = None,
    softness: options.Softness = None,
    seed: options.Seed = None,
    sigma_min: options.SigmaMin = None,
    sigma_max: options.SigmaMax = None,
    optimizer: options.Optimizer = None,
    kernel_target: options.KernelTarget = None,
    precision: options.Precision = None,
    compile: options.Compile = None,  # noqa: A002
    tensorboard: options.Tensorboard = None,
    device: options.Device = None,
    validate_minutes: options.ValidateMinutes = None,
    checkpoint_minutes: options.CheckpointMinutes = None,
    threads: options.Threads = None,
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
