"""A restoration must explain its input, and is mended where it does not.

The network's model of a photo is y = (k * x) reduced by the antialiased bicubic. Where a picture is
unlike anything it has learnt (screen tone, sprites, hatching), its x does not lead back to y. What
is missing, y - (k * x) reduced, is enlarged and added there: one step of gradient descent on the
misfit, as in data-consistent super-resolution (Bahat and Michaeli, 2020). Differences as large as
noise and JPEG leave are left alone.
"""

import numpy as np
from PIL import Image

from dcls_cli.config import KernelSpace
from dcls_cli.upscaling.planes import enlarged_by, smooth

#: Differences far above this one are made good, those far below it are left, of full scale.
MISFIT = 25 / 255

#: Times that it is done, and how much of what is missing is added each time: what is added is
#: enlarged, and explains less than itself.
ROUNDS = 2
STEP = 1.6

#: Nothing is done for a largest correction below this one.
NOTHING = 0.5 / 255

#: Sigma and reach of the region whose misfit counts, LR pixels.
SIGMA_PX = 1.0
REACH_PX = 2

#: Separable parts of a kernel below this share of the strongest one are left out.
SMALLEST_PART = 1e-3

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
    for _ in range(ROUNDS):
        misfit = lr - degraded(sr.clip(0, 1), kernel, scale, space)
        power = smooth((misfit**2).mean(axis=1, keepdims=True), SIGMA_PX, REACH_PX)
        misfit *= power / (power + MISFIT**2)
        largest = np.abs(misfit).max(axis=(1, 2, 3), keepdims=True)
        if largest.max() < NOTHING:
            break
        misfit *= largest >= NOTHING  # a tile does not depend on those beside it
        sr = sr + STEP * enlarged_by(misfit, scale, Image.Resampling.BICUBIC)
    return sr


def degraded(sr: np.ndarray, kernel: np.ndarray, scale: int, space: KernelSpace) -> np.ndarray:
    """Blur and reduce, the last pixels repeated beyond the borders.

    Args:
        sr: (N, C, s h, s w).
        kernel: (k, k), k odd.
        scale: s.
        space: whether the kernel's taps are HR or LR pixels.

    Returns:
        (N, C, h, w).
    """
    # An LR kernel is one whose taps lie a scale apart.
    step = 1 if space == "hr" else scale
    parts = separable_parts(kernel)
    down, across = (
        np.stack(
            [
                _sums(np.convolve(_spread(part[axis], step), _bicubic(scale)), scale)
                for part in parts
            ]
        )
        for axis in (0, 1)
    )
    # Down: all parts are one product with each block of rows, which lie as it needs them.
    count, length, _ = down.shape
    blocks = _blocks(sr, length, scale, axis=-2)
    rows = down.transpose(0, 2, 1).reshape(-1, length) @ blocks.swapaxes(-1, -2)
    rows = rows.reshape(*rows.shape[:-2], count, _BLOCK_PX, -1).swapaxes(-4, -3)
    rows = rows.reshape(*rows.shape[:-3], -1, rows.shape[-1])
    windows = np.ascontiguousarray(_blocks(rows, length, scale, axis=-1))
    sums = (windows @ across[:, None]).sum(axis=-4)
    sums = sums.reshape(*sums.shape[:-2], -1)
    return np.asarray(sums[..., : sr.shape[-2] // scale, : sr.shape[-1] // scale], np.float32)


def separable_parts(kernel: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """A kernel as a sum of outer products: taps down and taps across of each."""
    down, strength, across = np.linalg.svd(kernel.astype(np.float64))
    count = int((strength > SMALLEST_PART * strength[0]).sum())
    return [(strength[part] * down[:, part], across[part]) for part in range(count)]


def _bicubic(scale: int) -> np.ndarray:
    """Taps of the antialiased bicubic (Keys, a = -0.5) about the middle of an LR pixel."""
    count = 4 * scale - scale % 2  # the middle of an LR pixel is between two HR pixels, or on one
    distance = np.abs(np.arange(count) - (count - 1) / 2) / scale
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    taps = np.where(distance < 1, near, far)
    return np.asarray(taps / taps.sum())


def _spread(taps: np.ndarray, scale: int) -> np.ndarray:
    wide = np.zeros(scale * (len(taps) - 1) + 1)
    wide[::scale] = taps
    return wide


def _sums(taps: np.ndarray, scale: int) -> np.ndarray:
    """A matrix that makes a block of LR pixels of HR ones: (pixels, block)."""
    matrix = np.zeros((scale * (_BLOCK_PX - 1) + len(taps), _BLOCK_PX), np.float32)
    for place in range(_BLOCK_PX):
        matrix[scale * place : scale * place + len(taps), place] = taps
    return matrix


def _blocks(values: np.ndarray, length: int, scale: int, axis: int) -> np.ndarray:
    """What each block of LR pixels along an axis is made of, `length` HR pixels; the last axis.

    A view; the axis itself counts the blocks.
    """
    size = scale * _BLOCK_PX
    count = -(-values.shape[axis] // size)
    before = (length - size) // 2
    padding = [(0, 0)] * values.ndim
    padding[axis] = (before, length - size - before + size * count - values.shape[axis])
    padded = np.pad(values.astype(np.float32, copy=False), padding, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=axis)
    every = (slice(None),) * (values.ndim + axis) + (slice(None, None, size),)
    return windows[every]
