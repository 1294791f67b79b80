"""Threads that work through a batch and tell one reader about it."""

import functools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from dcls_cli.batching import threads
from dcls_cli.batching.engines import Engine, Stopped

Item = TypeVar("Item")
Message = TypeVar("Message")

#: How often the reader looks whether it was asked to end, seconds.
_LOOK_S = 0.1


@dataclass(frozen=True)
class Crashed(Generic[Item]):
    """An item whose work ended in an error that nobody expected."""

    item: Item
    error: Exception


class Room:
    """Keeps the pixels that are in memory at the same time within a limit.

    One item always has room, however large it is.
    """

    def __init__(self, pixels: int, stop: threading.Event) -> None:
        """Nothing is in memory yet; once `stop` is set nobody gets room any more."""
        self._limit = pixels
        self._stop = stop
        self._taken = 0
        self._changed = threading.Condition()

    def enter(self, pixels: int) -> None:
        """Wait until there is room.

        Raises:
            Stopped: the batch ends.
        """
        with self._changed:
            while not self._stop.is_set() and self._taken and self._taken + pixels > self._limit:
                self._changed.wait()
            if self._stop.is_set():
                raise Stopped
            self._taken += pixels

    def leave(self, pixels: int) -> None:
        """Give the room back."""
        with self._changed:
            self._taken -= pixels
            self._changed.notify_all()

    def wake(self) -> None:
        """Let those who wait see that the batch ends."""
        with self._changed:
            self._changed.notify_all()


class Pool(Generic[Item, Message]):
    """A few threads for each engine, which take items in order.

    Attributes:
        stop: whether the batch ends.
        engines: one for each device.
    """

    def __init__(self, devices: Sequence[str], threads_each: int, pixels: int) -> None:
        """Make engines, but no threads yet.

        Args:
            devices: an engine for each.
            threads_each: for each engine.
            pixels: of the items that may be in memory together.
        """
        self.stop = threading.Event()
        self.engines = [Engine(device, self.stop) for device in devices]
        self.room = Room(pixels, self.stop)
        self._threads_per_engine = threads_each
        self._messages: queue.SimpleQueue[Message | Crashed[Item]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def post(self, message: Message) -> None:
        """Tell the reader; called by threads."""
        self._messages.put(message)

    def run(
        self,
        items: Iterable[Item],
        work: Callable[[int, Item, int], None],
        ended: Callable[[], bool],
    ) -> Iterator[Message | Crashed[Item]]:
        """Work through the items.

        Args:
            items: in order.
            work: does one, given its number, itself and the number of the engine, and posts what
                is to be told; `Stopped` ends it.
            ended: whether the reader was asked to end; looked at ten times a second.

        Yields:
            What was posted, and items that crashed.
        """
        numbered = enumerate(items)
        taking = threading.Lock()

        def serve(engine: int) -> None:
            while not self.stop.is_set():
                with taking:
                    order, item = next(numbered, (-1, None))
                if item is None:
                    return
                try:
                    work(order, item, engine)
                except Stopped:
                    return
                except Exception as error:
                    self._messages.put(Crashed(item, error))

        self._threads = [
            threads.start(functools.partial(serve, engine))
            for _ in range(self._threads_per_engine)
            for engine in range(len(self.engines))
        ]
        while any(thread.is_alive() for thread in self._threads):
            if ended():
                return
            try:
                yield self._messages.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
        yield from self._rest()

    def give_up(self, patience_s: float) -> Iterator[Message | Crashed[Item]]:
        """End: finish what is being written, give up what is being restored.

        Args:
            patience_s: how long to wait for threads; what they do then is abandoned.

        Yields:
            What was posted meanwhile.
        """
        self.stop.set()
        self.room.wake()
        for engine in self.engines:
            engine.wake()
        until = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        yield from self._rest()

    def wind_up(self, patience_s: float) -> None:
        """End as `give_up` does, when nobody reads any more."""
        for _ in self.give_up(patience_s):
            pass

    def _rest(self) -> Iterator[Message | Crashed[Item]]:
        while not self._messages.empty():
            yield self._messages.get()
