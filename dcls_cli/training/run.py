"""A training run from its options to its end: processes, signals, validation, files."""

import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import torch

from dcls_cli import __version__
from dcls_cli.backends.devices import select_device, select_precision
from dcls_cli.config import ModelConfig
from dcls_cli.errors import TrainingError, UsageError
from dcls_cli.files.atomic import atomic_write, printable
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.loop import Trainer
from dcls_cli.training.plots import Pictures
from dcls_cli.training.processes import (
    Interruption,
    Process,
    exit_code_of,
    joined,
    locked,
    translated_errors,
)
from dcls_cli.training.reports import Observer
from dcls_cli.training.session import Prepared, prepare
from dcls_cli.training.settings import GivenOptions, RunSettings, toml_of
from dcls_cli.training.tensorboard import TensorBoard
from dcls_cli.training.validation import SampleView, Validation

CONFIG = "config.toml"


class View(Observer, Protocol):
    """Shows a run; entered while it trains. Only the first process of a run has one."""

    def on_start(self, run: "Run", device: torch.device) -> None:
        """The run begins on a device."""

    def loading(self) -> AbstractContextManager[Callable[[int, int], None]]:
        """Entered while images are read; gives what is called with (files read, files)."""
        ...

    def on_prepared(self, run: "Run", prepared: Prepared) -> None:
        """Images, network and checkpoint are ready."""

    def on_end(self, run: "Run", trainer: Trainer) -> None:
        """The run is over, or was interrupted."""

    def __enter__(self) -> object:
        """Training begins."""

    def __exit__(self, *error: object) -> None:
        """Training is over."""


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
    def of(cls, given: GivenOptions, default_images: Callable[[], tuple[Path, ...]]) -> Self:
        """Complete and check what the user gave.

        Args:
            given: options of file and command line.
            default_images: gives the images of a run that names none.

        Raises:
            UsageError: something is missing, or does not go together.
            BackendError: the device is not usable.
        """
        settings = given.settings()
        model = given.network()
        device = select_device(settings.device)
        settings = replace(
            settings,
            hr=settings.hr or default_images(),
            out=settings.out or Path("runs", f"{settings.preset}-x{settings.scale}"),
        )
        fast_bf16 = select_precision("auto", device) == "bf16"
        config = given.options(precision="bf16" if fast_bf16 else "fp32")
        if config.kernel_target == "image":
            _check_kernel_target(model, config.patch, settings.preset)
        return cls(settings=settings, model=model, config=config, device=device)

    @property
    def out(self) -> Path:
        """The folder of the run."""
        assert self.settings.out is not None
        return self.settings.out

    @property
    def skipped(self) -> Path:
        """The file that names the images which the run does without."""
        return self.out / "skipped.txt"

    @property
    def total_steps(self) -> int | None:
        """Length of the run, unless it is counted in minutes."""
        return None if self.config.max_minutes is not None else self.config.iterations

    def start(self, view: View) -> int:
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
        with translated_errors(), joined(self.device) as process, locked(self.out, process.rank):
            shown = view if process.rank == 0 else None
            if shown is not None:
                shown.on_start(self, process.device)
            prepared = self._prepare(process, validation, view)
            trainer = prepared.trainer
            if shown is not None:
                shown.on_prepared(self, prepared)
                self._record(prepared)
                if self.settings.tensorboard:
                    board = TensorBoard(self.out, trainer.state.step, _views_of(validation))
                    trainer.observers = [*trainer.observers, board]
            with interruption.handled(trainer.request_stop), shown or nullcontext():
                trainer.run()
            if shown is not None:
                shown.on_end(self, trainer)
        if trainer.finished:
            return interruption.exit_code or 0
        # This process got no signal, and ended with another one that did.
        return interruption.exit_code or exit_code_of(signal.SIGTERM)

    def _prepare(self, process: Process, validation: Validation | None, view: View) -> Prepared:
        observers: list[Observer] = [view]
        if validation is not None:
            observers.append(Pictures(self.out, _views_of(validation), view.on_warning))
        first = process.rank == 0
        with view.loading() if first else nullcontext() as loading:
            return prepare(
                self.model,
                self.config,
                replace(self.settings, device=str(process.device)),
                observers=observers,
                validate=validation,
                loading=loading,
                warn=view.on_warning if first else lambda _message: None,
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
        text = toml_of(settings, self.config, self.model, known, CONFIG)
        write_text(self.out / CONFIG, text)
        if prepared.skipped:
            lines = [f"{printable(item.path)}\t{item.reason}\n" for item in prepared.skipped]
            write_text(self.skipped, "".join(lines))


def _views_of(validation: Validation | None) -> Callable[[], Sequence[SampleView]]:
    """The pictures of the last validation; none without validations."""
    return lambda: () if validation is None else validation.views


def _check_kernel_target(model: ModelConfig, patch: int, preset: str) -> None:
    """Refuse Eq. 7 on images where it has no meaning.

    Raises:
        UsageError: the network estimates HR kernels, or a patch is smaller than its kernel.
    """
    if model.kernel_space != "lr":
        raise UsageError(
            f"--kernel-target image is for --preset paper-iso and the like; {preset} learns the HR "
            "kernel itself"
        )
    if patch < model.kernel_size:
        raise UsageError(
            f"--kernel-target image needs --patch {model.kernel_size} or larger, the kernel's "
            f"width; got {patch}"
        )


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        TrainingError: it cannot be written.
    """
    content = text.encode(errors="surrogateescape")
    try:
        atomic_write(path, lambda file: file.writelines([content]), overwrite=True)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written ({error.strerror})") from error
