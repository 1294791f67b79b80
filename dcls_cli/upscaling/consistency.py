"""A restoration must explain its input, and is mended where it does not.

The network's model of a photo is y = (k * x) reduced by the antialiased bicubic. Where a picture is
unlike anything it has learnt (screen tone, sprites, hatching), its x does not lead back to y. What
is missing, y - (k * x) reduced, is enlarged and added there: two steps of gradient descent on the
misfit, as in data-consistent super-resolution (Bahat and Michaeli, 2020). Differences as large as
noise and JPEG leave are left alone.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from dcls_cli.config import KernelSpace
from dcls_cli.upscaling.planes import enlarged_by, nearby, smooth

#: Differences far above this one are made good, those far below it are left, of full scale.
MISFIT = 25 / 255

#: Times that it is done, and how much of what is missing is added each time: what is added is
#: enlarged, and explains less than itself.
ROUNDS = 2
STEP = 1.6

#: Nothing is done where corrections are below this one.
NOTHING = 0.5 / 255

#: Sigma and reach of the region whose misfit counts, LR pixels.
SIGMA_PX = 1.0
REACH_PX = 2

#: Separable parts of a kernel below this share of the strongest one are left out; what they make of
#: an edge is far below `MISFIT`.
SMALLEST_PART = 1e-2

#: LR pixels that are computed with one matrix.
_BLOCK_PX = 16


def keep_consistent(
    lr: np.ndarray, sr: np.ndarray, kernel: np.ndarray, space: KernelSpace
) -> np.ndarray:
    """Add what a restoration lacks to explain its input, where that is much.

    Args:
        lr: (N, 3, h, w) in [0, 1].
        sr: its restoration, (N, 3, s h, s w).
        kernel: the blur that it was restored with, (k, k), k odd.
        space: whether the kernel's taps are HR or LR pixels.

    Returns:
        The restoration itself where it explains its input, else a mended copy.
    """
    scale = sr.shape[-1] // lr.shape[-1]
    mended = sr
    for _ in range(ROUNDS):
        misfit = lr - degraded(mended, kernel, scale, space)
        power = smooth((misfit**2).mean(axis=1, keepdims=True), SIGMA_PX, REACH_PX)
        misfit *= power / (power + MISFIT**2)
        wrong = np.abs(misfit).max(axis=1, keepdims=True) >= NOTHING
        if not wrong.any():
            break
        around = nearby(wrong, np.maximum, REACH_PX)
        rows, columns = _box(around)
        added = enlarged_by((misfit * around)[..., rows, columns], scale, Image.Resampling.BICUBIC)
        mended = mended.copy() if mended is sr else mended
        down, across = (slice(scale * s.start, scale * s.stop) for s in (rows, columns))
        mended[..., down, across] += STEP * added
    return mended


def _box(where: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all of (N, 1, h, w) that is true, and two pixels more."""
    rows, columns = (np.flatnonzero(where.any(axis=axes)) for axes in ((0, 1, 3), (0, 1, 2)))
    height, width = where.shape[-2:]
    return (
        slice(max(rows[0] - 2, 0), min(rows[-1] + 3, height)),
        slice(max(columns[0] - 2, 0), min(columns[-1] + 3, width)),
    )


def degraded(sr: np.ndarray, kernel: np.ndarray, scale: int, space: KernelSpace) -> np.ndarray:
    """Clip, blur and reduce, the last pixels repeated beyond the borders.

    Args:
        sr: (N, C, s h, s w).
        kernel: (k, k), k odd.
        scale: s.
        space: whether the kernel's taps are HR or LR pixels.

    Returns:
        (N, C, h, w).
    """
    return Damage(kernel, scale, space, SMALLEST_PART).of(sr)


