"""Does the result explain the input? The result is damaged again and compared.

The damage is the network's own model of it: the picture is convolved with the kernel and made
smaller by the antialiased bicubic, or, for a kernel in LR pixels, made smaller and then convolved.
What a result invents without warrant in the input shows here as a difference; detail that the
reduction would remove again cannot show, so this is a necessary condition and no proof.
"""

from dataclasses import dataclass

import numpy as np

from dcls_cli.backends import Raster
from dcls_cli.config import KernelSpace
from dcls_cli.metrics import psnr
from dcls_cli.reports.views import block_means, windows

#: The map of differences has at most about so many pixels a side.
MAP_PX = 512

#: About the side of a window, LR pixels: the work grows with it, the halo's share falls.
WINDOW_PX = 128

#: Reach of the antialiased bicubic, and of the one that enlarges, LR pixels.
_BICUBIC_REACH = 3


@dataclass(frozen=True, eq=False)
class Consistency:
    """The input against the damaged result.

    Attributes:
        psnr_db: over all pixels and RGB, peak 1; infinity if equal.
        bicubic_psnr_db: of the bicubic enlargement in place of the result.
        residual: root mean square difference over RGB and over blocks of `block` x `block` input
            pixels, (H / block, W / block) rounded up, in units of the full range.
        block: pixels.
    """

    psnr_db: float
    bicubic_psnr_db: float
    residual: np.ndarray
    block: int


def consistency(
    lr: np.ndarray | Raster,
    sr: np.ndarray | Raster,
    kernel: np.ndarray,
    space: KernelSpace,
    scale: int,
) -> Consistency:
    """Damage a result again and compare it with the input, window by window."""
    _, height, width = lr.shape
    block = -(-max(height, width) // MAP_PX)
    squares = np.empty((1, -(-height // block), -(-width // block)))
    halo = _halo(kernel, space, scale)
    errors, bicubic_errors = 0.0, 0.0
    for rows, columns in windows(height, width, block * max(WINDOW_PX // block, 1)):
        near = tuple(
            slice(max(span.start - halo, 0), min(span.stop + halo, length))
            for span, length in ((rows, height), (columns, width))
        )
        inner = tuple(
            slice(span.start - part.start, span.stop - part.start)
            for span, part in ((rows, near[0]), (columns, near[1]))
        )
        far = tuple(slice(part.start * scale, part.stop * scale) for part in near)
        low = lr[:, near[0], near[1]]
        damaged = damage_again(sr[:, far[0], far[1]], kernel, space, scale)
        enlarged = damage_again(_enlarged(low, scale), kernel, space, scale)
        low, damaged, enlarged = (part[:, inner[0], inner[1]] for part in (low, damaged, enlarged))
        difference = np.square((damaged - low).astype(np.float64))
        errors += float(difference.sum())
        bicubic_errors += float(np.square((enlarged - low).astype(np.float64)).sum())
        means = block_means(difference.mean(axis=0, keepdims=True), block)
        top, left = rows.start // block, columns.start // block
        squares[:, top : top + means.shape[1], left : left + means.shape[2]] = means
    count = 3 * height * width
    return Consistency(
        _decibels(errors / count), _decibels(bicubic_errors / count), np.sqrt(squares[0]), block
    )


def damage_again(sr: np.ndarray, kernel: np.ndarray, space: KernelSpace, scale: int) -> np.ndarray:
    """What the network takes for the cause of its input: (3, H, W) float32 in [0, 1]."""
    import torch

    from dcls_cli.degradation import bicubic, blur
    from dcls_cli.degradation.classical import degrade

    # The functions correlate: the kernel turned by half a circle makes it a convolution.
    turned = torch.from_numpy(kernel[::-1, ::-1].astype(np.float32))[None, None]
    image = torch.from_numpy(np.ascontiguousarray(sr, np.float32))[None]
    if space == "hr":
        small = degrade(image, turned, scale)
    else:
        small = blur(bicubic(image, 1 / scale), turned)
    return np.asarray(small[0].clamp(0, 1).numpy())


def _halo(kernel: np.ndarray, space: KernelSpace, scale: int) -> int:
    """LR pixels beyond a window that its damaged result depends on."""
    reach = len(kernel) // 2
    return (-(-reach // scale) if space == "hr" else reach) + 2 * _BICUBIC_REACH


def _enlarged(lr: np.ndarray, scale: int) -> np.ndarray:
    import torch

    from dcls_cli.degradation import bicubic

    image = torch.from_numpy(np.ascontiguousarray(lr, np.float32))[None]
    return np.asarray(bicubic(image, scale)[0].clamp(0, 1).numpy())


def _decibels(mean_square: float) -> float:
    root = np.sqrt(np.array([mean_square]))
    return psnr(root, np.zeros(1), peak=1.0)
