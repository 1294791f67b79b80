"""Tiles through the engine: some ahead, in smaller parts where memory runs out."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dcls_cli.backends import Backend, Blur, Raster
from dcls_cli.errors import OutOfMemoryError
from dcls_cli.machine import threads_take_memory
from dcls_cli.tiling import Stitcher, Tile, plan
from dcls_cli.upscaling.sizes import MINIMUM_TILE_PX, halved

#: Tiles beyond those in work whose results may wait: so long the output can be encoded meanwhile.
_WAITING = 2

#: Told a sentence about what went otherwise than planned.
Warn = Callable[[str], None]


class TileRestorer:
    """Restores the tiles of one photo.

    Where memory runs out, a tile is restored in
    parts, as are all after it; finished tiles stay.
    """

    def __init__(
        self,
        backend: Backend,
        planes: Sequence[Raster],
        blurs_of: Callable[[Tile, bool], Sequence[Blur]],
        overlap: int,
        warn: Warn,
    ) -> None:
        """Take what holds for all tiles.

        Args:
            backend: the network.
            planes: colours, and the alpha channel where there is one.
            blurs_of: the blur of each plane of a tile; of its parts, if the second argument is
                true.
            overlap: pixels that parts of a tile share.
            warn: is told when parts become smaller.
        """
        self._backend = backend
        self._planes = planes
        self._blurs_of = blurs_of
        self._overlap = overlap
        self._warn = warn
        self._largest: int | None = None

    def patches(self, tiles: Sequence[Tile]) -> Iterator[tuple[Tile, np.ndarray]]:
        """Restore tiles in order.

        Yields:
            Each tile with its result, (s h, s w, 3 planes) float32.

        Raises:
            OutOfMemoryError: not even the smallest part of a tile fits into memory.
            DclsError: the network's result is not finite.
        """
        lanes = self._backend.lanes
        told = self._largest
        with threads_take_memory(), ThreadPoolExecutor(lanes) as pool:
            running: deque[tuple[Tile, Future[np.ndarray]]] = deque()
            waiting = iter(tiles)
            try:
                for tile in waiting:
                    running.append((tile, pool.submit(self._restored, tile)))
                    if len(running) > lanes + _WAITING:
                        break
                while running:
                    tile, future = running.popleft()
                    patch = future.result()
                    if self._largest != told:
                        told = self._largest
                        self._warn(f"memory ran out; went on with tiles of {told} pixels")
                    for following in waiting:
                        running.append((following, pool.submit(self._restored, following)))
                        break
                    yield tile, patch
            finally:
                for _, future in running:
                    future.cancel()

    def _restored(self, tile: Tile) -> np.ndarray:
        """Restore one tile, (s h, s w, 3 planes), in as large parts as memory allows."""
        while True:
            side = self._largest
            try:
                lr = np.stack([plane[(slice(None), *tile.source)] for plane in self._planes])
                if side is None or max(tile.size) <= side:
                    return _interleaved(self._restore(lr, self._blurs_of(tile, False)))
                return self._in_parts(lr, self._blurs_of(tile, True), side)
            except (OutOfMemoryError, MemoryError) as error:
                failed = min(side or max(tile.size), max(tile.size))
                smaller = halved(failed, self._overlap)
                if smaller < MINIMUM_TILE_PX:
                    raise self._too_little(failed) from error
                self._largest = min(smaller, self._largest or smaller)

    def _restore(self, lr: np.ndarray, blurs: Sequence[Blur]) -> np.ndarray:
        """Restore the planes, each with its own blur: (P, 3, h, w) -> (P, 3, s h, s w)."""
        planes = zip(lr, blurs, strict=True)
        return np.concatenate([self._backend.restore(plane[None], blur) for plane, blur in planes])

    def _in_parts(self, lr: np.ndarray, blurs: Sequence[Blur], side: int) -> np.ndarray:
        """Restore (P, 3, h, w) in parts: (s h, s w, 3 P)."""
        height, width = lr.shape[-2:]
        stitcher = Stitcher(width, self._backend.config.scale, lambda joined: joined)
        rows = []
        for part in plan(height, width, side, self._overlap):
            restored = self._restore(lr[(..., *part.source)], blurs)
            band = stitcher.add(part, _interleaved(restored))
            if band is not None:
                rows.append(band)
        return np.concatenate(rows)

    def _too_little(self, side: int) -> OutOfMemoryError:
        memory = self._backend.memory()
        need = side**2 * len(self._planes) * memory.bytes_per_px
        return OutOfMemoryError(
            f"out of memory with tiles of {side} pixels, and smaller ones are not used: they take "
            f"about {need / 1e6:.0f} MB, and {memory.free_bytes / 1e6:.0f} MB are free; close "
            "other programs or use another device"
        )


def _interleaved(restored: np.ndarray) -> np.ndarray:
    """(P, 3, H, W) -> (H, W, 3 P), in memory of its own."""
    planes, channels, height, width = restored.shape
    flat = restored.reshape(planes * channels, height, width)
    return np.ascontiguousarray(flat.transpose(1, 2, 0))
