"""The blur that a photo is restored with: estimated, and believed only where it is seen.

A picture of few edges does not show its blur, and an estimate that is too wide makes stripes along
them. Two things speak against an estimate, both seen in the total variation of a sample that is
restored first, over that of its bicubic enlargement:

* With the estimate it is high. A blurred edge has the total variation of the sharp one, stripes
  have many times more.
* With the blur of a sharp picture it is high. Of a picture that is really blurred, that restoration
  is hardly sharper than the enlargement.

Then kernel and P are moved together towards those of a sharp picture, until neither does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from dcls_cli.backends import Backend, Blur, Raster
from dcls_cli.errors import OutOfMemoryError
from dcls_cli.kernels import kernel_width_px
from dcls_cli.upscaling.narrow import narrow_blur
from dcls_cli.upscaling.planes import enlarged_by
from dcls_cli.upscaling.sizes import MINIMUM_TILE_PX, too_little_memory
from dcls_cli.upscaling.survey import BLOCK_PX, Survey, survey

#: Side of the windows of the sample, pixels, and how much of the photo they are, if there is more
#: than one of them.
_WINDOW_PX = MINIMUM_TILE_PX
_SAMPLE_SHARE = 1 / 8
_MOST_WINDOWS = 6

#: Pixels of a window whose restoration does not count, on each side.
_HALO_PX = 8

#: Total variation of a restoration over that of the bicubic enlargement: more than these are
#: stripes, in a picture without flat parts and in one of them alone.
LIMIT_DETAILED = 3.2
LIMIT_FLAT = 1.6

#: So much is no matter of degree: then the second limit holds for what is tried.
_BEYOND_DOUBT = 4.0

#: Share of flat blocks from which the second limit holds; the limit falls evenly up to there.
_FLAT_SHARE = 0.6

#: What a picture of lines and dots has of itself: so many times the ratio of the narrow blur.
_OWN_DETAIL = 1.1

#: Parts of the estimate that are tried.
_TRIALS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)

#: What a picture has, restored with the blur of a sharp one (see `oscillation`), and how wide its
#: own blur can be then, in LR pixels: the bounds of photographs that were blurred by known widths.
_SHARPNESS = (1.14, 1.2, 1.32, 1.44, 1.58, 1.88, 2.2)
_WIDEST_LR_PX = (1.2, 0.8, 0.6, 0.49, 0.41, 0.32, 0.26)

#: Mean step between neighbouring pixels, of full scale, below which there is no detail at all.
_NOTHING = 0.02 / 255


@dataclass(frozen=True, eq=False)
class FoundBlur:
    """The blur of a photo.

    Attributes:
        blur: what the photo is restored with.
        confidence: share of the estimate in it, 0 to 1; None where the blur is known.
        estimated_px: width of the estimate, see `kernel_width_px`.
        oscillation: total variation of the sample, restored with the estimate or the known blur,
            over that of its bicubic enlargement.
        survey: of the photo.
    """

    blur: Blur
    confidence: float | None
    estimated_px: float
    oscillation: float
    survey: Survey

    @property
    def warning(self) -> str | None:
        """What a user should know; None if the blur is certain."""
        used = kernel_width_px(self.blur.kernel)
        if self.confidence is None:
            if self.oscillation <= _limit(self.survey):
                return None
            return "this kernel makes stripes in the photo; one that is narrower may suit it better"
        if self.confidence == 1:
            return None
        return f"blur uncertain: {self.estimated_px:.1f} px estimated, {used:.1f} px used"


def find_blur(
    photo: Raster, backend: Backend, *, tiled: bool, kernel: np.ndarray | None = None
) -> FoundBlur:
    """Estimate the blur of a photo, and find out how far to believe it.

    Args:
        photo: the colours, or the alpha channel as a grey picture.
        backend: the network.
        tiled: see `Backend.estimate`.
        kernel: a blur that is known; it is used as it is.

    Raises:
        DclsError: the estimate is not finite.
        OutOfMemoryError: the photo does not fit into memory.
    """
    seen = survey(photo)
    blur = _estimated(photo, backend, seen, tiled=tiled, kernel=kernel)
    estimated_px = kernel_width_px(blur.kernel)
    sample = _Sample(photo, backend, seen)
    if sample.empty:
        if kernel is not None:
            return FoundBlur(blur, None, estimated_px, 1.0, seen)
        narrow = _replaced(blur, narrow_blur(backend), 0.0)
        narrow = completed(photo, backend, narrow, tiled=tiled)
        return FoundBlur(narrow, 0.0, estimated_px, 1.0, seen)
    oscillation = sample.oscillation(blur)
    if kernel is not None:
        return FoundBlur(blur, None, estimated_px, oscillation, seen)
    if oscillation <= _limit(seen) and _lr_width(blur, backend) <= _WIDEST_LR_PX[-1]:
        return FoundBlur(blur, 1.0, estimated_px, oscillation, seen)
    narrow = narrow_blur(backend)
    sharpness = sample.oscillation(_replaced(blur, narrow, 0.0))
    limit = LIMIT_FLAT if oscillation > _BEYOND_DOUBT else _limit(seen)
    limit = max(limit, _OWN_DETAIL * sharpness)
    widest = float(np.interp(sharpness, _SHARPNESS, _WIDEST_LR_PX))
    for share in _TRIALS:
        trial = _replaced(blur, narrow, share)
        if share == 0:
            break
        if _lr_width(trial, backend) <= widest:
            seen_now = oscillation if share == 1 else sample.oscillation(trial)
            if seen_now <= limit:
                break
    trial = completed(photo, backend, trial, tiled=tiled)
    return FoundBlur(trial, share, estimated_px, oscillation, seen)


def completed(photo: Raster, backend: Backend, blur: Blur, *, tiled: bool) -> Blur:
    """A blur with what else follows from its kernel and the photo, where the code does not say it.

    Args:
        photo: the colours.
        backend: the network.
        blur: of the photo, with the kernel that it is restored with.
        tiled: see `Backend.estimate`.

    Raises:
        DclsError: the estimate is not finite.
    """
    if not tiled or _by_code(backend):
        return blur
    return backend.estimate(photo, tiled=True, kernel=blur.kernel)


def _limit(seen: Survey) -> float:
    flat = min(seen.flat / _FLAT_SHARE, 1.0)
    return LIMIT_DETAILED + flat * (LIMIT_FLAT - LIMIT_DETAILED)


def _lr_width(blur: Blur, backend: Backend) -> float:
    """Width of a blur, LR pixels."""
    config = backend.config
    return kernel_width_px(blur.kernel) / (config.scale if config.kernel_space == "hr" else 1)


def _by_code(backend: Backend) -> bool:
    """Whether all that is global follows from the estimator's code."""
    return backend.config.smoothing == "code" and not backend.config.attention


