"""A sheet of validation images: what went in, what came out, what was sharp."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from dcls_cli.degradation import bicubic
from dcls_cli.metrics import crop_border, luma, psnr, round_to_8_bit
from dcls_cli.reports.figures import new_figure, write_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Width of the part of an image that is shown, LR pixels.
DETAIL_PX = 64


@dataclass(frozen=True)
class SampleView:
    """One validation image and what the averaged network made of it.

    Attributes:
        name: of the image.
        sigma: width of its blur, HR pixels.
        psnr_y_db: of the restored image.
        lr: (3, h, w) uint8.
        sr: (3, s h, s w) float32, not clamped.
        hr: (3, s h, s w) uint8.
        kernel: (k, k), estimated.
    """

    name: str
    sigma: float
    psnr_y_db: float
    lr: np.ndarray
    sr: np.ndarray
    hr: np.ndarray
    kernel: np.ndarray


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
