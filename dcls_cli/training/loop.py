"""The training loop: time-boxed or counted, exactly resumable, and guarded against collapse."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist

from dcls_cli.backends.devices import exact_fp32
from dcls_cli.degradation.draws import VERSION
from dcls_cli.errors import TrainingError
from dcls_cli.training.batches import PatchSampler
from dcls_cli.training.checkpoint import CheckpointFolder, check_same_run
from dcls_cli.training.config import Cadence, TrainConfig
from dcls_cli.training.processes import true_anywhere
from dcls_cli.training.reports import (
    Observer,
    Report,
    RollbackReport,
    ValidationReport,
    WindowReport,
)
from dcls_cli.training.state import Guard, TrainState

MAX_ROLLBACKS = 8

#: Averaged network -> mean PSNR of each blur width, dB; None: it was asked to stop.
Validate = Callable[[TrainState], Sequence[float] | None]

#: Writes weights; without a report they were not validated.
Export = Callable[[TrainState, ValidationReport | None], None]


@dataclass(kw_only=True)
class Trainer:
    """Runs a training state to its end.

    A non-finite or spiking window is undone, with half the learning rate and other batches then.

    Attributes:
        state: what is trained.
        sampler: where batches come from.
        folder: where checkpoints go.
        validate: measures the averaged network; None: no validation.
        export: called with every validation, to write weights; None: nothing is written.
        observers: get every report.
        cadence: how often to validate and save.
        rank: index of this process; only 0 validates, reports and saves.
        world: number of processes.
        stop_requested: whether the run ends after its step; see `request_stop`.
    """

    state: TrainState
    sampler: PatchSampler
    folder: CheckpointFolder
    validate: Validate | None = None
    export: Export | None = None
    observers: Sequence[Observer] = ()
    cadence: Cadence = field(default_factory=Cadence)
    rank: int = 0
    world: int = 1
    stop_requested: bool = False
    best_psnr_db: float = -math.inf
    elapsed_s: float = 0.0
    _validated_step: int | None = None
    _progress: float = 0.0

    def __post_init__(self) -> None:
        """Guard the state."""
        self._guard = Guard(self.state, self.config.spike)

    @property
    def config(self) -> TrainConfig:
        """Options of the run."""
        return self.state.config

    @property
    def finished(self) -> bool:
        """Whether the iterations or minutes are used up."""
        return self._progress >= 1

    @exact_fp32()
    def run(self) -> None:
        """Train until the iterations or minutes are used up, or `stop_requested` is set.

        What is fp32 is computed as in inference, for which the network is trained.

        Raises:
            TrainingError: the loss stays non-finite or keeps spiking, or a checkpoint cannot be
                written.
        """
        self._started = time.monotonic() - self.elapsed_s
        self._validated = self._saved = self.elapsed_s
        self._open_window()
        self._agree()
        while not self._over():
            batch = self.sampler.batch(self.state.step, self.state.salt, self.rank, self.world)
            self._guard.add(self.state.train_step(batch, self._step_progress()))
            last = self.config.max_minutes is None and self.state.step >= self.config.iterations
            if self.state.step % self.config.window == 0 or last:
                self._close_window()
        self._finish()

    def request_stop(self) -> None:
        """End the run after its step; one process is enough, and signal handlers may call it."""
        self.stop_requested = True

    def _over(self) -> bool:
        """Look at the clock and at `stop_requested`; all processes stop after the same step."""
        over = self.finished
        if self.config.max_minutes is not None and self.rank == 0:
            over |= time.monotonic() - self._started >= 60 * self.config.max_minutes
        over, stop = true_anywhere(over, self.stop_requested)
        if stop:  # never reset: a signal may have set it since
            self.stop_requested = True
        return over or stop

    def _step_progress(self) -> float:
        """Iterations count by steps; minutes are looked at once a window, by process 0."""
        if self.config.max_minutes is None:
            return self.state.step / self.config.iterations
        return self._progress

    def share_done(self) -> float:
        """The part of the run's length that is behind it: 1 or more where nothing is left."""
        minutes = self.config.max_minutes
        return self.elapsed_s / 60 / minutes if minutes else self._step_progress()

    def _agree(self) -> None:
        """Measure progress, and make all processes see the same."""
        self.elapsed_s = time.monotonic() - self._started
        self._progress = self.share_done()
        if self.world > 1:
            agreed = torch.tensor([self._progress, self.elapsed_s], dtype=torch.float64)
            dist.broadcast(agreed, 0)
            self._progress, self.elapsed_s = agreed.tolist()

    def _open_window(self) -> None:
        self._window_started, self._window_step = time.monotonic(), self.state.step

    def _close_window(self) -> None:
        means = self._guard.means()
        trouble = self._guard.trouble(means)
        if trouble is not None:
            self._roll_back(trouble)
            return
        self._guard.accept(means)
        self._agree()
        seconds = max(time.monotonic() - self._window_started, 1e-9)
        patches = (self.state.step - self._window_step) * self.config.batch
        rate = self.state.last_rate
        now = (self.state.step, self._progress, self.elapsed_s)
        self._report(WindowReport(*now, *means, rate, patches / seconds))
        due = self.elapsed_s - self._validated >= 60 * self.cadence.validation_minutes
        if due and not self.finished and not self.stop_requested:
            self._validate()
        if due or self.elapsed_s - self._saved >= 60 * self.cadence.checkpoint_minutes:
            self._save()
        self._open_window()

    def _roll_back(self, reason: str) -> None:
        step, salt = self.state.step, self.state.salt + 1
        if salt > MAX_ROLLBACKS:
            raise TrainingError(
                f"training stopped at step {step}: {reason}, after {MAX_ROLLBACKS} roll-backs; "
                f"checkpoints in {self.folder.path} are whole; start another run from the last "
                "weights (--init) with a lower --learning-rate"
            )
        self._guard.undo(salt)
        self._report(RollbackReport(step, self.state.step, reason, 0.5**salt))
        self._agree()
        self._open_window()

    def _validate(self) -> None:
        """Time spent here does not count as training."""
        if self.rank == 0:
            before = time.monotonic()
            report = self._measure()
            if self.export is not None and (self.validate is None or report is not None):
                self.export(self.state, report)
            if report is not None:
                self._report(report)
            if self.validate is None or report is not None:
                self._validated_step = self.state.step
            self._started += time.monotonic() - before
        self._validated = self.elapsed_s

    def _measure(self) -> ValidationReport | None:
        psnr = None if self.validate is None else self.validate(self.state)
        if psnr is None:
            return None
        mean = sum(psnr) / len(psnr)
        best = mean > self.best_psnr_db
        self.best_psnr_db = max(mean, self.best_psnr_db)
        return ValidationReport(self.state.step, self.elapsed_s, mean, tuple(psnr), best)

    def _save(self) -> None:
        if self.rank == 0:
            self.folder.save(self.state.step, self.state_dict())
        self._saved = self.elapsed_s

    def _finish(self) -> None:
        """Judge what an interrupted window left, save, and validate a finished run."""
        self._agree()
        if self._guard.losses:
            means = self._guard.means()
            trouble = self._guard.trouble(means)
            if trouble is not None:
                self._guard.undo(self.state.salt)
                self._warn(f"the steps since step {self.state.step} are dropped: {trouble}")
            elif self.finished:
                self._guard.accept(means)
        self._save()
        if self.finished and self._validated_step != self.state.step:
            self._validate()
            self._save()

    def _report(self, report: Report) -> None:
        if self.rank == 0:
            for observer in self.observers:
                observer.on_report(report)

    def _warn(self, message: str) -> None:
        if self.rank == 0:
            for observer in self.observers:
                observer.on_warning(message)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs to end, on a CPU, with the same bits."""
        return {
            "model": self.state.network.config.to_json(),
            "config": self.config.to_json(),
            "damage": VERSION,
            "images": self.sampler.store.fingerprint,
            "training": self.state.state_dict(),
            "best": self.best_psnr_db,
            "elapsed_s": self.elapsed_s,
            "validated_step": self._validated_step,
            **self._guard.state_dict(),
        }

    def resume(self, saved: dict[str, Any]) -> None:
        """Take over a checkpoint.

        Raises:
            TrainingError: it belongs to another network, other options or other images.
        """
        check_same_run(saved, self.state.network.config, self.config, self.folder.path)
        if saved["images"] != self.sampler.store.fingerprint:
            raise TrainingError(
                f"{self.folder.path}: its run was started with other training images; "
                "resume with the same folders, or choose another --out"
            )
        self.state.load_state_dict(saved["training"])
        self._guard.load_state_dict(saved)
        self.best_psnr_db, self.elapsed_s = saved["best"], saved["elapsed_s"]
        self._validated_step = saved.get("validated_step")
