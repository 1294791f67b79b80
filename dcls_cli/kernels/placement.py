"""Where a kernel's middle is, and kernels on grids of another size.

A blur whose centre of mass is not in its middle moves the picture, and so does its inversion. The
middle of a measured kernel says where somebody has cut, so the centre of mass becomes the middle.
"""

import math

import numpy as np

#: A centre of mass that is nearer to the middle tap, in pixels, stays where it is.
CENTRE_TOLERANCE_PX = 0.01


def centre_of_mass(kernel: np.ndarray) -> tuple[float, float]:
    """Row and column of the centre of mass of a kernel (h, w) whose sum is not zero.

    Negative taps count: this is the phase of the lowest frequencies, which is how far the blur
    moves a picture.
    """
    total = kernel.sum()
    row = float(kernel.sum(axis=1) @ np.arange(kernel.shape[0]) / total)
    column = float(kernel.sum(axis=0) @ np.arange(kernel.shape[1]) / total)
    return row, column


def centred(kernel: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """Bring a kernel onto a square grid with its centre of mass on the middle tap.

    The tap next to the centre of mass becomes the middle; what then lies outside the grid is cut
    off, what is missing is zero. The rest, at most half a pixel, as for a symmetric kernel of even
    size, is a band-limited shift: it leaves the strength of the blur at every frequency as it is.

    Args:
        kernel: (h, w), of a sum that is not zero.
        size: taps of the result, odd.

    Returns:
        (size, size) float64, sum 1; and the share of the absolute mass that was cut off.
    """
    moments = centre_of_mass(kernel)
    nearest = [math.floor(moment + 0.5) for moment in moments]
    placed = _placed(kernel.astype(np.float64), (nearest[0], nearest[1]), size)
    mass = float(np.abs(kernel).sum())
    lost = max(1 - float(np.abs(placed).sum()) / mass, 0.0)
    remaining = [moment - tap for moment, tap in zip(moments, nearest, strict=True)]
    if max(map(abs, remaining)) > CENTRE_TOLERANCE_PX:
        placed = _shifted(placed, -remaining[0], -remaining[1])
    return placed / placed.sum(), lost


def _placed(kernel: np.ndarray, middle: tuple[int, int], size: int) -> np.ndarray:
    """Copy what fits so that the tap `middle` becomes the middle of a (size, size) grid."""
    grid = np.zeros((size, size))
    source, target = [], []
    for length, tap in zip(kernel.shape, middle, strict=True):
        first = size // 2 - tap
        low, high = max(first, 0), min(first + length, size)
        target.append(slice(low, max(high, low)))
        source.append(slice(low - first, max(high, low) - first))
    grid[tuple(target)] = kernel[tuple(source)]
    return grid


def _shifted(kernel: np.ndarray, down: float, right: float) -> np.ndarray:
    """Move a kernel (k, k), k odd, by a part of a pixel: a phase on each frequency."""
    size = kernel.shape[0]
    room = 2 * size + 1  # odd, so that no frequency is its own opposite
    frequency = np.fft.fftfreq(room)
    phase = np.exp(-2j * np.pi * (frequency[:, None] * down + frequency[None] * right))
    # The middle of the larger grid, so that the tails do not wrap around.
    margin = (room - size) // 2
    wide = np.pad(kernel, (margin, room - size - margin))
    moved = np.fft.ifft2(np.fft.fft2(wide) * phase).real
    return np.asarray(moved[margin : margin + size, margin : margin + size])
