"""Traces that noise and compression leave in a picture: what tells a photograph from clean data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dcls_cli.image.drawn import Drawn, blocking, drawn_in, joined

#: Width of the blocks of JPEG, and of the blocks in which noise is measured.
BLOCK_PX = 8

_WINDOW_PX = 256
_MOST_WINDOWS = 16

#: Of all blocks, the share that is smooth enough to show noise and nothing else.
_QUIETEST = 0.05

#: Of all blocks, the share with least detail of any direction, whose detail is compared.
_PLAINEST = 0.1

#: Blocks darker or brighter are clipped, and clipping hides noise.
_UNCLIPPED = (8, 247)

#: Steps of fewer levels, among others as small, are those of blocks and no edges.
_SMALL = 6

#: A step of more levels is an edge of the picture and would drown those of the grid.
_LARGEST_STEP = 8


class Windowed(Protocol):
    """(C, H, W) values in [0, 1]: an array, or a photo that makes floats of a window when asked."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray: ...  # noqa: D105


@dataclass(frozen=True)
class Traces:
    """What a picture shows of its past.

    Attributes:
        noise: standard deviation of the finest diagonal detail in the quietest twentieth of the
            8x8 blocks, 8-bit levels: 0.8 times that of white noise. Rounding alone leaves 0.3.
        whiteness: amplitude of the finest diagonal detail over that of the finest horizontal and
            vertical detail, in the tenth of the blocks with least of both. White noise has 1;
            in pictures, whose detail falls with its frequency, it is 0.2 to 0.5. It tells the
            noise from the texture of a small picture that has no smooth blocks.
        grid: how far the steps at the borders of 8x8 blocks stand out of all others, in standard
            errors, in the direction where they do so less. Chance leaves 1 to 2.
        blocking: how much higher small steps are at those borders than elsewhere at most, levels.
        plain_noise: standard deviation of the finest diagonal detail in the quietest third of the
            4x4 blocks that are not of one colour, levels.
        equal: share of the pixels that equal those to the right and below in all channels: much in
            drawings, hardly any in photographs.
        flat: share of the 4x4 blocks that are of one colour.
        nearly_flat: share of the 4x4 blocks whose samples lie within 8 levels.
        colours: different ones for each pixel, at most 1.
    """

    noise: float
    whiteness: float
    grid: float
    blocking: float
    plain_noise: float
    equal: float
    flat: float
    nearly_flat: float
    colours: float


def measure_traces(picture: Windowed, alpha: Windowed | None = None) -> Traces:
    """Measure noise, a grid of blocks, and what drawings have in a picture (C, H, W) in [0, 1].

    Channels are averaged where brightness counts; where `alpha` is 0, nothing counts. Large
    pictures are sampled in 16 windows of 256 x 256 pixels, so that the time does not depend on
    their size.
    """
    blocks: list[np.ndarray] = []
    drawn: list[Drawn] = []
    steps = (_PhaseSums(), _PhaseSums())
    for window in _windows(picture):
        colours = np.asarray(picture[window], np.float64) * 255
        visible = np.ones(colours.shape[1:], bool)
        if alpha is not None:
            visible = np.asarray(alpha[slice(0, 1), *window[1:]])[0] > 0
        levels = colours.mean(axis=0)
        blocks.append(_detail_of_blocks(levels, visible))
        steps[0].add(levels, visible)
        steps[1].add(levels.T, visible.T)
        drawn.append(drawn_in(colours, visible))
    diagonal, straight = np.concatenate(blocks, axis=1)
    in_all = joined(drawn)
    return Traces(
        noise=float(np.sqrt(np.quantile(diagonal, _QUIETEST))) if diagonal.size else 0.0,
        whiteness=_whiteness(diagonal, straight),
        grid=min(step.prominence() for step in steps),
        blocking=blocking(steps[0].small + steps[1].small, steps[0].seen + steps[1].seen),
        plain_noise=in_all.plain_noise,
        equal=in_all.equal,
        flat=in_all.flat,
        nearly_flat=in_all.nearly_flat,
        colours=in_all.colours,
    )


def _windows(picture: Windowed) -> Iterator[tuple[slice, slice, slice]]:
    """All of a small picture; windows spread evenly over a large one, on the grid of blocks."""
    channels, height, width = picture.shape
    rows, columns = _starts(height), _starts(width)
    for top in rows:
        for left in columns:
            yield (
                slice(0, channels),
                slice(top, min(top + _WINDOW_PX, height)),
                slice(left, min(left + _WINDOW_PX, width)),
            )


