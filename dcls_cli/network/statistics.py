"""What is global in the network, gathered from an image of any size in bounded memory.

Three things look at the whole image: the estimator's pools, the 3x3 pool of the smoothing filters P
where they come from features, and the means of the channel attention. Everything before the first
two is local: windows with a halo as wide as the layers see, whose padding at the image's borders is
the layers' own, give the same features as the whole image, so their sums give the same pools. The
means of the attention depend on each other, block after block, so no window can be finished before
the next one: they are taken from windows that go through the network together, all of a small
image, a sample of a large one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from dcls_cli.degradation.classical import sent
from dcls_cli.network.dcls import DCLS, Blur, repeated
from dcls_cli.network.deconvolution import FeatureSmoothing, high_pass
from dcls_cli.network.restorer import DualPathBlock, DualPathGroup, DualPathNetwork
from dcls_cli.network.windows import (
    SMOOTHING_MARGIN,
    SMOOTHING_TAPS,
    WINDOW_PX,
    Interval,
    bins,
    intervals,
    joint_windows,
    smoothing_reach,
)


@dataclass(frozen=True)
class Source:
    """An image that is read in windows.

    Attributes:
        read: rows and columns -> (1, 3, h, w), fp32, on the network's device.
        height, width: of the image, at least 1.
    """

    read: Callable[[slice, slice], Tensor]
    height: int
    width: int


def gather(
    network: DCLS,
    source: Source,
    *,
    tiled: bool,
    known: Tensor | None = None,
    window: int = WINDOW_PX,
) -> Blur:
    """Estimate the blur of an image that need not fit into memory, in fp32.

    Args:
        network: in evaluation mode.
        source: the image.
        tiled: whether the image will be restored in tiles: then P and the attention's gates are
            gathered too, where the network makes them itself from a whole image.
        known: a kernel (1, 1, k, k) in place of the estimated one, before P and the gates, which
            depend on it.
        window: pixels that a window gives to a pool, a side.

    Returns:
        A blur of batch size 1. With one window, kernel, noise and P of the code are the bits that
        `DCLS.estimate` gives.
    """
    code = _code(network, source, window)
    blur = network.blur(*network.estimator.decode(code))
    if known is not None:
        blur = blur._replace(kernel=known)
    if not tiled:
        return blur
    smoothing = network.restorer.smoothing
    if isinstance(smoothing, FeatureSmoothing):
        logits = _smoothing_logits(network, smoothing, blur, source, window)
        blur = blur._replace(smoothing=high_pass(logits))
    if network.config.attention:
        blur = blur._replace(gates=_gates(network, blur, source))
    return blur


def _code(network: DCLS, source: Source, window: int) -> Tensor:
    """The estimator's code (1, latent), from sums of its pools in fp64."""
    estimator = network.estimator
    axes = [
        intervals(length, window, estimator.reach, estimator.pooling.margin)
        for length in (source.height, source.width)
    ]
    total, pixels = None, 0
    for rows, columns in product(*axes):
        levels = estimator.features(source.read(rows.read, columns.read))
        means = estimator.pooling.means(*(level[..., rows.core, columns.core] for level in levels))
        count = (rows.last - rows.first) * (columns.last - columns.first)
        part = means.double() * count
        total = part if total is None else total + part
        pixels += count
    assert total is not None
    code: Tensor = estimator.pooling.code((total / pixels).float())
    return code


def _smoothing_logits(
    network: DCLS, smoothing: FeatureSmoothing, blur: Blur, source: Source, window: int
) -> Tensor:
    """Logits of P, (1, C, 3, 3): sums over the bins of the 3x3 adaptive pool, in fp64."""
    restorer, reach = network.restorer, smoothing_reach(network.config)
    height, width = source.height, source.width
    axes = [intervals(length, window, reach, SMOOTHING_MARGIN) for length in (height, width)]
    total: Tensor | float = 0.0
    for rows, columns in product(*axes):
        lr = source.read(rows.read, columns.read)
        _, features = restorer.head(lr, network.closed_forms(lr, blur)[1])
        inner = (..., rows.core, columns.core)
        blurred = restorer.blurred(lr[inner], features[inner])
        pooled = smoothing.to_be_pooled(blurred).double()
        in_row = sent(_weights(rows, height).to(pooled.dtype), pooled.device)
        in_column = sent(_weights(columns, width).to(pooled.dtype), pooled.device)
        total = total + in_row @ pooled @ in_column.T
    assert isinstance(total, Tensor)
    logits: Tensor = smoothing.project(total.float())
    return logits


def _weights(interval: Interval, length: int) -> Tensor:
    """Of the pixels of an interval in the bins of the pool of P: (3, pixels)."""
    return torch.from_numpy(bins(interval, length, SMOOTHING_MARGIN, SMOOTHING_TAPS))


def _gates(network: DCLS, blur: Blur, source: Source) -> Tensor:
    """Gates of the channel attention, (1, groups, blocks, F + F / reduction)."""
    lr, (rows, columns) = read_joint_windows(source)
    known = repeated(blur, lr.shape[0])
    kernel, linear = network.closed_forms(lr, known)
    _, features = network.restorer.head(lr, linear)
    paths = network.restorer.paths(lr, features, kernel, known.smoothing)

    def means(update: Tensor) -> Tensor:
        return update[..., rows, columns].mean((-2, -1)).mean(0, keepdim=True)

    return joint_gates(network.restorer, paths, means)


def joint_gates(
    restorer: DualPathNetwork, paths: tuple[Tensor, Tensor], means: Callable[[Tensor], Tensor]
) -> Tensor:
    """Gates (1, groups, blocks, F + F / reduction) that all windows of an image share.

    The paths begin at (N, F, H, W) and (N, F / reduction, H, W); `means` takes those of all windows
    as if they were one image, (N, C, H, W) -> (1, C).
    """
    found = []
    for group in restorer.groups:
        assert isinstance(group, DualPathGroup)
        first = paths
        of_group = []
        for block in group.blocks:
            assert isinstance(block, DualPathBlock)
            updates = block.updates(*paths)
            gates = block.gates(*map(means, updates))
            paths = block.add(*paths, updates, gates)
            of_group.append(gates)
        paths = group.skipped(first, paths)
        found.append(torch.stack(of_group, dim=1))
    return torch.stack(found, dim=1)


def read_joint_windows(source: Source) -> tuple[Tensor, tuple[slice, slice]]:
    """The whole of a small image, or a sample of a large one, spread evenly over it.

    Returns:
        (N, 3, h, w), and what of their rows and columns counts.
    """
    chosen = joint_windows(source.height, source.width)
    windows = [source.read(*window) for window in chosen.windows]
    return torch.cat(windows), (chosen.rows, chosen.columns)
