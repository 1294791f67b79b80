"""How well a restoration explains its input: as well as the user asks for.

The network's model of a photo is y = (k * x) reduced. A network that cleans a photo takes some
texture for noise; what it took is in the misfit y - (k * x) reduced. Fidelity returns it: gradient
descent on the square of the misfit, from the network's result on. What the photo shows clearly
comes back in the first step. Further steps bring what the blur has nearly erased, noise and JPEG
damage above all, until the photo is explained as far as its 8 bits go.
"""

import math
from threading import Lock

import numpy as np

from dcls_cli.config import KernelSpace
from dcls_cli.errors import UsageError
from dcls_cli.upscaling.consistency import Damage

#: Of the commands: the network alone. The least fidelities cost nothing but gain nothing either,
#: measured over eight kinds of damage (docs/benchmark.md).
DEFAULT_FIDELITY = 0.0

#: Up to here one step is made, whose length grows with the fidelity; beyond, more are made.
_ONE_STEP = 0.5

#: Steps at a fidelity of 1: more of them change little beside rounding, unless the blur is wide.
MOST_STEPS = 64

#: Separable parts of a kernel that are left out change the damaged picture by less than rounding.
_SMALLEST_PART = 1e-3


def check_fidelity(fidelity: float) -> None:
    """Refuse what is no fidelity.

    Raises:
        UsageError: not a number from 0 to 1.
    """
    if not 0 <= fidelity <= 1:  # true of NaN too
        raise UsageError(
            f"fidelity {fidelity:g}: expected a number from 0 (the network alone) to 1 (the "
            "result explains the photo to the last level)"
        )


class Misfit:
    """Squares of what the restored tiles of a photo do not explain of it, before and after.

    Pixels that two tiles have count twice. Several threads may add to it.
    """

    def __init__(self) -> None:
        """Of no tile yet."""
        self._lock = Lock()
        self._sums = np.zeros(3)

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Count the misfits of tiles, of any shape."""
        squares = [np.square(part, dtype=np.float64).sum() for part in (before, after)]
        with self._lock:
            self._sums += (*squares, before.size)

    @property
    def before_db(self) -> float | None:
        """PSNR of the network's result, damaged again, against the photo; None if equal."""
        return self._decibels(0)

    @property
    def after_db(self) -> float | None:
        """The same of the result with the fidelity that was asked for."""
        return self._decibels(1)

    def _decibels(self, which: int) -> float | None:
        squares, count = self._sums[which], self._sums[2]
        return -10 * math.log10(squares / count) if squares > 0 else None


def keep_faithful(
    lr: np.ndarray,
    sr: np.ndarray,
    kernel: np.ndarray,
    space: KernelSpace,
    fidelity: float,
    *,
    level: float,
    misfit: Misfit | None = None,
) -> np.ndarray:
    """Return to a restoration what it lacks of its input.

    Args:
        lr: (N, C, h, w) in [0, 1].
        sr: its restoration, (N, C, s h, s w) in [0, 1].
        kernel: the blur that it was restored with, (k, k), k odd.
        space: whether the kernel's taps are HR or LR pixels.
        fidelity: 0: the restoration as it is; 1: the input is explained.
        level: step between two values of the result, as 1 / 255, for its misfit.
        misfit: is given what is not explained, before, and after rounding.

    Returns:
        (N, C, s h, s w) in [0, 1].
    """
    damage = Damage(kernel, sr.shape[-1] // lr.shape[-1], space, _SMALLEST_PART)
    before = missing = lr - damage.of(sr)
    count, length = _steps(fidelity)
    ahead = sr
    # Nesterov's acceleration. All its numbers are fixed, so that tiles agree with their neighbours.
    for step in range(count):
        moved = (ahead + length * damage.back(missing)).clip(0, 1)
        ahead = moved + step / (step + 3) * (moved - sr)
        sr = moved
        last = step + 1 == count
        missing = lr - damage.of(np.rint(sr / level) * level if last else ahead)
    if misfit is not None:
        misfit.add(before, missing)
    return np.asarray(sr, np.float32)


def _steps(fidelity: float) -> tuple[int, float]:
    """How many steps are made, and how long they are: 1 is the longest that always converges."""
    if fidelity <= _ONE_STEP:
        return math.ceil(fidelity), fidelity / _ONE_STEP
    return max(2, round(MOST_STEPS ** ((fidelity - _ONE_STEP) / (1 - _ONE_STEP)))), 1.0