class Damage:
    """The network's model of a photo, y = (k * x) reduced, and the transpose of that."""

    def __init__(
        self, kernel: np.ndarray, scale: int, space: KernelSpace, smallest_part: float
    ) -> None:
        """Take a kernel apart, without parts below a share of the strongest; see `degraded`."""
        cubic = _bicubic(scale)
        # An LR kernel is one whose taps lie a scale apart.
        step = 1 if space == "hr" else scale
        self._scale = scale
        self._taps = [
            [np.convolve(_spread(part[axis], step), cubic) for axis in (0, 1)]
            for part in separable_parts(kernel, smallest_part)
        ]

    def of(self, sr: np.ndarray) -> np.ndarray:
        """Clip, blur and reduce: (N, C, s h, s w) -> (N, C, h, w)."""
        return self._through(sr.clip(0, 1), _matrix, self._scale, 1)

    def back(self, lr: np.ndarray) -> np.ndarray:
        """The transpose, times s^2 so that a flat picture keeps its level.

        It spreads each LR pixel over the HR pixels that it was made of, as much to each as that
        gave to it: the direction in which a misfit falls fastest. (N, C, h, w) -> (N, C, s h, s w).
        """
        return self._through(lr, _transposed, 1, self._scale)

    def _through(
        self,
        planes: np.ndarray,
        matrix: Callable[[np.ndarray, int], np.ndarray],
        read: int,
        made: int,
    ) -> np.ndarray:
        """Apply all parts block by block; for an LR pixel `read` are read and `made` made, an axis.

        `matrix` makes one that turns (length, of what is read) into (size, of the block).
        """
        down, across = (
            np.stack([matrix(taps[axis], self._scale) for taps in self._taps]) for axis in (0, 1)
        )
        count, length, size = down.shape
        down = down.transpose(0, 2, 1).reshape(-1, length)  # all parts are one product
        high, wide = planes.shape[-2:]
        rows, columns = (_places(side, length, read * _BLOCK_PX) for side in (high, wide))
        blocks = []
        for places in rows:
            low = down @ planes[..., places, :]
            low = low.reshape(*low.shape[:-2], count, size, -1)
            sums = (low[..., columns].swapaxes(-3, -2) @ across[:, None]).sum(axis=-4)
            blocks.append(sums.swapaxes(-3, -2).reshape(*planes.shape[:-2], size, -1))
        high, wide = (made * (side // read) for side in (high, wide))
        return np.asarray(np.concatenate(blocks, axis=-2)[..., :high, :wide], np.float32)


def separable_parts(kernel: np.ndarray, smallest: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """A kernel as a sum of outer products: taps down and taps across of each.

    Parts below the share `smallest` of the strongest one are left out.
    """
    down, strength, across = np.linalg.svd(kernel.astype(np.float64))
    count = int((strength > smallest * strength[0]).sum())
    return [(strength[part] * down[:, part], across[part]) for part in range(count)]


def _bicubic(scale: int) -> np.ndarray:
    """Taps of the antialiased bicubic (Keys, a = -0.5) about the middle of an LR pixel."""
    count = 4 * scale - scale % 2  # the middle of an LR pixel is between two HR pixels, or on one
    distance = np.abs(np.arange(count) - (count - 1) / 2) / scale
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    taps = np.where(distance < 1, near, far)
    return np.asarray(taps / taps.sum())


def _spread(taps: np.ndarray, step: int) -> np.ndarray:
    """Taps that lie a step apart, with zeros between them."""
    wide = np.zeros(step * (len(taps) - 1) + 1)
    wide[::step] = taps
    return wide


def _matrix(taps: np.ndarray, scale: int) -> np.ndarray:
    """A matrix that makes a block of LR pixels of HR ones: (pixels, block)."""
    matrix = np.zeros((scale * (_BLOCK_PX - 1) + len(taps), _BLOCK_PX), np.float32)
    for place in range(_BLOCK_PX):
        matrix[scale * place : scale * place + len(taps), place] = taps
    return matrix


def _transposed(taps: np.ndarray, scale: int) -> np.ndarray:
    """A matrix that spreads LR pixels over a block of HR ones: (pixels, scale * block)."""
    before = (len(taps) - scale) // 2  # HR pixels of an LR one that lie before its own square
    reach = (len(taps) - 1 - before) // scale
    matrix = np.zeros((_BLOCK_PX + 2 * reach, scale * _BLOCK_PX), np.float32)
    for place, row in enumerate(matrix):
        first = scale * (place - reach) - before
        inside = slice(max(-first, 0), max(len(row) - first, 0))
        row[max(first, 0) :][: len(taps[inside])] = scale * taps[inside]
    return matrix


def _places(count: int, length: int, size: int) -> np.ndarray:
    """Pixels, of `count`, that each block of `size` is made of: (blocks, length)."""
    starts = np.arange(0, count, size) - (length - size) // 2
    return (starts[:, None] + np.arange(length)).clip(0, count - 1)
