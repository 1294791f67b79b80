"""Noise that the user states, in place of what a network estimates.

A network that estimates the noise takes it as power over the variance of the clean photo, which
decides how far its linear part smooths. People measure the standard deviation in levels of 255.
"""

import math
from dataclasses import replace

import numpy as np

from dcls_cli.backends import Backend, Blur, PassedOn, Raster
from dcls_cli.errors import UsageError

#: Range of the ratio that networks are trained with.
_RATIOS = (1e-6, 1.0)

#: Variance that a flat photo is taken to have, of full scale, as in training.
_LEAST_VARIANCE = 1e-4

#: Rows that are read at a time.
_BAND_PX = 256

#: Of noise that is no longer a photo's, levels of 255.
MOST_NOISE = 128


def noise_of(given: str | float | None) -> float | None:
    """Read a standard deviation, levels of 255; None for `auto` or None.

    Raises:
        UsageError: neither that nor a number from 0 to `MOST_NOISE`.
    """
    if given in (None, "auto"):
        return None
    try:
        sigma = float(given or 0)
    except ValueError:
        sigma = math.nan
    if not 0 <= sigma <= MOST_NOISE:  # true of NaN too
        raise UsageError(
            f"noise {given}: expected auto, or its standard deviation from 0 to {MOST_NOISE} "
            "levels of 255"
        )
    return sigma


class KnownNoise(PassedOn):
    """A `Backend` whose estimates have the noise that the user states."""

    def __init__(self, backend: Backend, photo: Raster, sigma: float) -> None:
        """Measure a photo.

        Args:
            backend: a network that estimates the noise.
            photo: its colours.
            sigma: standard deviation of the noise, levels of 255.

        Raises:
            UsageError: the network takes the noise as fixed.
        """
        super().__init__(backend)
        if backend.config.noise != "estimated":
            raise UsageError(
                "--noise is for networks that estimate the noise, and this one does not; give "
                "-m dcls-photo-x4, or leave --noise out"
            )
        power = (sigma / 255) ** 2
        clean = max(_variance(photo) - power, _LEAST_VARIANCE)
        self._noise = np.asarray(np.clip(power / clean, *_RATIOS), np.float32)

    def estimate(
        self, lr: np.ndarray | Raster, *, tiled: bool = True, kernel: np.ndarray | None = None
    ) -> Blur:
        """See `Backend.estimate`."""
        return replace(super().estimate(lr, tiled=tiled, kernel=kernel), noise=self._noise)


def _variance(photo: Raster) -> float:
    """Over all pixels and channels, of full scale."""
    _, height, width = photo.shape
    sums = np.zeros(3)
    for top in range(0, height, _BAND_PX):
        rows = slice(top, min(top + _BAND_PX, height))
        band = photo[slice(0, 3), rows, slice(0, width)].astype(np.float64)
        sums += (band.size, band.sum(), np.square(band).sum())
    count, total, squares = sums
    return float(max(squares / count - math.pow(total / count, 2), 0.0))