def _starts(side: int) -> list[int]:
    """First pixels of at most four windows, multiples of the block's width."""
    most = round(_MOST_WINDOWS**0.5)
    if side <= most * _WINDOW_PX:
        return list(range(0, side, _WINDOW_PX))
    spread = np.linspace(0, side - _WINDOW_PX, most)
    return [int(start) // BLOCK_PX * BLOCK_PX for start in spread]


def _detail_of_blocks(levels: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Power of the finest detail of each block that is visible and not clipped.

    Returns:
        (2, blocks): of the diagonal detail, and the mean of the horizontal and the vertical one.
    """
    if min(levels.shape) <= BLOCK_PX:
        return np.zeros((2, 0))
    across, down = levels[:, :-1] - levels[:, 1:], levels[:-1] - levels[1:]
    diagonal = (across[:-1] - across[1:]) / 2
    horizontal, vertical = (across[:-1] + across[1:]) / 2, (down[:, :-1] + down[:, 1:]) / 2
    power = _block_means(diagonal**2)
    straight = (_block_means(horizontal**2) + _block_means(vertical**2)) / 2
    mean = _block_means(levels)[: power.shape[0], : power.shape[1]]
    low, high = _UNCLIPPED
    shown = _block_means(visible)[: power.shape[0], : power.shape[1]] == 1
    unclipped = (mean > low) & (mean < high) & shown
    return np.stack([power[unclipped], straight[unclipped]])


def _whiteness(diagonal: np.ndarray, straight: np.ndarray) -> float:
    """Diagonal over straight amplitude in the blocks with least detail; 0 where there is none."""
    if not diagonal.size:
        return 0.0
    # In drawings many blocks have equal detail: the first of them count, on every processor.
    ordered = np.argsort(diagonal + 2 * straight, kind="stable")
    plainest = ordered[: max(1, int(_PLAINEST * diagonal.size))]
    power = straight[plainest].sum()
    return float(np.sqrt(diagonal[plainest].sum() / power)) if power > 0 else 0.0


def _block_means(values: np.ndarray) -> np.ndarray:
    """Mean of each whole block: (H // 8, W // 8)."""
    rows, columns = (side // BLOCK_PX for side in values.shape)
    whole = values[: rows * BLOCK_PX, : columns * BLOCK_PX]
    return np.asarray(whole.reshape(rows, BLOCK_PX, columns, BLOCK_PX).mean(axis=(1, 3)))


class _PhaseSums:
    """Steps between neighbouring columns, summed for each of the eight places in a block."""

    def __init__(self) -> None:
        self.sums = np.zeros(BLOCK_PX)
        self.counts = np.zeros(BLOCK_PX)
        self.small = np.zeros(BLOCK_PX)
        self.seen = np.zeros(BLOCK_PX)
        self.squares = 0.0

    def add(self, levels: np.ndarray, visible: np.ndarray) -> None:
        """Count a window whose first column is the first of a block."""
        step = np.abs(np.diff(levels, axis=1))
        if step.shape[1] < 3:  # a step needs two neighbours
            return
        shown = visible[:, :-3] & visible[:, 1:-2] & visible[:, 2:-1] & visible[:, 3:]
        around = (step[:, :-2] + step[:, 2:]) / 2
        excess = np.where(shown, step[:, 1:-1] - around, 0)
        small = shown & (np.maximum(np.maximum(step[:, :-2], step[:, 2:]), step[:, 1:-1]) < _SMALL)
        clipped = excess.clip(-_LARGEST_STEP, _LARGEST_STEP)
        for phase in range(min(BLOCK_PX, excess.shape[1])):
            every = np.s_[:, phase::BLOCK_PX]
            self.sums[phase] += clipped[every].sum()
            self.counts[phase] += shown[every].sum()
            self.small[phase] += excess[every][small[every]].sum()
            self.seen[phase] += small[every].sum()
        self.squares += float((clipped**2).sum())

    def prominence(self) -> float:
        """The largest mean of a place over the median of all, in standard errors."""
        if not self.counts.all() or self.squares == 0:
            return 0.0
        means = self.sums / self.counts
        error = np.sqrt(self.squares / self.counts.sum() / self.counts.mean())
        return float((means.max() - np.median(means)) / error)
