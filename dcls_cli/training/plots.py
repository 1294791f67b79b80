"""Pictures of a run: its curves, and what it makes of a few images."""

import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dcls_cli.degradation import bicubic
from dcls_cli.installation import install_command
from dcls_cli.metrics import crop_border, luma, psnr, round_to_8_bit
from dcls_cli.reports.figures import new_figure, write_png
from dcls_cli.training.reports import Report, ValidationReport, read_log
from dcls_cli.training.validation import SampleView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES, SAMPLES = "curves.png", "samples.png"
LOSS, KERNEL, PSNR, RATE = "#4477aa", "#ee6677", "#228833", "#997700"


#: Width of the part of an image that is shown, LR pixels.
DETAIL_PX = 64


class Pictures:
    """Draws after each validation; watches a run as its other observers do."""

    def __init__(
        self, out: Path, views: Callable[[], Sequence[SampleView]], warn: Callable[[str], None]
    ) -> None:
        """Draw into the folder of a run.

        Args:
            out: holds `log.jsonl`; gets `curves.png` and `samples.png`.
            views: the pictures of the last validation.
            warn: called once with the reason why there are no pictures.
        """
        self.out, self.views, self.warn = out, views, warn
        self._warned = False

    def on_report(self, report: Report) -> None:
        """Draw after a validation; a picture that cannot be written does not end the run."""
        if not isinstance(report, ValidationReport):
            return
        if importlib.util.find_spec("matplotlib") is None:
            self._warn_once(
                f"curves are not drawn: matplotlib is missing: {install_command('train')}"
            )
            return
        try:
            draw_curves(read_log(self.out / "log.jsonl"), self.out / CURVES)
            draw_samples(self.views(), report.step, self.out / SAMPLES)
        except OSError as error:
            self._warn_once(f"{error.filename}: not drawn: {error.strerror}")

    def on_warning(self, message: str) -> None:
        """Warnings are not drawn."""

    def _warn_once(self, text: str) -> None:
        if not self._warned:
            self.warn(text)
        self._warned = True


def draw_curves(records: Sequence[dict[str, Any]], path: Path) -> None:
    """PSNR, losses and learning rate over the minutes of training, as PNG.

    Args:
        records: of the log.
        path: written whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    windows = [record for record in records if record["event"] == "window"]
    validations = [record for record in records if record["event"] == "validation"]
    figure = new_figure(8.0, 9.0)
    heights = {"height_ratios": (3, 2, 2, 1.2)}
    top, image, kernel, rate = figure.subplots(4, 1, sharex=True, gridspec_kw=heights)
    minutes = [record["elapsed_s"] / 60 for record in windows]
    _draw_psnr(top, validations)
    _draw_loss(image, minutes, [record["image_loss"] for record in windows], LOSS)
    image.set(ylabel="image, mean L1")
    _draw_loss(kernel, minutes, [record["kernel_loss"] for record in windows], KERNEL)
    kernel.set(ylabel="kernel, summed L1", yscale="log")
    rate.plot(minutes, [record["learning_rate"] for record in windows], color=RATE)
    rate.set(ylabel="learning rate", xlabel="minutes of training", ylim=(0, None))
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for rollback in (record for record in records if record["event"] == "rollback"):
        back_to = [record for record in windows if record["step"] <= rollback["back_to"]]
        for axes in (image, kernel, rate):
            axes.axvline(back_to[-1]["elapsed_s"] / 60 if back_to else 0, color="0.6", ls=":")
    for axes in (top, image, kernel, rate):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    if windows:
        # The last validation comes after the last step.
        top.set_xlim(0, max(record["elapsed_s"] for record in (*windows, *validations)) / 60)
        _add_steps(top, windows)
    write_png(figure, path)


def _draw_psnr(axes: "Axes", validations: Sequence[dict[str, Any]]) -> None:
    minutes = [record["elapsed_s"] / 60 for record in validations]
    spread = [record["psnr_y_db_by_sigma"] for record in validations]
    mean = [record["psnr_y_db"] for record in validations]
    if validations:
        axes.fill_between(
            minutes,
            [min(s) for s in spread],
            [max(s) for s in spread],
            color=PSNR,
            alpha=0.15,
            lw=0,
        )
        axes.plot(minutes, mean, ".-", color=PSNR)
        best = int(np.argmax(mean))
        axes.annotate(
            f"{mean[best]:.2f} dB",
            (minutes[best], mean[best]),
            xytext=(0, 7),
            textcoords="offset points",
            ha="right" if len(mean) > 1 else "left",
            color=PSNR,
        )
    axes.set(ylabel="PSNR Y, dB")
    axes.set_title("Gaussian8 of the averaged weights: mean and range over the blurs", fontsize=10)


def _draw_loss(
    axes: "Axes", minutes: Sequence[float], values: Sequence[float], colour: str
) -> None:
    axes.plot(minutes, values, color=colour, alpha=0.25, lw=0.8)
    axes.plot(minutes, _smooth(values), color=colour)


def _smooth(values: Sequence[float]) -> list[float]:
    """Mean over the neighbours, a fiftieth of the run to each side."""
    reach = len(values) // 50
    return [float(np.mean(values[max(0, i - reach) : i + reach + 1])) for i in range(len(values))]


def _add_steps(axes: "Axes", windows: Sequence[dict[str, Any]]) -> None:
    """A second scale on top that counts steps: speed may change, so it is read off the log."""
    from matplotlib.ticker import MaxNLocator

    minutes = [0.0, *(record["elapsed_s"] / 60 for record in windows)]
    steps = [0.0, *(float(record["step"]) for record in windows)]
    marks = [mark for mark in MaxNLocator(8).tick_values(0, steps[-1]) if mark <= steps[-1]]
    scale = axes.secondary_xaxis("top")
    scale.set_xticks(np.interp(marks, steps, minutes), [f"{mark:.0f}" for mark in marks])
    scale.set_xlabel("steps")


def draw_samples(views: Sequence[SampleView], step: int, path: Path) -> None:
    """LR, bicubic, restored and sharp image side by side, a row each, as PNG.

    Args:
        views: what is shown; nothing is drawn without any.
        step: of the weights.
        path: written whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    if not views:
        return
    side = 2.4
    figure = new_figure(4 * side + 0.1, len(views) * (side + 0.32) + 0.3)
    rows = figure.subplots(len(views), 4, squeeze=False)
    for axes, view in zip(rows, views, strict=True):
        _draw_row(axes, view)
    figure.suptitle(f"step {step}", fontsize=9)
    write_png(figure, path)


