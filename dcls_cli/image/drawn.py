"""What tells drawings from photographs: equal pixels, flat blocks, few colours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BLOCK_PX = 4

#: Samples of a nearly flat block lie within fewer levels.
_NEARLY = 9

#: Part of the blocks that are not of one colour which are quiet.
_QUIET = 1 / 3

#: The place, among the steps of a block, of the one that lies on a border of JPEG's: number 7 of
#: eight, and number 6 of those that have a neighbour before them.
_ON_BORDER = 6


@dataclass(frozen=True, eq=False)
class Drawn:
    """Of a picture or a window of it; see `Traces`.

    Attributes:
        pixels: that count.
        powers: of the finest detail of each 4x4 block that is not of one colour, levels squared.
    """

    pixels: int
    equal: float
    flat: float
    nearly_flat: float
    colours: float
    powers: np.ndarray

    @property
    def plain_noise(self) -> float:
        """See `Traces`; 0 if all blocks are of one colour."""
        return float(np.sqrt(np.quantile(self.powers, _QUIET))) if self.powers.size else 0.0


def drawn_in(colours: np.ndarray, visible: np.ndarray) -> Drawn:
    """Measure a window: colours (C, h, w) in levels of 255, and what counts of it (h, w)."""
    levels = np.rint(colours)
    beside = visible[:-1, :-1] & visible[:-1, 1:] & visible[1:, :-1]
    across = (levels[:, :-1, :-1] == levels[:, :-1, 1:]).all(axis=0)
    down = (levels[:, :-1, :-1] == levels[:, 1:, :-1]).all(axis=0)
    shown = _blocks(visible).all(axis=-1)
    spread = np.stack([np.ptp(_blocks(plane), axis=-1) for plane in levels]).max(axis=0)[shown]
    places = 256.0 ** np.arange(len(levels))
    different = len(np.unique(np.tensordot(places, levels, 1)[visible]))
    grey = levels.mean(axis=0)
    detail = (grey[:-1, :-1] - grey[:-1, 1:] - grey[1:, :-1] + grey[1:, 1:]) / 2
    power = (_blocks(detail) ** 2).mean(axis=-1)
    within = _blocks(beside & visible[1:, 1:]).all(axis=-1) & (power > 0)
    return Drawn(
        pixels=int(visible.sum()),
        equal=_share((across & down)[beside]),
        flat=_share(spread == 0),
        nearly_flat=_share(spread < _NEARLY),
        colours=different / max(int(visible.sum()), 1),
        powers=power[within],
    )


def joined(windows: Sequence[Drawn]) -> Drawn:
    """The same of all windows together, each counting by its pixels; colours are those of each."""
    weights = [window.pixels for window in windows] if any(w.pixels for w in windows) else None

    def mean(name: str) -> float:
        return float(np.average([getattr(window, name) for window in windows], weights=weights))

    return Drawn(
        pixels=sum(window.pixels for window in windows),
        equal=mean("equal"),
        flat=mean("flat"),
        nearly_flat=mean("nearly_flat"),
        colours=mean("colours"),
        powers=np.concatenate([window.powers for window in windows]),
    )


def blocking(sums: np.ndarray, counts: np.ndarray) -> float:
    """Mean excess of small steps on the borders of 8x8 blocks, less the largest one elsewhere."""
    means = sums / np.maximum(counts, 1)
    return float(means[_ON_BORDER] - np.delete(means, _ON_BORDER).max())


def _blocks(values: np.ndarray) -> np.ndarray:
    """The samples of each whole block: (h, w) -> (rows, columns, 16)."""
    rows, columns = (side // _BLOCK_PX for side in values.shape)
    whole = values[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    parts = whole.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).transpose(0, 2, 1, 3)
    return parts.reshape(rows, columns, _BLOCK_PX**2)


def _share(true: np.ndarray) -> float:
    return float(true.mean()) if true.size else 0.0
