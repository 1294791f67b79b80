"""Up-scale a photo: estimate its blur once, restore tile by tile, stitch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from dcls_cli.backends import Backend, Blur
from dcls_cli.config import KernelSpace
from dcls_cli.image import Photo
from dcls_cli.kernels import kernel_width_px
from dcls_cli.tiling import Tile, plan, stitch

#: A photo of at most this many pixels is restored in one piece.
WHOLE_IMAGE_PIXELS = 512 * 512

#: Width and height of the tiles of larger photos, LR pixels.
DEFAULT_TILE_PX = 256

DEFAULT_OVERLAP_PX = 32

#: Smaller tiles would be mostly overlap.
MINIMUM_TILE_PX = 2 * DEFAULT_OVERLAP_PX

#: Called after each tile with the tiles done and the tiles in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Upscaled:
    """A restored photo with the evidence for it.

    Attributes:
        photo: scale times as wide and high, values in [0, 1].
        kernel: the blur that was found or known, (k, k) float32, sum 1.
        kernel_space: `hr` or `lr`: whose pixels the kernel's taps are.
        kernel_width_px: width of the kernel as `kernel_width_px` defines it, in those pixels.
        tiles: in how many pieces the photo was restored.
        noise: power of noise over power of the photo, where the network estimates it.
    """

    photo: Photo
    kernel: np.ndarray
    kernel_space: KernelSpace
    kernel_width_px: float
    tiles: int
    noise: float | None


def upscale(
    photo: Photo,
    backend: Backend,
    *,
    tile: int | None = None,
    overlap: int = DEFAULT_OVERLAP_PX,
    kernel: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Upscaled:
    """Restore a photo with the blur that it shows.

    The alpha channel goes through the same network with the same blur, as a grey picture.

    Args:
        photo: (H, W, 3) in [0, 1], H and W at least 1.
        backend: the network.
        tile: width and height of the pieces, LR pixels; 0 for the whole photo in one piece; None
            for the whole photo up to `WHOLE_IMAGE_PIXELS` and `DEFAULT_TILE_PX` above.
        overlap: pixels that neighbouring pieces share.
        kernel: a blur that is known, made fit by `kernels.fit`, in place of the estimated one.
            Smoothing filters and noise are estimated all the same.
        progress: is told about each piece.

    Raises:
        UsageError: a tile that is not larger than the overlap.
        OutOfMemoryError: a piece does not fit into memory.
        DclsError: the network's result is not finite.
    """
    height, width = photo.pixels.shape[:2]
    if tile is None:
        tile = 0 if height * width <= WHOLE_IMAGE_PIXELS else DEFAULT_TILE_PX
    tiles = plan(height, width, tile, overlap)
    planes = [photo.pixels.transpose(2, 0, 1)]
    if photo.alpha is not None:
        planes.append(np.broadcast_to(photo.alpha, (3, height, width)))
    blur = backend.estimate(np.ascontiguousarray(planes[0]), kernel=kernel)
    total = len(tiles) * len(planes)
    restored = [
        restore(plane, backend, blur, tiles, _counting(progress, index * len(tiles), total))
        for index, plane in enumerate(planes)
    ]
    return Upscaled(
        photo=replace(
            photo,
            pixels=np.ascontiguousarray(restored[0].transpose(1, 2, 0)),
            alpha=restored[1].mean(axis=0) if photo.alpha is not None else None,
        ),
        kernel=blur.kernel,
        kernel_space=backend.config.kernel_space,
        kernel_width_px=kernel_width_px(blur.kernel),
        tiles=len(tiles),
        noise=None if blur.noise is None else float(blur.noise),
    )


def restore(
    lr: np.ndarray, backend: Backend, blur: Blur, tiles: list[Tile], progress: Progress
) -> np.ndarray:
    """Restore one image tile by tile.

    Args:
        lr: (3, H, W) float32 in [0, 1].
        backend: the network.
        blur: of the whole image.
        tiles: a plan for H and W.
        progress: is told about each tile.

    Returns:
        (3, s H, s W) float32, clamped to [0, 1].
    """

    def patches() -> Iterator[tuple[Tile, np.ndarray]]:
        for done, tile in enumerate(tiles, start=1):
            yield tile, backend.restore(lr[(None, slice(None), *tile.source)], blur)[0]
            progress(done, len(tiles))

    channels, height, width = lr.shape
    stitched = stitch(patches(), channels, height, width, backend.config.scale)
    return np.clip(stitched, 0, 1, out=stitched)


def _counting(progress: Progress | None, before: int, total: int) -> Progress:
    """Count the tiles of several planes as one job."""

    def count(done: int, _: int) -> None:
        if progress is not None:
            progress(before + done, total)

    return count
