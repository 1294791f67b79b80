"""Tiles through the engine: several at a time, some ahead, in parts where memory runs out."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

from dcls_cli.backends import Backend, Blur, Raster
from dcls_cli.errors import OutOfMemoryError
from dcls_cli.machine import threads_take_memory
from dcls_cli.tiling import Stitcher, Tile, plan
from dcls_cli.upscaling.finishing import Finish
from dcls_cli.upscaling.sizes import MINIMUM_TILE_PX, halved, too_little_memory

#: Batches beyond those in work whose results may wait: so long the output can be encoded meanwhile.
WAITING = 2

#: The lanes of each thread that restores, by its process and their number.
_kept = threading.local()

#: Called with a sentence about what did not go as planned.
Warn = Callable[[str], None]


class TileRestorer:
    """Restores the tiles of one photo, which have one size, several at a time.

    Where memory runs out, fewer tiles are restored at a time; where it does for a single tile, that
    one is restored in parts, as are all after it. Finished tiles stay.
    """

    def __init__(
        self,
        backend: Backend,
        planes: Sequence[Raster],
        blurs_of: Callable[[Tile, bool], Sequence[Blur]],
        finishes: Sequence[Finish],
        *,
        overlap: int,
        batch: int,
        warn: Warn,
    ) -> None:
        """Take what holds for all tiles.

        Args:
            backend: the network.
            planes: colours, and the alpha channel where there is one.
            blurs_of: the blur of each plane of a tile; of its parts, if the second argument is
                true.
            finishes: what is made of the restoration of each plane.
            overlap: pixels that parts of a tile share.
            batch: tiles that go through the network at a time, at most; more than one only where
                all have the same blurs.
            warn: called when fewer are restored, or when parts become smaller.
        """
        self._backend = backend
        self._planes = planes
        self._blurs_of = blurs_of
        self._finishes = finishes
        self._overlap = overlap
        self._warn = warn
        self._batch = batch
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
        reported = self._limits()
        step = self._batch
        waiting = iter([tiles[first : first + step] for first in range(0, len(tiles), step)])
        with threads_take_memory():
            pool = _lanes(lanes)
            running: deque[tuple[Sequence[Tile], Future[list[np.ndarray]]]] = deque()
            try:
                for some in waiting:
                    running.append((some, pool.submit(self._restored, some)))
                    if len(running) > lanes + WAITING:
                        break
                while running:
                    some, future = running.popleft()
                    patches = future.result()
                    for text in self._backend.take_notes():
                        self._warn(text)
                    if self._limits() != reported:
                        reported = self._limits()
                        self._warn(f"memory ran out; went on with {reported}")
                    for following in waiting:
                        running.append((following, pool.submit(self._restored, following)))
                        break
                    yield from zip(some, patches, strict=True)
            finally:
                wait([future for _, future in running if not future.cancel()])

    def _limits(self) -> str:
        """What memory was found to allow."""
        if self._largest is not None:
            return f"tiles of {self._largest} pixels"
        return f"{self._batch} tile{'s' * (self._batch > 1)} at a time"

    def _restored(self, tiles: Sequence[Tile]) -> list[np.ndarray]:
        """Restore tiles of one size, each (s h, s w, 3 planes), as memory allows."""
        done: list[np.ndarray] = []
        while len(done) < len(tiles):
            some, side = tiles[len(done) : len(done) + self._batch], self._largest
            try:
                done += self._attempted(some, side)
            except (OutOfMemoryError, MemoryError) as error:
                if len(some) > 1:
                    self._batch = min(self._batch, len(some) // 2)
                else:
                    self._shrink(min(side or max(some[0].size), max(some[0].size)), error)
        return done

    def _shrink(self, failed: int, error: Exception) -> None:
        """Make parts smaller than those that did not fit, pixels a side."""
        smaller = halved(failed, self._overlap)
        if smaller < MINIMUM_TILE_PX:
            planes = len(self._planes)
            raise too_little_memory(self._backend.memory(), failed, planes=planes) from error
        self._largest = min(smaller, self._largest or smaller)

    def _attempted(self, tiles: Sequence[Tile], side: int | None) -> list[np.ndarray]:
        """Restore tiles at once, in parts of at most `side` pixels; may run out of memory."""
        windows = [[plane[(slice(None), *tile.source)] for tile in tiles] for plane in self._planes]
        lr = np.stack([np.stack(images) for images in windows])
        if side is None or max(tiles[0].size) <= side:
            return list(map(_interleaved, self._restore(lr, self._blurs_of(tiles[0], False))))
        return [
            self._in_parts(lr[:, index, None], self._blurs_of(tile, True), side)
            for index, tile in enumerate(tiles)
        ]

    def _restore(self, lr: np.ndarray, blurs: Sequence[Blur]) -> np.ndarray:
        """Restore the planes, each with its own blur: (P, N, 3, h, w) -> (N, P, 3, s h, s w)."""
        planes = zip(lr, blurs, self._finishes, strict=True)
        restored = (
            finish(images, self._backend.restore(images, blur), blur.kernel)
            for images, blur, finish in planes
        )
        return np.stack(list(restored), axis=1)

    def _in_parts(self, lr: np.ndarray, blurs: Sequence[Blur], side: int) -> np.ndarray:
        """Restore (P, 1, 3, h, w) in parts: (s h, s w, 3 P)."""
        height, width = lr.shape[-2:]
        stitcher = Stitcher(width, self._backend.config.scale, lambda joined: joined)
        rows = []
        for part in plan(height, width, side, self._overlap):
            (restored,) = self._restore(lr[(..., *part.source)], blurs)
            band = stitcher.add(part, _interleaved(restored))
            if band is not None:
                rows.append(band)
        return np.concatenate(rows)


def _interleaved(restored: np.ndarray) -> np.ndarray:
    """(P, 3, H, W) -> (H, W, 3 P), in memory of its own."""
    planes, channels, height, width = restored.shape
    flat = restored.reshape(planes * channels, height, width)
    return np.ascontiguousarray(flat.transpose(1, 2, 0))


def _lanes(count: int) -> ThreadPoolExecutor:
    """The threads in which tiles of the calling thread are restored; they outlive the photo.

    When such a thread ends, the ones that PyTorch computes in for it end a moment later, holding
    locks of MKL's memory: a process forked in that moment would never get them. Each
    thread has lanes of its own, because photos take turns on an engine.
    """
    key = (os.getpid(), count)
    if getattr(_kept, "key", None) != key:
        _kept.key, _kept.pool = key, ThreadPoolExecutor(count, "lane of dcls")
    pool: ThreadPoolExecutor = _kept.pool
    return pool
