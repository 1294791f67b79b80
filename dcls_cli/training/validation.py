"""The validation of a run: Gaussian8 figures of the averaged network, and pictures of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from dcls_cli.errors import ImageError
from dcls_cli.evaluation.gaussian8 import gaussian8_sample
from dcls_cli.evaluation.rows import rows_by_sigma
from dcls_cli.evaluation.samples import Sample, find_hr, read_hr
from dcls_cli.training.state import TrainState

#: How many images are shown, and with which of the eight blurs.
SHOWN = 4
SHOWN_SIGMA = 5


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


class AveragedRestorer:
    """Restores arrays with the averaged weights, on the training device and in its precision.

    Attributes:
        sr: what the last call returned, (3, s h, s w) float32, not clamped.
        kernel: the kernel that the last call estimated, (k, k) float32.
    """

    sr: np.ndarray
    kernel: np.ndarray

    def __init__(self, state: TrainState) -> None:
        """Use the state's weights as they are at each call."""
        self._network, self._bf16 = state.ema, state.config.precision == "bf16"
        self._device = next(state.ema.parameters()).device

    def __call__(self, lr: np.ndarray) -> np.ndarray:
        """LR (3, h, w) float32 in [0, 1] -> SR (3, s h, s w) float32."""
        image = torch.from_numpy(lr)[None].to(self._device)
        image = image.contiguous(memory_format=torch.channels_last)
        autocast = torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16)
        with torch.no_grad(), autocast:
            restoration = self._network(image)
        self.sr = restoration.sr[0].float().contiguous().cpu().numpy()
        self.kernel = restoration.kernel[0, 0].float().cpu().numpy()
        return self.sr


class Validation:
    """Measures a network on images that were degraded once.

    Attributes:
        views: pictures of the last validation.
    """

    def __init__(self, samples: Sequence[Sample], stopped: Callable[[], bool]) -> None:
        """Take degraded images; `stopped` is asked before each one whether the run is to end."""
        self.samples, self.stopped = tuple(samples), stopped
        self.views: tuple[SampleView, ...] = ()

    @classmethod
    def of_folder(cls, folder: Path, scale: int, stopped: Callable[[], bool]) -> Self:
        """Read and degrade the images of a folder.

        Raises:
            ImageError: there are none, or one cannot be evaluated.
        """
        try:
            paths = find_hr(folder)
            samples = [gaussian8_sample(path.name, read_hr(path), scale) for path in paths]
        except ImageError as error:
            raise ImageError(f"--val: {error}") from error
        return cls(samples, stopped)

    def __call__(self, state: TrainState) -> list[float] | None:
        """Mean PSNR of each blur width, dB; None if the run is to end."""
        restorer = AveragedRestorer(state)
        rows, views = [], []
        for index, sample in enumerate(self.samples):
            restored = sample.rows(restorer, with_ssim=False)
            for sigma_index in range(len(sample.sigmas)):
                if self.stopped():
                    return None
                row = next(restored)
                rows.append(row)
                if index < SHOWN and sigma_index == SHOWN_SIGMA:
                    view = SampleView(
                        name=sample.image,
                        sigma=sample.sigmas[sigma_index],
                        psnr_y_db=row.psnr_y,
                        lr=sample.lr[sigma_index],
                        sr=restorer.sr,
                        hr=sample.hr,
                        kernel=restorer.kernel,
                    )
                    views.append(view)
        self.views = tuple(views)
        return [row.psnr_y for row in rows_by_sigma(rows)]
