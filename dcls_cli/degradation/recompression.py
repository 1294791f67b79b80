"""JPEG whose blocks start anywhere, and JPEG of the same picture at another size."""

import torch
from torch import Tensor

from dcls_cli.degradation.jpeg import jpeg

#: Width of what JPEG codes as one, with halved chroma.
GRID = 16


def compressed(image: Tensor, quality: Tensor, subsampled: Tensor, grid: Tensor) -> Tensor:
    """Code and decode, the image shifted within a larger canvas.

    Args:
        image: (B, 3, h, w) RGB in [0, 1].
        quality: (B,) of libjpeg; above 100: left as it is.
        subsampled: (B,) bool, whether chroma is halved.
        grid: (B, 2) where the picture starts within a block of `GRID`, pixels, down and across.

    Returns:
        (B, 3, h, w) in [0, 1].
    """
    height, width = image.shape[-2:]
    canvas = [_whole(side + GRID) for side in (height, width)]
    rows, columns = (
        torch.arange(side, device=image.device)[None] - grid[:, axis, None]
        for axis, side in enumerate(canvas)
    )
    index = torch.arange(image.shape[0], device=image.device)[:, None, None]
    rows = rows.clamp(0, height - 1)[:, :, None]
    columns = columns.clamp(0, width - 1)[:, None, :]
    shifted = image.permute(0, 2, 3, 1)[index, rows, columns].permute(0, 3, 1, 2)
    decoded = jpeg(shifted.contiguous(), quality.clamp(max=100), subsampled)
    rows = torch.arange(height, device=image.device)[None] + grid[:, 0, None]
    columns = torch.arange(width, device=image.device)[None] + grid[:, 1, None]
    back = decoded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return torch.where((quality <= 100)[:, None, None, None], back.permute(0, 3, 1, 2), image)


def compressed_elsewhere(
    image: Tensor,
    quality: Tensor,
    subsampled: Tensor,
    factor: Tensor,
    *,
    start: Tensor,
    largest: float,
) -> Tensor:
    """What is left when a picture was compressed at another size and then resized to this one.

    Only what JPEG changed is resized and added to the picture. The picture itself would pass two
    more filters and no longer be what its blur kernel says.

    Args:
        image: (B, 3, h, w) RGB, about [0, 1].
        quality: (B,) of libjpeg, 1 to 100.
        subsampled: (B,) bool, whether chroma is halved.
        factor: (B,) how much larger the picture was; below 1: smaller.
        start: (B, 2) where it starts within a block of `GRID`, pixels of that size.
        largest: no factor is above it.

    Returns:
        (B, 3, h, w), not clamped.
    """
    height, width = image.shape[-2:]
    there, back = [], []
    for axis, side in enumerate((height, width)):
        other = _whole(side * largest + GRID)
        pixel = torch.arange(side, device=image.device) + 0.5
        place = torch.arange(other, device=image.device) + 0.5
        centre = (place - start[:, axis, None]) / factor[:, None]
        there.append(_bicubic(centre.clamp(0.5, side - 0.5), side, factor))
        centre = pixel * factor[:, None] + start[:, axis, None]
        back.append(_bicubic(centre, other, 1 / factor))
    resized = (there[0] @ image @ there[1].mT).clamp(0, 1)
    change = jpeg(resized, quality, subsampled) - resized
    return image + back[0] @ change @ back[1].mT


def _whole(side: float) -> int:
    """The next multiple of `GRID`."""
    return -int(-side // GRID) * GRID


def _bicubic(centre: Tensor, length: int, factor: Tensor) -> Tensor:
    """Weights of Keys' antialiased cubic at positions of each image's own.

    Args:
        centre: (B, m) positions, where pixel i covers [i, i + 1).
        length: of the signal that is read, pixels.
        factor: (B,) samples a pixel; below 1 the filter is wider.

    Returns:
        (B, 1, m, length), rows of sum 1.
    """
    pixel = torch.arange(length, device=centre.device) + 0.5
    stretch = factor.clamp(max=1)[:, None, None]
    t = (stretch * (centre[:, :, None] - pixel)).abs()
    near = (1.5 * t - 2.5) * t.square() + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    weight = torch.where(t <= 1, near, torch.where(t <= 2, far, 0.0))
    return (weight / weight.sum(2, keepdim=True))[:, None]
