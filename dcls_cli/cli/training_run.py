"""What `dcls train` does with its options: signals, processes, validation, messages."""

import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Self

import torch

from dcls_cli import __version__
from dcls_cli.atomic import atomic_write
from dcls_cli.backends.devices import select_device, select_precision
from dcls_cli.cli import console
from dcls_cli.cli.interruption import Interruption
from dcls_cli.cli.signals import EXIT_TERMINATED
from dcls_cli.cli.training_failures import clear_errors
from dcls_cli.cli.training_images import default_images
from dcls_cli.cli.training_validation import Validation
from dcls_cli.cli.training_view import PlainView, loading_bar, view_of
from dcls_cli.config import ModelConfig
from dcls_cli.errors import TrainingError, UsageError
from dcls_cli.training.config import Cadence, TrainConfig
from dcls_cli.training.lock import locked
from dcls_cli.training.loop import Trainer
from dcls_cli.training.plots import Pictures
from dcls_cli.training.processes import joined
from dcls_cli.training.record import recorded
from dcls_cli.training.reports import Observer
from dcls_cli.training.session import BEST, LATEST, Prepared, RunOptions, prepare
from dcls_cli.training.settings import RunSettings, Said, check_kernel_target
from dcls_cli.training.tensorboard import TensorBoard

#: How many skipped images and new layers are named; RUN/skipped.txt names all images.
TOLD = 5
SKIPPED = "skipped.txt"
CONFIG = "config.toml"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A checked command line; see `dcls train --help`.

    Attributes:
        settings: with folders of images and the folder of the run.
        model: the network.
        config: how it is trained.
        device: where.
    """

    settings: RunSettings
    model: ModelConfig
    config: TrainConfig
    device: torch.device

    @classmethod
    def of(cls, said: Said) -> Self:
        """Complete and check what the user said.

        Raises:
            UsageError: something is missing, or does not go together.
            BackendError: the device is not usable.
        """
        settings = said.settings()
        model = said.network()
        device = select_device(settings.device)
        settings = replace(
            settings,
            hr=settings.hr or default_images(),
            out=settings.out or Path("runs", f"{settings.preset}-x{settings.scale}"),
        )
        fast_bf16 = select_precision("auto", device) == "bf16"
        config = said.options(precision="bf16" if fast_bf16 else "fp32")
        if config.kernel_target == "image":
            check_kernel_target(model, config.patch, settings.preset)
        return cls(settings=settings, model=model, config=config, device=device)

    @property
    def out(self) -> Path:
        """The folder of the run."""
        assert self.settings.out is not None
        return self.settings.out

    def start(self) -> int:
        """Train to the end or to a signal; returns an exit code.

        Raises:
            DclsError: the run cannot start or go on.
        """
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"{self.out}: --out names a folder, this is a file")
        if self.settings.tensorboard:
            TensorBoard.check()
        if self.settings.threads is not None:
            torch.set_num_threads(self.settings.threads)
        interruption = Interruption()
        validation = None
        if self.settings.val is not None:
            validation = Validation.of_folder(
                self.settings.val, self.model.scale, interruption.arrived
            )
        with (
            clear_errors(),
            joined(self.device) as process,
            locked(self.out, process.rank),
        ):
            talks = process.rank == 0
            if talks:
                self._tell_setting(process.device)
            view = view_of(self.out, self.total_steps)
            prepared = self._prepare(process.device, validation, view, talks)
            if talks:
                self._tell_prepared(prepared)
                self._record(prepared)
            trainer = prepared.trainer
            if self.settings.tensorboard and talks:
                views = (lambda: ()) if validation is None else (lambda: validation.views)
                board = TensorBoard(self.out, trainer.state.step, views)
                trainer.observers = [*trainer.observers, board]
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
        settings = self.settings
        options = RunOptions(
            hr=settings.hr,
            out=self.out,
            init=settings.init,
            resume=settings.resume,
            device=str(device),
            compile=settings.compile,
            accumulate=settings.accumulate,
            cadence=Cadence(
                validation_minutes=settings.validate_minutes,
                checkpoint_minutes=settings.checkpoint_minutes,
            ),
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
        if self.settings.val is None:
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
            console.note(f"not in {self.settings.init}, start at random: {listed}")
        if prepared.resumed_at is not None:
            console.note(f"resumed at step {prepared.resumed_at}")
            if self.settings.init is not None:
                console.note(
                    f"{self.settings.init} is not read: the run goes on with its own weights"
                )

    def _record(self, prepared: Prepared) -> None:
        """Write the options of the run and the images that it does without."""
        known = {
            "dcls": __version__,
            "torch": torch.__version__,
            "processes": prepared.trainer.world,
            "images": prepared.files,
            "images_skipped": len(prepared.skipped),
            "resumed_at": prepared.resumed_at,
        }
        # What was chosen here goes into the file, so that it gives the same elsewhere or fails.
        settings = replace(self.settings, device=str(self.device), threads=torch.get_num_threads())
        text = recorded(settings, self.config, self.model, known, CONFIG)
        write_text(self.out / CONFIG, text)
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
