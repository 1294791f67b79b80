"""Width and direction of a kernel, where its middle is, and kernels on other grids.

Width and direction are those of the second central moments. Small negative taps, which an
estimated kernel may have, count as zero in them.

A blur whose centre of mass is not in its middle moves the picture, and so does its inversion. The
middle of a measured kernel depends on how it was cropped, so the centre of mass becomes the middle.

An HR kernel blurs before the picture becomes small, an LR kernel after it. The closed form
(`network.spectra.reformulation_matrix`, the expectation of Eq. 7 over natural images) takes an HR
kernel into the LR kernel; it is linear, M h = l, and loses what lies beyond the LR frequencies.
"""

import math
from dataclasses import dataclass

import numpy as np

from dcls_cli.network.spectra import reformulation_matrix


@dataclass(frozen=True)
class KernelShape:
    """The ellipse of inertia of a kernel.

    Attributes:
        width_px: root of the mean second central moment per axis; sigma of an isotropic Gaussian,
            the root mean square of the two sigmas of an anisotropic one.
        major_px: standard deviation along the direction in which the kernel is widest.
        minor_px: standard deviation across it.
        angle_deg: of the widest direction, [0, 180): 0 is to the right, 90 up, as the picture is
            seen. Means nothing where the anisotropy is near zero.
        anisotropy: 1 - minor_px / major_px: 0 for a round kernel, 1 for a line.
    """

    width_px: float
    major_px: float
    minor_px: float
    angle_deg: float
    anisotropy: float


def shape_of(kernel: np.ndarray) -> KernelShape:
    """Measure a kernel."""
    covariance = _covariance(kernel)
    variances, directions = np.linalg.eigh(covariance)
    minor, major = (math.sqrt(max(variance, 0.0)) for variance in variances)
    down, right = directions[:, 1]
    return KernelShape(
        width_px=math.sqrt(max(float(np.trace(covariance)) / 2, 0.0)),
        major_px=major,
        minor_px=minor,
        angle_deg=math.degrees(math.atan2(-down, right)) % 180 if major > minor else 0.0,
        anisotropy=1 - minor / major if major > 0 else 0.0,
    )


def kernel_width_px(kernel: np.ndarray) -> float:
    """`KernelShape.width_px` of a kernel (h, w)."""
    return shape_of(kernel).width_px


def _covariance(kernel: np.ndarray) -> np.ndarray:
    """Second central moments, rows before columns: (2, 2)."""
    mass = np.clip(kernel.astype(np.float64), 0, None)
    total = mass.sum()
    if total == 0:
        return np.zeros((2, 2))
    position = np.indices(kernel.shape, np.float64).reshape(2, -1)
    weight = mass.ravel() / total
    position -= (position @ weight)[:, None]
    return np.asarray((position * weight) @ position.T)


def log_spectrum(kernel: np.ndarray, size: int) -> np.ndarray:
    """Magnitude of the transfer function of a kernel (k, k), dB: (size, size), zero in the middle.

    0 where the blur passes all, negative where it weakens.
    """
    magnitude = np.abs(np.fft.fft2(kernel.astype(np.float64), (size, size)))
    decibels: np.ndarray = 20 * np.log10(np.maximum(magnitude, 1e-12))
    return np.fft.fftshift(decibels)


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


#: Least variance of the Gaussian that an HR kernel is guessed from, px^2: an impulse in practice.
SMALLEST_VARIANCE = 0.04

#: Share of the mean energy of M that is added when it is inverted.
DAMPING = 1e-3


def to_lr(kernel: np.ndarray, scale: int, size: int) -> np.ndarray:
    """LR kernel (size, size) of an HR kernel (k, k), k odd, by the closed form; sum 1."""
    matrix = reformulation_matrix(scale, kernel.shape[0], size)
    lr_kernel = (matrix @ kernel.ravel()).reshape(size, size)
    return np.asarray(lr_kernel / lr_kernel.sum())


def to_hr(kernel: np.ndarray, scale: int, size: int) -> tuple[np.ndarray, float]:
    """HR kernel whose LR form is a given kernel: of all of them, the one nearest to a Gaussian.

    The LR kernel says nothing about the frequencies that the reduction removed. There the Gaussian
    g of the same second moments (they are the square of the scale times those of the LR kernel)
    stands in: h = g + M' (M M' + damping)^-1 (l - M g). Exact for Gaussian blurs.

    Args:
        kernel: (l, l) in LR pixels, l odd, centred, sum 1.
        scale: HR pixels of one LR pixel.
        size: taps of the result, odd.

    Returns:
        (size, size) float64, sum 1; and the misfit, sum |M h - l|: the share of the LR kernel that
        no HR kernel of this size can have.
    """
    matrix = reformulation_matrix(scale, size, kernel.shape[0])
    guess = _gaussian(scale**2 * _signed_covariance(kernel), size).ravel()
    energy = matrix @ matrix.T
    energy[np.diag_indices_from(energy)] += DAMPING * np.trace(energy) / len(energy)
    taps = guess + matrix.T @ np.linalg.solve(energy, kernel.ravel() - matrix @ guess)
    taps /= taps.sum()
    misfit = float(np.abs(matrix @ taps - kernel.ravel()).sum())
    return taps.reshape(size, size), misfit


def _signed_covariance(kernel: np.ndarray) -> np.ndarray:
    """Second moments about the middle tap, negative taps as they are: (2, 2).

    An LR kernel rings, and only with its negative taps has it the variance of the blur.
    """
    offset = np.indices(kernel.shape, np.float64).reshape(2, -1) - kernel.shape[0] // 2
    return np.asarray((offset * kernel.ravel()) @ offset.T)


def _gaussian(covariance: np.ndarray, size: int) -> np.ndarray:
    """Gaussian (size, size), sum 1, whose variances are at least `SMALLEST_VARIANCE`."""
    variances, directions = np.linalg.eigh(covariance)
    inverse = (directions / np.maximum(variances, SMALLEST_VARIANCE)) @ directions.T
    offset = np.indices((size, size), np.float64) - size // 2
    distance = np.einsum("iyx,ij,jyx->yx", offset, inverse, offset)
    taps = np.exp(-0.5 * distance)
    return np.asarray(taps / taps.sum())
