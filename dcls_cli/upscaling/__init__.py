"""Up-scale a photo of any size: estimate its blur once, restore it tile by tile, stitch."""

from dcls_cli.upscaling.enlarging import KernelMode, Progress, Upscaled, held, tiles_of, upscale
from dcls_cli.upscaling.sizes import DEFAULT_OVERLAP_PX, MINIMUM_TILE_PX

__all__ = [
    "DEFAULT_OVERLAP_PX",
    "MINIMUM_TILE_PX",
    "KernelMode",
    "Progress",
    "Upscaled",
    "held",
    "tiles_of",
    "upscale",
]
