"""The training loop: time-boxed or counted, exactly resumable, and guarded against collapse."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist

from dcls_cli.config import ModelConfig
from dcls_cli.errors import TrainingError
from dcls_cli.training.checkpoint import CheckpointFolder
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.data import PatchSampler
from dcls_cli.training.reports import (
    Observer,
    Report,
    RollbackReport,
    ValidationReport,
    WindowReport,
)
from dcls_cli.training.state import TrainState

MAX_ROLLBACKS = 8
#: Weight of the past in the running mean that a window is compared with.
BASELINE_MEMORY = 0.9


@dataclass(kw_only=True)
class Cadence:
    """Minutes between validations and between checkpoints; neither changes the result."""

    validation_minutes: float = 5.0
    checkpoint_minutes: float = 2.0


@dataclass(kw_only=True)
class Trainer:
    """Runs a training state to its end.

    Losses stay on the device for a window of steps and are looked at once: a non-finite or
    spiking window is undone, with half the learning rate and other batches from there on. Only
    windows that passed are ever written to a checkpoint.

    Attributes:
        state: what is trained.
        sampler: where batches come from.
        folder: where checkpoints go.
        validate: EMA network -> mean PSNR of each blur width in dB; None: no validation.
        export: called with every validation, to write weights; None: nothing is written.
        observers: told about everything.
        cadence: how often to validate and save.
        rank: index of this process; only 0 validates, reports and saves.
        world: number of processes.
    """

    state: TrainState
    sampler: PatchSampler
    folder: CheckpointFolder
    validate: Callable[[TrainState], Sequence[float]] | None = None
    export: Callable[[TrainState, ValidationReport], None] | None = None
    observers: Sequence[Observer] = ()
    cadence: Cadence = field(default_factory=Cadence)
    rank: int = 0
    world: int = 1
    stop_requested: bool = False
    _losses: list[torch.Tensor] = field(default_factory=list)
    _baseline: float | None = None
    _best: float = -math.inf
    _elapsed_s: float = 0.0
    _progress: float = 0.0

    @property
    def config(self) -> TrainConfig:
        """Options of the run."""
        return self.state.config

    def run(self) -> None:
        """Train until the iterations or minutes are used up, or `stop_requested` is set.

        Raises:
            TrainingError: the loss stays non-finite or keeps spiking, or a checkpoint cannot be
                written.
        """
        self._started = self._window_started = time.monotonic() - self._elapsed_s
        self._validated = self._saved = self._elapsed_s
        self._window_started = time.monotonic()
        self._good = copy.deepcopy(self.state.state_dict())
        self._agree()
        while self._progress < 1 and not self.stop_requested:
            batch = self.sampler.batch(self.state.step, self.state.salt, self.rank, self.world)
            self._losses.append(self.state.train_step(batch, self._step_progress()))
            if self.state.step % self.config.window == 0:
                self._close_window()
        self._finish()

    def _step_progress(self) -> float:
        """Iterations count by steps; minutes are looked at once a window, by process 0."""
        if self.config.max_minutes is None:
            return self.state.step / self.config.iterations
        return self._progress

    def _agree(self) -> None:
        """Measure progress, and make all processes see the same."""
        self._elapsed_s = time.monotonic() - self._started
        if self.config.max_minutes is None:
            self._progress = self.state.step / self.config.iterations
        else:
            self._progress = self._elapsed_s / 60 / self.config.max_minutes
        if self.world > 1:
            agreed = torch.tensor([self._progress, self._elapsed_s, float(self.stop_requested)])
            dist.broadcast(agreed, 0)
            self._progress, self._elapsed_s = float(agreed[0]), float(agreed[1])
            self.stop_requested = bool(agreed[2])

    def _close_window(self) -> None:
        means = self._window_means()
        trouble = self._trouble(means[0])
        if trouble is not None:
            self._roll_back(trouble)
            return
        past = self._baseline if self._baseline is not None else means[0]
        self._baseline = BASELINE_MEMORY * past + (1 - BASELINE_MEMORY) * means[0]
        self._agree()
        now = time.monotonic()
        rate = len(self._losses) * self.config.batch / (now - self._window_started)
        self._window_started = now
        self._losses.clear()
        self._good = copy.deepcopy(self.state.state_dict())
        learning_rate = self.state.optimizers[0].param_groups[0]["lr"]
        self._report(
            WindowReport(
                self.state.step, self._progress, self._elapsed_s, *means, learning_rate, rate
            )
        )
        minutes = 60 * self.cadence.validation_minutes
        if self._elapsed_s - self._validated >= minutes and self._progress < 1:
            self._validate()
        if self._elapsed_s - self._saved >= 60 * self.cadence.checkpoint_minutes:
            self._save()

    def _window_means(self) -> tuple[float, float, float]:
        """Mean image loss, kernel loss and gradient norm, over all processes."""
        means = torch.stack(self._losses).mean(0).double()
        if self.world > 1:
            dist.all_reduce(means)
            means /= self.world
        image, kernel, norm = means.tolist()
        return image, kernel, norm

    def _trouble(self, image_loss: float) -> str | None:
        if not math.isfinite(image_loss):
            return "the loss is not finite"
        if self._baseline is not None and image_loss > self.config.spike * self._baseline:
            return f"the loss rose from {self._baseline:.4f} to {image_loss:.4f}"
        if not all(bool(p.isfinite().all()) for p in self.state.network.parameters()):
            return "a weight is not finite"
        return None

    def _roll_back(self, reason: str) -> None:
        step, salt = self.state.step, self.state.salt + 1
        if salt > MAX_ROLLBACKS:
            raise TrainingError(
                f"training stopped at step {step}: {reason}, after {MAX_ROLLBACKS} roll-backs; "
                f"checkpoints in {self.folder.path} are whole, resume with a lower learning rate"
            )
        self.state.load_state_dict(self._good)
        self.state.salt = salt
        self._good = copy.deepcopy(self.state.state_dict())
        self._losses.clear()
        self._report(RollbackReport(step, self.state.step, reason, 0.5**salt))

    def _validate(self) -> None:
        """Time spent here does not count as training."""
        if self.validate is not None and self.rank == 0:
            before = time.monotonic()
            psnr = tuple(self.validate(self.state))
            mean = sum(psnr) / len(psnr)
            best = mean > self._best
            self._best = max(mean, self._best)
            report = ValidationReport(self.state.step, self._elapsed_s, mean, psnr, best)
            if self.export is not None:
                self.export(self.state, report)
            self._report(report)
            self._started += time.monotonic() - before
            self._window_started = time.monotonic()
        self._validated = self._elapsed_s

    def _save(self) -> None:
        if self.rank == 0:
            self.folder.save(self.state.step, self.state_dict())
        self._saved = self._elapsed_s

    def _finish(self) -> None:
        """Judge what an interrupted window left, validate a finished run, save."""
        if self._losses and self._trouble(self._window_means()[0]) is not None:
            self.state.load_state_dict(self._good)
            self._losses.clear()
        self._elapsed_s = time.monotonic() - self._started
        if self._progress >= 1:
            self._validate()
        self._save()

    def _report(self, report: Report) -> None:
        if self.rank == 0:
            for observer in self.observers:
                observer.on_report(report)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs to end with the same bits."""
        return {
            "model": self.state.network.config.to_json(),
            "config": self.config.to_json(),
            "images": self.sampler.store.fingerprint,
            "training": self.state.state_dict(),
            "losses": [loss.cpu() for loss in self._losses],
            "baseline": self._baseline,
            "best": self._best,
            "elapsed_s": self._elapsed_s,
        }

    def resume(self, saved: dict[str, Any]) -> None:
        """Take over a checkpoint.

        Raises:
            TrainingError: it belongs to another network, other options or other images.
        """
        model = ModelConfig.from_json(saved["model"])
        if model != self.state.network.config:
            raise TrainingError(
                f"{self.folder.path}: its checkpoints are of another network ({saved['model']}); "
                "resume with the same scale and preset, or choose another --out"
            )
        differences = self.config.differences(TrainConfig.from_json(saved["config"]))
        if differences:
            raise TrainingError(
                f"{self.folder.path}: its run was started with another {', '.join(differences)}; "
                "resume with the same options, or choose another --out"
            )
        if saved["images"] != self.sampler.store.fingerprint:
            raise TrainingError(
                f"{self.folder.path}: its run was started with other training images; "
                "resume with the same folders, or choose another --out"
            )
        self.state.load_state_dict(saved["training"])
        self._losses = list(saved["losses"])
        self._baseline, self._best = saved["baseline"], saved["best"]
        self._elapsed_s = saved["elapsed_s"]
