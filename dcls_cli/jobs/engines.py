"""An engine that several threads use in turns, so that it never waits for files.

While one photo is restored, the next one is decoded and the one before is encoded, each by a thread
of its own. The engine serves the oldest photo first, and one thread at a time; a GPU as many as it
has lanes, so that it copies the tiles of one while it computes another.
"""

import heapq
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np

from dcls_cli.backends import Backend, Blur, PassedOn, Raster


class Stopped(Exception):  # noqa: N818 - no error: it was asked for
    """The batch ends; what is not finished is given up."""


class Engine:
    """The turns of one device, and how long it worked and waited.

    Attributes:
        device: what it is called.
        busy_s: time in which it worked, for one or more.
    """

    def __init__(self, device: str, stop: threading.Event) -> None:
        """Grant no turn yet; once `stop` is set, none is granted."""
        self.device = device
        self.busy_s = 0.0
        self._stop = stop
        self._free = threading.Condition()
        self._waiting: list[int] = []
        self._taken = 0
        self._since = 0.0
        self._first: float | None = None
        self._last = 0.0

    @property
    def idle_s(self) -> float:
        """Time between its first and its last work in which it had none."""
        return 0.0 if self._first is None else self._last - self._first - self.busy_s

    def record(self) -> dict[str, object]:
        """Its times, as JSON has them."""
        times = {"busy_s": round(self.busy_s, 3), "idle_s": round(self.idle_s, 3)}
        return {"device": self.device, **times}

    @contextmanager
    def turn(self, order: int, places: int = 1) -> Iterator[None]:
        """Have one of the places of the engine; the lowest order that waits is next.

        Raises:
            Stopped: the batch ends.
        """
        self._take(order, places)
        try:
            yield
        finally:
            with self._free:
                now = time.perf_counter()
                self._taken -= 1
                if self._taken == 0:
                    self._last = now
                    self.busy_s += now - self._since
                self._free.notify_all()

    def wake(self) -> None:
        """Let those who wait see that the batch ends."""
        with self._free:
            self._free.notify_all()

    def _take(self, order: int, places: int) -> None:
        with self._free:
            heapq.heappush(self._waiting, order)
            while not self._stop.is_set() and (self._taken >= places or self._waiting[0] != order):
                self._free.wait()
            self._waiting.remove(order)
            heapq.heapify(self._waiting)
            if self._stop.is_set():
                raise Stopped
            if self._taken == 0:
                self._since = time.perf_counter()
                self._first = self._since if self._first is None else self._first
            self._taken += 1
            self._free.notify_all()  # there may be a place for the next one


@dataclass(frozen=True)
class Place:
    """The place of photo number `order` among those that wait for an engine."""

    engine: Engine
    order: int

    def turn(self, places: int = 1) -> AbstractContextManager[None]:
        """See `Engine.turn`."""
        return self.engine.turn(self.order, places)


class InTurns(PassedOn):
    """A `Backend` that waits for its turn before each piece of work."""

    def __init__(self, backend: Backend, place: Place) -> None:
        """Use a backend when it is the turn of a place."""
        super().__init__(backend)
        self._place = place

    @property
    def lanes(self) -> int:
        """One: the turns are what makes photos take part at the same time."""
        return 1

    def estimate(
        self, lr: np.ndarray | Raster, *, tiled: bool = True, kernel: np.ndarray | None = None
    ) -> Blur:
        """See `Backend.estimate`."""
        with self._place.turn(self._backend.lanes):
            return super().estimate(lr, tiled=tiled, kernel=kernel)

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        """See `Backend.restore`."""
        with self._place.turn(self._backend.lanes):
            return super().restore(lr, blur)
