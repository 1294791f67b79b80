"""A kernel that a user has measured, made fit for a network or refused."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from dcls_cli.config import KernelSpace, ModelConfig
from dcls_cli.errors import KernelError
from dcls_cli.kernels.placement import CENTRE_TOLERANCE_PX, centre_of_mass, centred
from dcls_cli.kernels.spaces import to_hr, to_lr

#: Wider kernels, in taps, are no blur but a mistake.
LARGEST_SIZE = 1023

#: Negative taps over positive ones. In LR pixels a blur that is sharp in one direction rings there:
#: the closed form of a Gaussian of 3.0 x 1.2 HR pixels has 0.18 at x4.
LARGEST_NEGATIVE_SHARE: dict[KernelSpace, float] = {"hr": 0.1, "lr": 0.3}

#: A sum that differs more from 1 is reported when it is made 1.
SUM_TOLERANCE = 1e-3

#: Share of the absolute mass that may lie outside the network's kernel and be cut off.
LARGEST_LOSS = 0.02

#: Share of a kernel in LR pixels that its form in HR pixels may lack; see `to_hr`.
LARGEST_MISFIT = 0.05

_PIXELS: dict[KernelSpace, str] = {"hr": "output", "lr": "input"}


@dataclass(frozen=True, eq=False)
class OwnKernel:
    """A blur that is known, checked, at any size.

    Attributes:
        taps: (h, w) float64, the picture of a point, sum 1.
        space: whether the taps are HR (output) or LR (input) pixels.
        notes: what was changed, a sentence each.
    """

    taps: np.ndarray
    space: KernelSpace
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, array: np.ndarray, space: KernelSpace = "hr") -> Self:
        """Check an array and divide it by its sum.

        Args:
            array: (h, w) of integers or floats, odd or even.
            space: see the attribute.

        Raises:
            KernelError: it is no such array, not finite, all zeros, or too negative.
        """
        array = np.asarray(array)
        if array.dtype.kind not in "iuf":
            raise KernelError(f"expected numbers, got an array of {array.dtype}")
        if array.ndim != 2 or 0 in array.shape:
            raise KernelError(f"expected taps as (rows, columns), got an array of {array.shape}")
        if max(array.shape) > LARGEST_SIZE:
            raise KernelError(
                f"expected at most {LARGEST_SIZE} taps a side, got {_size(array.shape)}"
            )
        taps = array.astype(np.float64)
        if not np.isfinite(taps).all():
            raise KernelError("expected finite taps, got NaN or infinity")
        positive, negative = taps.clip(0, None).sum(), -taps.clip(None, 0).sum()
        if positive == negative == 0:
            raise KernelError("all taps are zero: there is no blur in it")
        limit = LARGEST_NEGATIVE_SHARE[space]
        if negative > limit * positive:
            raise KernelError(
                f"its negative taps are {_percent(negative, positive)} of its positive ones, "
                f"expected at most {limit:.0%}; a blur adds light"
            )
        total = taps.sum()
        changed = abs(total - 1) > SUM_TOLERANCE
        notes = (f"its sum was {total:g}; divided by it",) if changed else ()
        return cls(taps / total, space, notes)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A known blur as a network takes it.

    Attributes:
        kernel: (k, k) float32, sum 1, in the network's own space.
        notes: what was changed, a sentence each.
    """

    kernel: np.ndarray
    notes: tuple[str, ...]


def fit(own: OwnKernel, config: ModelConfig) -> Fitted:
    """Centre a kernel, carry it into the network's space and bring it to the network's size.

    Raises:
        KernelError: it is wider than what the network can invert.
    """
    size, notes = config.kernel_size, list(own.notes)
    # In LR pixels as many taps reach `scale` times as far.
    wide = 2 * (size * config.scale // 2) + 1
    room = wide if (own.space, config.kernel_space) == ("hr", "lr") else size
    taps, lost = centred(own.taps, room)
    _refuse_wide(own, room, lost)
    if lost > SUM_TOLERANCE:
        notes.append(f"cut off {lost:.1%} of it, which lies outside {room}x{room} taps")
    notes += _moved(own.taps)
    if own.space != config.kernel_space and own.space == "hr":
        taps = to_lr(taps, config.scale, size)
    elif own.space != config.kernel_space:
        taps, misfit = to_hr(taps, config.scale, size)
        _refuse_misfit(config, misfit)
    return Fitted(taps.astype(np.float32), tuple(notes))


def _refuse_wide(own: OwnKernel, room: int, lost: float) -> None:
    if lost > LARGEST_LOSS:
        raise KernelError(
            f"{lost:.1%} of it ({_size(own.taps.shape)} taps) lies outside the {room}x{room} "
            f"{_PIXELS[own.space]} pixels that this network inverts, expected at most "
            f"{LARGEST_LOSS:.0%}; take off its background, or use weights with a larger kernel"
        )


def _refuse_misfit(config: ModelConfig, misfit: float) -> None:
    if misfit > LARGEST_MISFIT:
        side = config.kernel_size
        raise KernelError(
            f"no blur within {side}x{side} output pixels looks like it in input pixels at "
            f"x{config.scale}: {misfit:.1%} of it is left over, expected at most "
            f"{LARGEST_MISFIT:.0%}; it is too wide, or not in input pixels"
        )


def _moved(taps: np.ndarray) -> list[str]:
    """Tell how far the centre of mass was from the middle of the file."""
    down, right = (
        moment - (length - 1) / 2
        for moment, length in zip(centre_of_mass(taps), taps.shape, strict=True)
    )
    if max(abs(down), abs(right)) <= CENTRE_TOLERANCE_PX:
        return []
    return [
        f"its centre of mass was {right:+.2f} px to the right and {down:+.2f} px down from its "
        "middle; moved to the middle, so that the picture stays in place"
    ]


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole > 0 else "more than all"
