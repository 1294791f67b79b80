"""A training run from its options: images, network, checkpoints, weights on disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from dcls_cli.config import ModelConfig
from dcls_cli.errors import TrainingError, WeightsError
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.deconvolution import leave_to_eager
from dcls_cli.network.reformulation import ReformulatedKernel
from dcls_cli.training.batches import PatchSampler
from dcls_cli.training.checkpoint import CheckpointFolder, check_same_run
from dcls_cli.training.config import Cadence, TrainConfig
from dcls_cli.training.images import ImageStore, SkippedImage
from dcls_cli.training.loop import Trainer, Validate
from dcls_cli.training.optimization import Objective
from dcls_cli.training.reports import JsonlLog, Observer, ValidationReport
from dcls_cli.training.settings import RunSettings
from dcls_cli.training.state import TrainState

BEST, LATEST = "best.safetensors", "latest.safetensors"
EXPORTED = (LATEST, BEST)


@dataclass(frozen=True, kw_only=True)
class NewLength:
    """What another length than a run began with does to it.

    Attributes:
        before, now: the lengths, in words.
        rates: learning rates of the last step and of the next one, None where nothing is left.
    """

    before: str
    now: str
    rates: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A trainer that is ready to run, and what is worth showing of it.

    Attributes:
        trainer: not yet running.
        files: images that are trained on.
        megapixels: of all of them.
        skipped: files that are not trained on.
        resumed_at: step of the checkpoint that is continued.
        new_layers: tensors that `init` did not have and that start at random.
        new_length: of a run that is continued, where it is another one than so far.
    """

    trainer: Trainer
    files: int
    megapixels: float
    skipped: list[SkippedImage]
    resumed_at: int | None
    new_layers: list[str]
    new_length: NewLength | None = None


def prepare(
    model: ModelConfig,
    config: TrainConfig,
    settings: RunSettings,
    *,
    observers: Sequence[Observer] = (),
    validate: Validate | None = None,
    loading: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None],
) -> Prepared:
    """Load images, build the network, take over a checkpoint.

    Args:
        model: the network.
        config: how it is trained.
        settings: with the folder of the run and one torch device.
        observers: get the reports of the run, besides its JSONL log.
        validate: measures the averaged network; None: its weights are written all the same.
        loading: called with (files read, files).
        warn: called with a message for each damaged checkpoint.

    Raises:
        TrainingError: no usable image, `out` holds another run, all checkpoints are damaged.
        WeightsError: `init` is unusable.
    """
    out = settings.out
    assert out is not None
    folder = CheckpointFolder(out / "checkpoints")
    # Look before minutes are spent on loading images.
    saved = _find_run(folder, settings, warn)
    if saved is not None:
        check_same_run(saved, model, config, folder.path)
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    _check_shares(config.batch, world, settings.accumulate)
    torch.manual_seed(config.seed)
    network = DCLS(model)
    new_layers = []
    if settings.init is not None and saved is None:
        new_layers = _warm_start(network, settings.init)
    device = torch.device(settings.device)
    smallest = PatchSampler.min_side(config, model.scale)
    store, skipped = ImageStore.load(settings.hr, smallest, device, loading)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    reformulated = ReformulatedKernel(model.scale, model.kernel_size, model.kernel_size)
    objective = Objective(config, model.kernel_space, reformulated.to(device))
    state = TrainState(network, objective, config, settings.accumulate)
    if settings.compile:
        leave_to_eager(network)
        state.forward = torch.compile(network)  # type: ignore[assignment]
    needs_images = model.kernel_space == "lr" and config.kernel_target == "image"
    trainer = Trainer(
        state=state,
        sampler=PatchSampler(store, config, model.scale, model.kernel_size, needs_images),
        folder=folder,
        validate=validate,
        export=lambda trained, report: export_weights(trained, report, out),
        observers=observers,
        cadence=Cadence(
            validation_minutes=settings.validate_minutes,
            checkpoint_minutes=settings.checkpoint_minutes,
        ),
        rank=rank,
        world=world,
    )
    if saved is not None:
        trainer.resume(saved)
    if rank == 0:
        out.mkdir(parents=True, exist_ok=True)
        log = JsonlLog(out / "log.jsonl", state.step)
        trainer.observers = [log, *observers]  # observers may read it
    return Prepared(
        trainer=trainer,
        files=store.files,
        megapixels=store.pixels.shape[0] / 1e6,
        skipped=skipped,
        resumed_at=None if saved is None else state.step,
        new_layers=new_layers,
        new_length=None if saved is None else _new_length(saved, trainer),
    )


def _new_length(saved: Mapping[str, Any], trainer: Trainer) -> NewLength | None:
    """Compare the length of a run that is continued with that of its checkpoint."""
    before, now = TrainConfig.from_json(saved["config"]).length, trainer.config.length
    if before == now:
        return None
    done, state = trainer.share_done(), trainer.state
    rates = (state.last_rate, state.rate(done)) if done < 1 else None
    return NewLength(before=before, now=now, rates=rates)


def _check_shares(batch: int, world: int, accumulate: int) -> None:
    """Refuse a batch that cannot be divided equally.

    Raises:
        TrainingError: with the numbers that would do.
    """
    divisor = world * accumulate
    if batch % divisor:
        by = f"{world} processes" if accumulate == 1 else f"{world} x {accumulate} parts"
        raise TrainingError(f"batch {batch} cannot be shared by {by}; give a multiple of {divisor}")


def _find_run(
    folder: CheckpointFolder, settings: RunSettings, warn: Callable[[str], None]
) -> dict[str, Any] | None:
    """The state to continue; None where a run may start.

    Raises:
        TrainingError: there is a run that may not be continued, or cannot be.
    """
    out = folder.path.parent
    if settings.resume == "auto":
        saved = folder.newest(warn)
        if saved is not None:
            return saved
    elif folder.files():
        raise TrainingError(
            f"{out}: holds a run already; continue it with --resume auto, or choose another --out"
        )
    exported = [name for name in EXPORTED if (out / name).exists()]
    if exported:
        raise TrainingError(
            f"{out}: holds weights of another run ({', '.join(exported)}) and no "
            "checkpoint; choose another --out, or move them away"
        )
    return None


def _warm_start(network: DCLS, path: Path) -> list[str]:
    """Take over every tensor of the same name and shape; return the others' names.

    Raises:
        WeightsError: unusable, or nothing fits.
    """
    config, tensors = weights.read(path)
    wanted = network.state_dict()
    fitting = {
        name: tensor
        for name, tensor in tensors.items()
        if name in wanted and wanted[name].shape == tensor.shape
    }
    if not fitting:
        raise WeightsError(
            f"{path}: no tensor fits the network that is trained; its own is {config.to_json()}"
        )
    network.load_state_dict(fitting, strict=False)
    return sorted(set(wanted) - set(fitting))


def export_weights(state: TrainState, report: ValidationReport | None, out: Path) -> None:
    """Write the averaged weights: `latest.safetensors`, and `best.safetensors` if they are.

    Raises:
        DclsError: a file cannot be written.
    """
    metadata = {"step": str(state.step), "training": state.config.to_json()}
    if report is not None:
        metadata["minutes"] = f"{report.elapsed_s / 60:.1f}"
        metadata["validation_psnr_y_db"] = f"{report.psnr_y_db:.3f}"
    names = EXPORTED if report is not None and report.best else (LATEST,)
    for name in names:
        weights.write(state.ema, out / name, metadata, overwrite=True)
