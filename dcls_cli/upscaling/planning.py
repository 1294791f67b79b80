"""In which pieces a photo is restored, and how many at a time."""

from collections.abc import Sequence
from typing import Literal

from dcls_cli.backends import Backend
from dcls_cli.image import Photo
from dcls_cli.tiling import Tile, plan
from dcls_cli.upscaling.sizes import DEFAULT_OVERLAP_PX, LOCAL_TILE_PX, choose_batch, choose_tile

KernelMode = Literal["global", "tile"]


def tiles_of(
    photo: Photo,
    backend: Backend,
    *,
    tile: int | None = None,
    overlap: int = DEFAULT_OVERLAP_PX,
    kernel_mode: KernelMode = "global",
) -> list[Tile]:
    """Plan the pieces that `upscale` restores; its arguments.

    Raises:
        UsageError: a tile that is not larger than the overlap.
    """
    if tile is None and kernel_mode == "tile":
        tile = LOCAL_TILE_PX
    elif tile is None:
        planes = 2 if photo.has_alpha else 1
        tile = choose_tile(
            photo.height,
            photo.width,
            backend.memory(),
            planes=planes,
            lanes=backend.lanes,
            padding=backend.config.kernel_size,
        )
    return plan(photo.height, photo.width, tile, overlap)


def batch_of(photo: Photo, backend: Backend, tiles: Sequence[Tile]) -> int:
    """How many of the pieces `upscale` restores at a time, where they share one blur."""
    height, width = tiles[0].size
    return choose_batch(
        len(tiles),
        height * width,
        backend.memory(),
        planes=2 if photo.has_alpha else 1,
        lanes=backend.lanes,
        batch_px=backend.batch_px,
    )
