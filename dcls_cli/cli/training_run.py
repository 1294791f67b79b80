"""What `dcls train` does with its options: signals, processes, validation, what is told."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import torch
from torch._dynamo.exc import TorchDynamoException

from dcls_cli import __version__
from dcls_cli.atomic import atomic_write
from dcls_cli.backends.devices import select_precision
from dcls_cli.cli import console
from dcls_cli.cli.interruption import Interruption
from dcls_cli.cli.signals import EXIT_TERMINATED
from dcls_cli.cli.training_validation import Validation
from dcls_cli.cli.training_view import PlainView, loading_bar, view_of
from dcls_cli.config import ModelConfig
from dcls_cli.errors import BackendError, OutOfMemoryError, TrainingError, UsageError
from dcls_cli.training.config import Cadence, TrainConfig
from dcls_cli.training.loop import Trainer
from dcls_cli.training.plots import Pictures
from dcls_cli.training.processes import joined
from dcls_cli.training.reports import Observer
from dcls_cli.training.session import BEST, LATEST, Prepared, RunOptions, prepare

#: How many skipped images and new layers are told; RUN/skipped.txt names all images.
TOLD = 5
SKIPPED = "skipped.txt"


@dataclass(frozen=True, kw_only=True)
class Run:
    """The checked options of a command line; see `dcls train --help`."""

    model: ModelConfig
    config: TrainConfig
    hr: tuple[Path, ...]
    val: Path | None
    out: Path
    init: Path | None
    resume: Literal["auto", "never"]
    device: torch.device
    compile: bool
    cadence: Cadence
    threads: int | None

    def start(self) -> int:
        """Train to the end or to a signal; returns an exit code.

        Raises:
            DclsError: the run cannot start or go on.
        """
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"{self.out}: --out names a folder, this is a file")
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        interruption = Interruption()
        validation = None
        if self.val is not None:
            validation = Validation.of_folder(self.val, self.model.scale, interruption.arrived)
        with clear_errors(), joined(self.device) as process:
            talks = process.rank == 0
            if talks:
                self._tell_setting(process.device)
            view = view_of(self.out, self.total_steps)
            prepared = self._prepare(process.device, validation, view, talks)
            if talks:
                self._tell_prepared(prepared)
                self._record(prepared)
            trainer = prepared.trainer
            with interruption.stopping(trainer), view if talks else nullcontext():
                trainer.run()
            if talks:
                self._conclude(trainer)
        if trainer.finished:
            return interruption.exit_code or 0
        # Without a signal of its own, this process ended with one that had.
        return interruption.exit_code or EXIT_TERMINATED

    @property
    def total_steps(self) -> int | None:
        """Length of the run, unless it is counted in minutes."""
        return None if self.config.max_minutes is not None else self.config.iterations

    def _prepare(
        self, device: torch.device, validation: Validation | None, view: PlainView, talks: bool
    ) -> Prepared:
        observers: list[Observer] = [view]
        if validation is not None:
            observers.append(Pictures(self.out, lambda: validation.views, view.on_warning))
        options = RunOptions(
            hr=self.hr,
            out=self.out,
            init=self.init,
            resume=self.resume,
            device=str(device),
            compile=self.compile,
            cadence=self.cadence,
        )
        with loading_bar(talks) as loading:
            return prepare(
                self.model,
                self.config,
                options,
                observers=observers,
                validate=validation,
                loading=loading,
                warn=console.note if talks else silent,
            )

    def _tell_setting(self, device: torch.device) -> None:
        precision: str = self.config.precision
        if precision == "bf16" and select_precision("auto", device) != "bf16":
            precision += " (slow here; --precision fp32 is faster)"
        elif precision == "fp32" and select_precision("auto", device) != "bf16":
            precision += " (bf16 is not faster here)"
        count = torch.get_num_threads()
        threads = f", {count} thread{'s' * (count > 1)}" if device.type == "cpu" else ""
        console.note(f"training on {device}{threads}, {precision}")
        if self.val is None:
            console.note("no --val: nothing is measured, the last averaged weights are kept")

    def _tell_prepared(self, prepared: Prepared) -> None:
        for item in prepared.skipped[:TOLD]:
            console.note(f"skipped {item.path}: {item.reason}")
        if len(prepared.skipped) > TOLD:
            more = len(prepared.skipped) - TOLD
            console.note(f"skipped {more} more images, see {self.out / SKIPPED}")
        console.note(
            f"{prepared.files} images, {prepared.megapixels:.1f} megapixels"
            + (f", {len(prepared.skipped)} skipped" if prepared.skipped else "")
        )
        if prepared.new_layers:
            listed = ", ".join(prepared.new_layers)
            console.note(f"not in {self.init}, start at random: {listed}")
        if prepared.resumed_at is not None:
            console.note(f"resumed at step {prepared.resumed_at}")
            if self.init is not None:
                console.note(f"{self.init} is not read: the run goes on with its own weights")

    def _record(self, prepared: Prepared) -> None:
        """Write the options of the run and the images that it does without."""
        record = {
            "dcls": __version__,
            "torch": torch.__version__,
            "model": asdict(self.model),
            "training": asdict(self.config),
            "hr": [str(folder) for folder in self.hr],
            "val": None if self.val is None else str(self.val),
            "init": None if self.init is None else str(self.init),
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "compile": self.compile,
            "cadence": asdict(self.cadence),
            "images": prepared.files,
            "images_skipped": len(prepared.skipped),
            "resumed_at": prepared.resumed_at,
        }
        write_text(self.out / "config.json", json.dumps(record, indent=2) + "\n")
        if prepared.skipped:
            lines = [f"{console.visible(item.path)}\t{item.reason}\n" for item in prepared.skipped]
            write_text(self.out / SKIPPED, "".join(lines))

    def _conclude(self, trainer: Trainer) -> None:
        """Say on stdout which weights there are, or on stderr how to go on."""
        step, minutes = trainer.state.step, trainer.elapsed_s / 60
        if not trainer.finished:
            console.note(
                f"stopped at step {step} after {minutes:.1f} minutes; "
                f"the same command with --resume auto goes on"
            )
            return
        validated = math.isfinite(trainer.best_psnr_db)
        psnr = f"PSNR Y {trainer.best_psnr_db:.2f} dB" if validated else "not validated"
        weights = self.out / (BEST if validated else LATEST)
        console.say(f"{weights}  {psnr}  {step} steps  {minutes:.1f} min")


def silent(_message: str) -> None:
    """What processes other than the first say."""


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        TrainingError: it cannot be written.
    """

    def write(file: BinaryIO) -> None:
        file.write(text.encode(errors="surrogateescape"))

    try:
        atomic_write(path, write, overwrite=True)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written ({error.strerror})") from error


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what PyTorch raises for want of memory or of a compiler into our errors.

    Raises:
        OutOfMemoryError: memory ran out.
        BackendError: the network cannot be compiled here.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, TorchDynamoException):
            reason = str(error).strip().splitlines()[0]
            raise BackendError(
                f"--compile does not work here: {reason}; train without it"
            ) from error
        of_cpu = "DefaultCPUAllocator" in str(error)
        if not (of_cpu or isinstance(error, MemoryError | torch.OutOfMemoryError)):
            raise
        raise OutOfMemoryError(
            "out of memory; give a smaller --batch or --patch, or fewer images"
        ) from error
