"""How large tiles are."""

import math

from dcls_cli.backends import Memory

#: Sides of the tiles that are chosen without a wish, LR pixels, if memory allows.
LARGEST_TILE_PX = 512

DEFAULT_OVERLAP_PX = 32

#: Smaller tiles would be mostly overlap.
MINIMUM_TILE_PX = 2 * DEFAULT_OVERLAP_PX

#: Part of the free memory that the tiles in work may take.
PART_OF_FREE = 0.5


def choose_tile(height: int, width: int, planes: int, lanes: int, memory: Memory) -> int:
    """Choose the side of the tiles of a photo by what is free.

    Args:
        height: of the photo, pixels.
        width: of the photo, pixels.
        planes: 2 with an alpha channel, else 1.
        lanes: tiles that are restored at a time.
        memory: of the engine.

    Returns:
        Pixels; 0 for the whole photo in one piece.
    """
    affordable = PART_OF_FREE * memory.free_bytes / (memory.bytes_per_px * planes * lanes)
    if height * width <= min(LARGEST_TILE_PX**2, affordable):
        return 0
    return max(min(math.isqrt(int(affordable)), LARGEST_TILE_PX), MINIMUM_TILE_PX)


def halved(side: int, overlap: int) -> int:
    """The side of four tiles that cover one of `side` pixels."""
    return -(-(side + overlap) // 2)