def _draw_row(axes: Sequence["Axes"], view: SampleView) -> None:
    scale = view.hr.shape[1] // view.lr.shape[1]
    enlarged = bicubic(torch.from_numpy(view.lr / 255.0)[None], scale)[0].numpy()
    sharp = view.hr / 255.0
    bicubic_db = psnr(
        crop_border(luma(round_to_8_bit(enlarged)), scale), crop_border(luma(sharp), scale)
    )
    top, left, size = _most_detail(sharp, scale)
    window = np.s_[:, top * scale : (top + size) * scale, left * scale : (left + size) * scale]
    for axis, image, title in zip(
        axes,
        (
            view.lr[:, top : top + size, left : left + size] / 255.0,
            enlarged[window],
            view.sr[window],
            sharp[window],
        ),
        (
            f"{Path(view.name).stem}, σ {view.sigma:.2f}",
            f"bicubic {bicubic_db:.2f} dB",
            f"restored {view.psnr_y_db:.2f} dB",
            "sharp",
        ),
        strict=True,
    ):
        axis.imshow(image.clip(0, 1).transpose(1, 2, 0), interpolation="nearest")
        axis.set_title(title, fontsize=8, pad=3)
        axis.set_axis_off()
    inset = axes[2].inset_axes((0.0, 0.72, 0.28, 0.28))
    inset.imshow(view.kernel, cmap="inferno", interpolation="nearest")
    inset.set(xticks=(), yticks=())
    inset.spines[:].set_color("white")


def _most_detail(sharp: np.ndarray, scale: int) -> tuple[int, int, int]:
    """Top, left and width in LR pixels of the square window with the largest gradients."""
    height, width = sharp.shape[1] // scale, sharp.shape[2] // scale
    size = min(DETAIL_PX, height, width)
    grey = sharp.mean(0)
    steepness = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    total = np.pad(steepness.cumsum(0).cumsum(1), ((1, 1), (1, 1)), mode="edge")
    total[0], total[:, 0] = 0, 0
    best, place = -math.inf, (0, 0)
    stride = max(1, size // 8)
    for top in range(0, height - size + 1, stride):
        for left in range(0, width - size + 1, stride):
            up, first, down, last = (scale * x for x in (top, left, top + size, left + size))
            inside = total[down, last] - total[up, last] - total[down, first] + total[up, first]
            if inside > best:
                best, place = inside, (top, left)
    return *place, size
