"""What is made of restored tiles before they are joined: smooth parts, brightness, colours."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from dcls_cli.backends import Raster
from dcls_cli.config import KernelSpace
from dcls_cli.upscaling.consistency import keep_consistent
from dcls_cli.upscaling.fidelity import Misfit, keep_faithful
from dcls_cli.upscaling.planes import enlarged_by, nearby, smooth
from dcls_cli.upscaling.survey import Survey

#: LR (N, 3, h, w) in [0, 1], its restoration (N, 3, s h, s w), and the kernel that it was restored
#: with -> the restoration.
Finish = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

#: Sigma and reach of the filter that tells brightness from detail, LR pixels. Tiles overlap by
#: more than twice the reach.
_SIGMA_PX = 3.0
_REACH_PX = 8

#: Differences of brightness far above this one are corrected, those far below it are not, of full
#: scale: a clear picture has some. Corrections below the second are not made, and larger ones are
#: smaller by it, so that a pixel is corrected alike whatever else is in its tile.
_TOLERANCE = 1.5 / 255
_NOTHING = 0.1 / 255

#: Rounds in which the brightness is corrected, as clipping takes back a part of each, and how much
#: of the difference is added in each: a little more than all.
_ROUNDS = 8
_STEP = 1.3

#: Mean v (1 - v) over mean |grad v| of a mask v: below the first its edges are hard, as area and
#: bicubic reductions leave them (0.15 to 0.21); a linear edge of one pixel has 0.22 and more.
_HARD = 0.212

#: The same about one pixel of a mask that has both kinds: hard up to the first, soft from the
#: second on.
_LOCALLY_HARD, _LOCALLY_SOFT = 0.17, 0.21
_NEAR_PX = 5

#: A smaller range of values is that of a mask without an edge.
_ONE_LEVEL = 1.5 / 255

#: Pixels on each side of a smooth one whose second differences are below so many levels, which
#: rounding makes of an even slope.
_SMOOTH_PX = 3
_EVEN = 2.5

#: Samples about a still pixel differ by less, of full scale.
_STILL = 4 / 255

#: Pixels on each side among which still ones are counted, and the shares of them from which and
#: at which a part is taken for drawn.
_DRAWN_PX = 4
_DRAWN_SHARES = (0.2, 0.5)

_BAND_PX = 256


def finish_colours(
    space: KernelSpace,
    seen: Survey,
    level: float,
    fidelity: float = 0.0,
    misfit: Misfit | None = None,
) -> Finish:
    """Let a restoration be no more than its input allows.

    Drawn parts keep to the colours around them, smooth ones stay so, every region explains its
    input and is as bright as that, and a neutral picture stays neutral. Then the fidelity that the
    user asks for is reached.

    Args:
        space: of the kernels.
        seen: of the photo.
        level: step between two values of the photo, as 1 / 255.
        fidelity: 0 to 1, see `keep_faithful`.
        misfit: is given what the tiles do not explain of the photo.
    """

    def finish(lr: np.ndarray, sr: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        if seen.neutral:
            sr = np.repeat(sr.clip(0, 1).mean(axis=1, keepdims=True), 3, axis=1)
        sr = keep_consistent(lr, keep_range(lr, sr, seen.few_colours), kernel, space)
        # In range, so that what is blended does not depend on the tiles that went along.
        sr = keep_brightness(lr, keep_smooth(lr, sr, level)).clip(0, 1)
        if fidelity == 0 and misfit is None:
            return sr
        # Of a neutral picture one channel is enough, and all three stay equal to the last bit.
        few = slice(0, 1 if seen.neutral else 3)
        kept = keep_faithful(
            lr[:, few], sr[:, few], kernel, space, fidelity, level=level, misfit=misfit
        )
        return np.broadcast_to(kept, sr.shape)

    return finish


def finish_mask(mask: Raster) -> Finish:
    """Restore hard edges of an alpha channel, and enlarge soft ones as bicubic does.

    The network takes a soft edge for a blurred hard one and gives it a second contour. What is
    opaque or transparent all around stays so: values keep to the range of those beside them.
    """
    hard = edge_width(mask) <= _HARD

    def finish(lr: np.ndarray, sr: np.ndarray, _: np.ndarray) -> np.ndarray:
        restored = np.repeat(sr.clip(0, 1).mean(axis=1, keepdims=True), 3, axis=1)
        restored = keep_range(lr, restored, 1.0)
        if hard:
            return restored
        scale = sr.shape[-1] // lr.shape[-1]
        weight = enlarged_by(_hardness(lr[:, :1]), scale, Image.Resampling.BILINEAR)
        enlarged = enlarged_by(lr, scale, Image.Resampling.BICUBIC).clip(0, 1)
        return np.asarray(enlarged + weight * (restored - enlarged), np.float32)

    return finish


def keep_range(lr: np.ndarray, sr: np.ndarray, few_colours: float) -> np.ndarray:
    """Keep drawn parts to the range of the pixels around them.

    Beside flat parts a blurred edge has all the contrast of the sharp one, and what goes beyond it
    is overshoot. In photographs thin bright lines have more contrast than their blurred pictures,
    so that parts which are nowhere flat are left alone.

    Args:
        lr: (N, 3, h, w) in [0, 1].
        sr: its restoration, (N, 3, s h, s w).
        few_colours: least weight, 0 to 1: 1 for a picture that is known to be drawn.
    """
    low, high = (nearby(lr, reduce, 1) for reduce in (np.minimum, np.maximum))
    still = ((high - low).max(axis=1, keepdims=True) < _STILL).astype(np.float32)
    share = nearby(still, np.add, _DRAWN_PX) / nearby(np.ones_like(still), np.add, _DRAWN_PX)
    first, last = _DRAWN_SHARES
    drawn = ((share - first) / (last - first)).clip(few_colours, 1).astype(np.float32)
    if not drawn.any():
        return sr
    scale = sr.shape[-1] // lr.shape[-1]
    weight = enlarged_by(drawn, scale, Image.Resampling.BILINEAR)
    low, high = (part.repeat(scale, axis=-1).repeat(scale, axis=-2) for part in (low, high))
    return np.asarray(sr + weight * (sr.clip(low, high) - sr), np.float32)


def keep_smooth(lr: np.ndarray, sr: np.ndarray, level: float) -> np.ndarray:
    """Enlarge bicubically what is flat or an even slope for some pixels around.

    No blur that a network inverts reaches farther, and there is nothing to restore. Photographs
    have such parts where they are black or white; drawings consist of them.

    Args:
        lr: (N, 3, h, w) in [0, 1].
        sr: its restoration, (N, 3, s h, s w).
        level: step between two values of the photo, as 1 / 255.
    """
    bend = np.maximum(_bend(lr), _bend(lr.swapaxes(-1, -2)).swapaxes(-1, -2))
    smooth_parts = (nearby(bend, np.maximum, _SMOOTH_PX) < _EVEN * level).astype(np.float32)
    if not smooth_parts.any():
        return sr
    scale = sr.shape[-1] // lr.shape[-1]
    weight = enlarged_by(smooth_parts, scale, Image.Resampling.BILINEAR)
    plain = enlarged_by(lr, scale, Image.Resampling.BICUBIC)
    return np.asarray(sr + weight * (plain - sr), np.float32)


def _bend(values: np.ndarray) -> np.ndarray:
    """Second differences along the last axis, absolute; the last values repeated."""
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(1, 1)], mode="edge")
    return np.asarray(np.abs(padded[..., 2:] - 2 * values + padded[..., :-2]))


def keep_brightness(lr: np.ndarray, sr: np.ndarray) -> np.ndarray:
    """Give each region of a restoration the mean of the same region of its input.

    Screen tone and halftone have detail as fine as the pixels: a network that takes a dot for
    another one changes the shade that is seen from afar. Only the brightness is corrected: JPEG
    changes colours, which a network may put right.

    Args:
        lr: (N, 3, h, w) in [0, 1].
        sr: its restoration, (N, 3, s h, s w).

    Returns:
        The restoration itself where its brightness is right, else clipped to [0, 1].
    """
    scale = sr.shape[-1] // lr.shape[-1]
    wanted = lr.mean(axis=1, keepdims=True)
    for _ in range(_ROUNDS):
        seen = sr.clip(0, 1)
        missing = smooth(
            wanted - _means(seen.mean(axis=1, keepdims=True), scale), _SIGMA_PX, _REACH_PX
        )
        missing *= missing**2 / (missing**2 + _TOLERANCE**2)
        missing -= missing.clip(-_NOTHING, _NOTHING)
        if not missing.any():
            break
        sr = seen + _STEP * enlarged_by(missing, scale, Image.Resampling.BILINEAR)
    return sr


def _means(values: np.ndarray, scale: int) -> np.ndarray:
    """Means of squares of pixels: (N, C, s h, s w) -> (N, C, h, w)."""
    count, channels, height, width = values.shape
    rows = values.reshape(count, channels, height // scale, scale, width).mean(axis=3)
    return np.asarray(rows.reshape(*rows.shape[:3], width // scale, scale).mean(axis=4))


def edge_width(mask: Raster) -> float:
    """How wide the edges of a mask are: mean v (1 - v) over mean |grad v|; 0 without edges.

    A linear edge of w pixels has w / 6; the reduction adds its own width.
    """
    _, height, width = mask.shape
    first, columns = slice(0, 1), slice(0, width)
    area = length = 0.0
    for top in range(0, height, _BAND_PX):
        values = mask[first, slice(top, min(top + _BAND_PX + 1, height)), columns]
        slope = _slope(values)[:, :_BAND_PX]
        core = values[:, :_BAND_PX]
        area += float((core * (1 - core)).sum(dtype=np.float64))
        length += float(slope.sum(dtype=np.float64))
    return area / length if length > 0 else 0.0


def _slope(values: np.ndarray) -> np.ndarray:
    """Length of the differences to the pixels below and to the right: (..., h, w)."""
    across = np.diff(values, axis=-1, append=values[..., -1:])
    down = np.diff(values, axis=-2, append=values[..., -1:, :])
    return np.hypot(across, down)


def _hardness(mask: np.ndarray) -> np.ndarray:
    """Weight of the restoration at each pixel: (N, 1, h, w) -> (N, 1, h, w) in [0, 1].

    In the range of the values nearby, so that a part of a wide edge is no narrow one.
    """
    low, high = (nearby(mask, reduce, _NEAR_PX) for reduce in (np.minimum, np.maximum))
    spread = (high - low).clip(1e-6)
    moments = [nearby(part, np.add, _NEAR_PX) for part in (mask, mask**2, _slope(mask))]
    count = nearby(np.ones_like(mask), np.add, _NEAR_PX)
    area = (-moments[1] + (low + high) * moments[0] - low * high * count) / spread
    measured = area / moments[2].clip(1e-6)
    weight = (_LOCALLY_SOFT - measured) / (_LOCALLY_SOFT - _LOCALLY_HARD)
    return np.asarray(weight.clip(0, 1) * (spread > _ONE_LEVEL), np.float32)