def _estimated(
    photo: Raster, backend: Backend, seen: Survey, *, tiled: bool, kernel: np.ndarray | None
) -> Blur:
    """The estimate, from the colours in which the photo has its fine detail."""
    if seen.colours is None or kernel is not None:
        return backend.estimate(photo, tiled=tiled, kernel=kernel)
    along = backend.estimate(_Along(photo, seen.colours), tiled=False)
    return completed(photo, backend, along, tiled=tiled)


def _replaced(blur: Blur, narrow: Blur, share: float) -> Blur:
    """Between a narrow blur (0) and an estimate (1); the noise stays that of the photo."""

    def between(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
        if one is None or other is None:
            return one
        return np.asarray(share * one + (1 - share) * other, np.float32)

    kernel = between(blur.kernel, narrow.kernel)
    assert kernel is not None
    return replace(blur, kernel=kernel, smoothing=between(blur.smoothing, narrow.smoothing))


@dataclass(frozen=True, eq=False)
class _Along:
    """A photo along one direction of its colours, as a grey raster."""

    photo: Raster
    weights: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.photo.shape

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        channels, rows, columns = index
        colours = self.photo[slice(0, 3), rows, columns]
        plane = np.tensordot(self.weights, colours, 1) - np.minimum(self.weights, 0).sum()
        return np.asarray(np.repeat(plane[None], 3, axis=0)[channels], np.float32)


class _Sample:
    """Windows of a photo with much detail, which are restored to see what a blur does."""

    def __init__(self, photo: Raster, backend: Backend, seen: Survey) -> None:
        self._backend = backend
        self._windows = [
            np.ascontiguousarray(photo[slice(0, 3), rows, columns], np.float32)
            for rows, columns in _places(photo, seen)
        ]
        scale = backend.config.scale
        self._enlarged = sum(
            _variation(enlarged_by(lr[None], scale, Image.Resampling.BICUBIC)[0], scale)
            for lr in self._windows
        )
        steps = sum(lr.size for lr in self._windows) * scale
        self.empty = self._enlarged < _NOTHING * steps

    def oscillation(self, blur: Blur) -> float:
        """Total variation of the restored windows over that of the enlarged ones."""
        scale, total = self._backend.config.scale, 0.0
        for lr in self._windows:
            try:
                restored = self._backend.restore(lr[None], blur)[0]
            except (OutOfMemoryError, MemoryError) as error:
                side = max(lr.shape)
                raise too_little_memory(self._backend.memory(), side, planes=1) from error
            total += _variation(restored, scale)
        return total / self._enlarged


def _places(photo: Raster, seen: Survey) -> Iterator[tuple[slice, slice]]:
    """Windows with most detail, apart from each other."""
    _, height, width = photo.shape
    tall, wide = min(_WINDOW_PX, height), min(_WINDOW_PX, width)
    count = int(height * width * _SAMPLE_SHARE / (tall * wide))
    rows, columns = -(-tall // BLOCK_PX), -(-wide // BLOCK_PX)
    # Detail in the halo does not count, as it will not in the restoration.
    trim = _HALO_PX // BLOCK_PX if min(tall, wide) > 4 * _HALO_PX else 0
    sums = np.pad(seen.detail, ((1, 0), (1, 0))).cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    across = sums[:, columns - trim : sums.shape[1] - trim] - sums[:, trim : trim - columns]
    inside = across[rows - trim : len(sums) - trim] - across[trim : trim - rows]
    for _ in range(min(max(count, 1), _MOST_WINDOWS)):
        down, across = np.unravel_index(inside.argmax(), inside.shape)
        if inside[down, across] < 0:
            return
        top = min(int(down) * BLOCK_PX, height - tall)
        left = min(int(across) * BLOCK_PX, width - wide)
        yield slice(top, top + tall), slice(left, left + wide)
        near = slice(max(int(down) - rows + 1, 0), int(down) + rows)
        beside = slice(max(int(across) - columns + 1, 0), int(across) + columns)
        inside[near, beside] = -1


def _variation(picture: np.ndarray, scale: int) -> float:
    """Total variation of (3, H, W) in [0, 1], without the halo where there is room for it."""
    halo = _HALO_PX * scale
    if min(picture.shape[1:]) > 4 * halo:
        picture = picture[:, halo:-halo, halo:-halo]
    seen = picture.clip(0, 1)
    return float(sum(np.abs(np.diff(seen, axis=axis)).sum(dtype=np.float64) for axis in (1, 2)))
