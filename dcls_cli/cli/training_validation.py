"""The validation of `dcls train`: Gaussian8 of the averaged network, and pictures of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from dcls_cli.errors import ImageError
from dcls_cli.evaluation import Gaussian8Set, find_hr, rows_by_sigma
from dcls_cli.training.samples import SampleView
from dcls_cli.training.state import TrainState
from dcls_cli.training.validation import AveragedRestorer

#: How many images are shown, and with which of the eight blurs.
SHOWN = 4
SHOWN_SIGMA = 5


class Validation:
    """Measures a network on images that were degraded once.

    Attributes:
        views: pictures of the last validation.
    """

    def __init__(self, data: Gaussian8Set, stopped: Callable[[], bool]) -> None:
        """`stopped` is asked before each image whether the run is to end."""
        self.data, self.stopped = data, stopped
        self.views: tuple[SampleView, ...] = ()

    @classmethod
    def of_folder(cls, folder: Path, scale: int, stopped: Callable[[], bool]) -> Self:
        """Read and degrade the images of a folder.

        Raises:
            ImageError: there are none, or one cannot be evaluated.
        """
        try:
            return cls(Gaussian8Set.from_paths(find_hr(folder), scale), stopped)
        except ImageError as error:
            raise ImageError(f"--val: {error}") from error

    def __call__(self, state: TrainState) -> list[float] | None:
        """Mean PSNR of each blur width, dB; None if the run is to end."""
        restorer = AveragedRestorer(state)
        rows, views = [], []
        for index, sample in enumerate(self.data.samples):
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
