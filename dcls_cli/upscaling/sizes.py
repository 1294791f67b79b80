"""How large tiles are, and how many are restored at a time."""

import math

from dcls_cli.backends import Memory
from dcls_cli.errors import OutOfMemoryError

#: Tiles are not chosen larger, LR pixels: what they save in overlap they lose in cache misses
#: (measured on a CPU, docs/performance.md).
LARGEST_TILE_PX = 280

#: A photo of at most this many pixels is restored in one piece, if memory allows.
WHOLE_IMAGE_PIXELS = 512 * 512

#: Where each tile has its own kernel, they are smaller, so that the kernel can follow the photo.
LOCAL_TILE_PX = 102

DEFAULT_OVERLAP_PX = 32

#: Smaller tiles would be mostly overlap.
MINIMUM_TILE_PX = 2 * DEFAULT_OVERLAP_PX

#: Part of the free memory that the tiles in work may take.
PART_OF_FREE = 0.5


def choose_tile(
    height: int, width: int, memory: Memory, *, planes: int, lanes: int, padding: int
) -> int:
    """Choose the side of the tiles of a photo by what is free.

    Args:
        height: of the photo, pixels.
        width: of the photo, pixels.
        memory: of the engine.
        planes: 2 with an alpha channel, else 1.
        lanes: tiles that are restored at a time.
        padding: pixels that the deconvolution adds on each side before its FFT.

    Returns:
        Pixels; 0 for the whole photo in one piece.
    """
    affordable = PART_OF_FREE * memory.free_bytes / (memory.bytes_per_px * planes * lanes)
    fits = max(height, width) <= (memory.longest_side_px or math.inf)
    if fits and height * width <= min(WHOLE_IMAGE_PIXELS, affordable):
        return 0
    side = min(math.isqrt(int(affordable)), LARGEST_TILE_PX)
    while side > MINIMUM_TILE_PX and not _is_fast(side + 2 * padding):
        side -= 1
    return max(side, MINIMUM_TILE_PX)


def choose_batch(
    tiles: int, tile_px: int, memory: Memory, *, planes: int, lanes: int, batch_px: int
) -> int:
    """Choose how many tiles go through the network at a time.

    Args:
        tiles: in all, of one size.
        tile_px: pixels of each.
        memory: of the engine.
        planes: 2 with an alpha channel, else 1.
        lanes: batches that are restored at a time.
        batch_px: of the engine, see `Backend`.

    Returns:
        At least 1; the tiles are spread evenly, so that all batches but the last are alike.
    """
    affordable = PART_OF_FREE * memory.free_bytes / (memory.bytes_per_px * planes * lanes)
    most = max(int(min(batch_px, affordable)) // tile_px, 1)
    return math.ceil(tiles / math.ceil(tiles / most))


def _is_fast(length: int) -> bool:
    """Whether an FFT of this length has small factors only."""
    for factor in (2, 3, 5):
        while length % factor == 0:
            length //= factor
    return length == 1


def halved(side: int, overlap: int) -> int:
    """The side of four tiles that cover one of `side` pixels."""
    return -(-(side + overlap) // 2)


def too_little_memory(memory: Memory, side: int, *, planes: int) -> OutOfMemoryError:
    """The error where tiles of the smallest size do not fit.

    Args:
        memory: of the engine.
        side: of the tiles, pixels.
        planes: 2 with an alpha channel, else 1.
    """
    need = side**2 * planes * memory.bytes_per_px
    return OutOfMemoryError(
        f"out of memory with tiles of {side} pixels, and smaller ones are not used: they take "
        f"about {need / 1e6:.0f} MB, and {memory.free_bytes / 1e6:.0f} MB are free; close "
        "other programs or use another device"
    )
