"""What JPEG does to an image, in batch and on any device: baseline coding without the bits.

Its blocks start anywhere, and the picture may have been compressed at another size.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

BLOCK = 8

#: Quantisation tables of ITU-T T.81, Annex K, for quality 50.
LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
#: JFIF, full range: RGB -> Y, Cb - 128, Cr - 128 in 8-bit levels.
TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)


@lru_cache(maxsize=8)
def _cosine_basis(device: torch.device) -> Tensor:
    """Orthonormal DCT-II, (frequency, sample)."""
    n = torch.arange(BLOCK, dtype=torch.float64)
    basis = torch.cos(torch.outer(n, (2 * n + 1) * math.pi / (2 * BLOCK))) * 0.5
    basis[0] /= math.sqrt(2)
    return basis.float().to(device)


@lru_cache(maxsize=16)
def _colour_matrix(device: torch.device, *, inverse: bool = False) -> Tensor:
    matrix = torch.tensor(TO_YCBCR, dtype=torch.float64)
    return (torch.linalg.inv(matrix) if inverse else matrix).to(device)


def from_ycbcr(planes: Tensor) -> Tensor:
    """Y, Cb - 128, Cr - 128 -> RGB, (B, 3, H, W) each, neither rounded nor clamped."""
    matrix = _colour_matrix(planes.device, inverse=True).to(planes.dtype)
    return torch.einsum("ij,bjhw->bihw", matrix, planes)


def jpeg(image: Tensor, quality: Tensor, subsample: Tensor) -> Tensor:
    """Code and decode images (B, 3, H, W) in [0, 1], sides multiples of 16, as libjpeg does.

    `quality` is (B,) 1 to 100; `subsample` (B,) bool, whether chroma has half the sides (4:2:0).
    The result has multiples of 1/255.
    """
    levels = (image.clamp(0, 1) * 255).round()
    matrix = _colour_matrix(image.device).to(image.dtype)
    planes = torch.einsum("ij,bjhw->bihw", matrix, levels)
    # The decoder rounds each plane to bytes before it converts colours.
    luma = _code(planes[:, :1].round() - 128, quality, LUMA_TABLE) + 128
    chroma = planes[:, 1:].round()
    full = _code(chroma, quality, CHROMA_TABLE)
    half = F.interpolate(
        _code(F.avg_pool2d(chroma, 2).round(), quality, CHROMA_TABLE),
        scale_factor=2,
        mode="bilinear",  # libjpeg's "fancy" up-sampling is this triangle filter
    )
    chroma = torch.where(subsample[:, None, None, None], half, full)
    decoded = torch.cat((luma, chroma), dim=1)
    rgb = from_ycbcr(decoded)
    return rgb.round().clamp(0, 255) / 255


def _code(plane: Tensor, quality: Tensor, table: tuple[tuple[int, ...], ...]) -> Tensor:
    """Quantise the 8x8 DCT of level-shifted planes: (B, C, H, W) -> the same, whole levels."""
    batch, channels, height, width = plane.shape
    steps = _quantisation(quality, table)
    basis = _cosine_basis(plane.device).to(plane.dtype)
    blocks = plane.view(batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    spectrum = torch.einsum("uy,bciyjx,vx->bciujv", basis, blocks, basis)
    steps = steps[:, None, None, :, None, :]
    spectrum = (spectrum / steps).round() * steps
    blocks = torch.einsum("uy,bciujv,vx->bciyjx", basis, spectrum, basis)
    return blocks.reshape(batch, channels, height, width).round().clamp(-128, 127)


@lru_cache(maxsize=16)
def _on_device(table: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """A table as float64; kept, because a copy to a GPU waits for it."""
    return torch.tensor(table, dtype=torch.float64).to(device)


def _quantisation(quality: Tensor, table: tuple[tuple[int, ...], ...]) -> Tensor:
    """Libjpeg's scaling of a table: (B,) -> (B, 8, 8)."""
    quality = quality.clamp(1, 100)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    base = _on_device(table, percent.device).to(percent.dtype)
    return ((base * percent[:, None, None] + 50) / 100).floor().clamp(1, 255)


#: Width of what JPEG codes as one, with halved chroma.
GRID = 16


def compressed(image: Tensor, quality: Tensor, subsampled: Tensor, grid: Tensor) -> Tensor:
    """Code and decode (B, 3, h, w) in [0, 1], shifted by (B, 2) pixels within a larger canvas.

    A `quality` (B,) above 100 leaves an image as it is.
    """
    height, width = image.shape[-2:]
    canvas = [_whole_blocks(side + GRID) for side in (height, width)]
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
        other = _whole_blocks(side * largest + GRID)
        pixel = torch.arange(side, device=image.device) + 0.5
        place = torch.arange(other, device=image.device) + 0.5
        centre = (place - start[:, axis, None]) / factor[:, None]
        there.append(_bicubic_at(centre.clamp(0.5, side - 0.5), side, factor))
        centre = pixel * factor[:, None] + start[:, axis, None]
        back.append(_bicubic_at(centre, other, 1 / factor))
    resized = (there[0] @ image @ there[1].mT).clamp(0, 1)
    change = jpeg(resized, quality, subsampled) - resized
    return image + back[0] @ change @ back[1].mT


def _whole_blocks(side: float) -> int:
    """The next multiple of `GRID`."""
    return -int(-side // GRID) * GRID


def _bicubic_at(centre: Tensor, length: int, factor: Tensor) -> Tensor:
    """Keys' antialiased cubic at positions (B, m) of each image's own: weights (B, 1, m, length).

    Pixel i covers [i, i + 1); `factor` is (B,) samples a pixel; below 1 the filter is wider.
    """
    pixel = torch.arange(length, device=centre.device) + 0.5
    stretch = factor.clamp(max=1)[:, None, None]
    t = (stretch * (centre[:, :, None] - pixel)).abs()
    near = (1.5 * t - 2.5) * t.square() + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    weight = torch.where(t <= 1, near, torch.where(t <= 2, far, 0.0))
    return (weight / weight.sum(2, keepdim=True))[:, None]
