"""Up-scale a photo of any size: estimate its blur once, restore it tile by tile, stitch."""

from dcls_cli.upscaling.enlarging import Progress, Upscaled, held, upscale
from dcls_cli.upscaling.fidelity import DEFAULT_FIDELITY
from dcls_cli.upscaling.finding import FoundBlur, find_blur
from dcls_cli.upscaling.planning import KernelMode, batch_of, tiles_of
from dcls_cli.upscaling.sizes import DEFAULT_OVERLAP_PX, MINIMUM_TILE_PX

__all__ = [
    "DEFAULT_FIDELITY",
    "DEFAULT_OVERLAP_PX",
    "MINIMUM_TILE_PX",
    "FoundBlur",
    "KernelMode",
    "Progress",
    "Upscaled",
    "batch_of",
    "find_blur",
    "held",
    "tiles_of",
    "upscale",
]
