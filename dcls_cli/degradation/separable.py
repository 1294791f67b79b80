"""Blur by any kernel and bicubic reduction in one: a sum of separable blurs.

A convolution with a k x k kernel costs k² products a pixel of the large image, of which the
reduction then throws most away. The singular value decomposition K = sum_r u_r s_r v_r' turns it
into a few separable blurs, each two small matrix products together with the bicubic of its axis.
"""

import torch
from torch import Tensor

from dcls_cli.degradation.gaussian import blurred_bicubic_matrix

#: Separable parts below this share of the strongest one are left out; 8 bits round by 200 times
#: as much.
SMALLEST_PART = 1e-5


def degrade(image: Tensor, kernel: Tensor, scale: int) -> Tensor:
    """Blur every image with its own kernel and make it smaller.

    Equals `bicubic(blur(image, kernel), 1 / scale)` to about `SMALLEST_PART`.

    Args:
        image: (B, C, H, W).
        kernel: (B, 1, k, k).
        scale: by how much the result is smaller.

    Returns:
        (B, C, ceil(H / scale), ceil(W / scale)), neither clamped nor rounded.
    """
    height, width = image.shape[-2:]
    with torch.autocast(image.device.type, enabled=False):
        along_rows, along_columns = separable_parts(kernel[:, 0].to(image.dtype))
        batch, parts, taps = along_rows.shape
        rows = blurred_bicubic_matrix(along_rows.reshape(-1, taps), height, scale)
        columns = blurred_bicubic_matrix(along_columns.reshape(-1, taps), width, scale)
        # All parts stacked below each other, then beside each other, so that the second product
        # adds them up.
        low = rows.shape[1]
        reduced = rows.reshape(batch, 1, parts * low, height) @ image
        reduced = reduced.view(batch, -1, parts, low, width).transpose(2, 3).flatten(3)
        columns = columns.view(batch, 1, parts, -1, width).transpose(2, 3).flatten(3)
        return reduced @ columns.mT


def separable_parts(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Kernels as sums of outer products: (B, k, k) -> taps down and taps across, (B, R, k) each.

    R is what the least separable kernel of the batch needs; the others are padded by parts that
    are next to nothing.
    """
    # On the CPU: a GPU takes longer for a few matrices of this size than the way there and back.
    down, strength, across = torch.linalg.svd(kernel.double().cpu())
    needed = int((strength > SMALLEST_PART * strength[:, :1]).sum(1).max())
    root = strength[:, :needed, None].sqrt()
    parts = down.mT[:, :needed] * root, across[:, :needed] * root
    first, second = (part.to(kernel) for part in parts)
    return first, second
