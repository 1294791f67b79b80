"""Curves and pictures of a run for TensorBoard."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from dcls_cli.degradation import bicubic
from dcls_cli.errors import TrainingError
from dcls_cli.evaluation.samples import distinct_names
from dcls_cli.installation import install_command
from dcls_cli.training.reports import Report, RollbackReport, ValidationReport, WindowReport
from dcls_cli.training.validation import SampleView

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
#: White pixels between the pictures of a row.
GAP_PX = 4


class TensorBoard:
    """Writes event files; watches a run as its other observers do.

    A run that goes on writes a new file, whose first entry makes TensorBoard forget what earlier
    files say of later steps: steps that were lost and made again appear once.
    """

    def __init__(self, out: Path, step: int, views: Callable[[], Sequence[SampleView]]) -> None:
        """Write into the folder of a run.

        Args:
            out: of the run; gets a folder for the files.
            step: the run's, as it begins or goes on.
            views: the pictures of the last validation.
        """
        self.out, self.step, self.views = out, step, views
        self._opened: SummaryWriter | None = None

    @staticmethod
    def check() -> None:
        """Find out before a run whether event files can be written.

        Raises:
            TrainingError: the package is missing.
        """
        if importlib.util.find_spec("tensorboard") is None:
            raise TrainingError(
                f"--tensorboard needs TensorBoard: {install_command('tensorboard')}"
            )

    def on_report(self, report: Report) -> None:
        """Write figures, and pictures after a validation.

        Raises:
            TrainingError: the file cannot be written.
        """
        try:
            writer = self._writer()
            for name, value in _figures(report).items():
                writer.add_scalar(name, value, report.step)
            if isinstance(report, ValidationReport):
                self._draw(writer, report.step)
            writer.flush()
        except OSError as error:
            raise TrainingError(
                f"{self.out / FOLDER}: cannot be written ({error.strerror or error}); checkpoints "
                "are whole, free some space and resume"
            ) from error

    def on_warning(self, message: str) -> None:
        """Warnings are not drawn."""

    def _draw(self, writer: "SummaryWriter", step: int) -> None:
        """Write the pictures of the last validation; each has a name of its own."""
        views = self.views()
        names = distinct_names([view.name for view in views])
        for view, name in zip(views, names, strict=True):
            title = f"pictures/{name} (LR, bicubic, restored, sharp)"
            writer.add_image(title, side_by_side(view), step, dataformats="HWC")
            writer.add_image(f"kernels/{name}", _grey(view.kernel), step, dataformats="HW")

    def _writer(self) -> "SummaryWriter":
        """Open the file with the first report, so that a run that cannot start leaves none."""
        if self._opened is None:
            from torch.utils.tensorboard import SummaryWriter

            self._opened = SummaryWriter(self.out / FOLDER, purge_step=self.step + 1)
        return self._opened


def _figures(report: Report) -> dict[str, float]:
    """Names and values of the figures in a report."""
    match report:
        case WindowReport():
            return {
                "loss/image": report.image_loss,
                "loss/kernel": report.kernel_loss,
                "training/gradient norm": report.gradient_norm,
                "training/learning rate": report.learning_rate,
                "training/patches per second": report.patches_per_s,
                "training/minutes": report.elapsed_s / 60,
            }
        case ValidationReport():
            by_sigma = report.psnr_y_db_by_sigma
            return {
                "validation/PSNR Y, dB": report.psnr_y_db,
                "validation/PSNR Y of the narrowest blur, dB": by_sigma[0],
                "validation/PSNR Y of the widest blur, dB": by_sigma[-1],
            }
        case RollbackReport():
            return {"training/roll-back": report.learning_rate_factor}


def side_by_side(view: SampleView) -> np.ndarray:
    """LR image with visible pixels, bicubic, restored and sharp image: (H, W, 3) uint8."""
    scale = view.hr.shape[1] // view.lr.shape[1]
    lr = view.lr / 255.0
    pictures = (
        lr.repeat(scale, 1).repeat(scale, 2),
        bicubic(torch.from_numpy(lr)[None], scale)[0].numpy(),
        view.sr,
        view.hr / 255.0,
    )
    gap = np.ones((3, view.hr.shape[1], GAP_PX))
    row = [part for picture in pictures for part in (picture, gap)][:-1]
    whole = np.concatenate(row, axis=2).clip(0, 1).transpose(1, 2, 0)
    return np.asarray(np.rint(whole * 255), np.uint8)


def _grey(kernel: np.ndarray) -> np.ndarray:
    """A kernel as (k, k) uint8, its largest tap white."""
    shown = kernel.clip(0) / max(float(kernel.max()), 1e-12)
    return np.asarray(np.rint(shown * 255), np.uint8)
