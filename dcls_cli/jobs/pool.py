"""Workers in local threads, which share each engine in turns, and one reader of their events."""

import functools
import itertools
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from dcls_cli.errors import BackendError, DclsError, WeightsError
from dcls_cli.files.addresses import Location
from dcls_cli.jobs.engines import Engine, Place, Stopped
from dcls_cli.jobs.events import Emit, Event, Failed, Finished, Left, Skipped, Task
from dcls_cli.jobs.worker import Worker
from dcls_cli.machine import free_memory_bytes

Item = TypeVar("Item")
Message = TypeVar("Message")

#: How long a batch that was interrupted waits for outputs that are being written, seconds.
PATIENCE_S = 1.5

#: How long any other batch waits for its threads, seconds.
UNLIMITED_S = 24 * 3600.0

#: What a photo at work needs in memory, samples and finished rows: bytes for each of its pixels.
_BYTES_PER_PIXEL = 60

#: The part of the free memory that photos at work may take; tiles need the rest.
_SHARE = 0.25

#: How often the reader looks whether it was asked to end, seconds.
_LOOK_S = 0.1


#: The name by which the threads that do the work are recognised.
_THREAD_NAME = "dcls batch"

_abandoned = threading.Event()


@dataclass(frozen=True)
class Crashed(Generic[Item]):
    """An item whose work ended in an unexpected error."""

    item: Item
    error: Exception


class Room:
    """Keeps the pixels that are in memory at the same time within a limit.

    One item always has room, however large it is.
    """

    def __init__(self, pixels: int, stop: threading.Event) -> None:
        """Start empty; once `stop` is set no item is admitted."""
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
                is to be reported; `Stopped` ends it.
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
            _start(functools.partial(serve, engine))
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

    def finish(self, patience_s: float) -> Iterator[Message | Crashed[Item]]:
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
            # In steps: on Windows, Ctrl-C is not seen while a lock is waited for.
            while thread.is_alive() and (left := until - time.monotonic()) > 0:
                thread.join(min(left, _LOOK_S))
        yield from self._rest()

    def abandon(self, patience_s: float) -> None:
        """End as `finish` does, without a reader."""
        for _ in self.finish(patience_s):
            pass

    def _rest(self) -> Iterator[Message | Crashed[Item]]:
        while not self._messages.empty():
            yield self._messages.get()


def one_by_one(
    tasks: Sequence[Task], worker: Worker, emit: Emit, action: Callable[[Task], object]
) -> None:
    """Check all photos and load all networks, then do something with each that can be restored.

    Raises:
        DclsError: a network cannot be loaded.
    """
    ready = []
    for task in tasks:
        try:
            # The photo is read again later: all of them might not fit into memory.
            ready.append((task, worker.load(task).network))
        except DclsError as error:
            emit(Failed(task.source, error, task))
    for _, network in ready:  # what cannot be loaded fails before any work
        worker.networks.load(network)
    for task, _ in ready:
        try:
            action(task)
        except DclsError as error:
            emit(Failed(task.source, error, task))


class Run:
    """One run over the tasks of a request.

    Attributes:
        engines: one for each worker, with the times that it worked and waited.
    """

    def __init__(self, workers: Sequence[Worker], *, threads: int) -> None:
        """Start nothing yet.

        Args:
            workers: one for each device.
            threads: photos in work at a time for each device.
        """
        self._workers = workers
        room = int(free_memory_bytes() * _SHARE / _BYTES_PER_PIXEL)
        devices = [worker.networks.device for worker in workers]
        self._pool: Pool[Task, Event] = Pool(devices, threads_each=threads, pixels=room)
        self.engines = self._pool.engines

    def records(self) -> list[dict[str, object]]:
        """What each device did, as JSON has it."""
        return [engine.record() for engine in self.engines]

    def events(
        self,
        tasks: Iterable[Task],
        must_end: Callable[[], bool] = lambda: False,
        patience_s: Callable[[], float] = lambda: UNLIMITED_S,
    ) -> Generator[Event, None, None]:
        """Restore all photos, or as many as can be before the run must end.

        A network or an engine that cannot be used ends the run, as every photo would fail.

        Args:
            tasks: in order; read as they are needed.
            must_end: whether the run is asked to end; looked at ten times a second.
            patience_s: how long to wait for photos in work then.

        Yields:
            What happens, and at the end what was not reached.
        """
        coming = iter(tasks)
        waiting: dict[Location, Task] = {}
        fatal = False

        unread: list[DclsError] = []

        def taken() -> Iterator[Task]:
            try:
                for task in coming:
                    waiting[task.output] = task
                    yield task
            except DclsError as error:  # in a thread of the pool; raised below
                unread.append(error)

        def settled(message: "Event | Crashed[Task]") -> Event:
            nonlocal fatal
            if isinstance(message, Crashed):
                task, cause = message.item, message.error
                error = DclsError(f"internal error: {type(cause).__name__}: {cause}")
                message = Failed(task.source, error, task)
            if isinstance(message, Finished | Skipped | Failed) and message.task is not None:
                del waiting[message.task.output]
            if isinstance(message, Failed):
                fatal = fatal or isinstance(message.error, WeightsError | BackendError)
            return message

        try:
            for message in self._pool.run(taken(), self._work, lambda: fatal or must_end()):
                yield settled(message)
            for message in self._pool.finish(patience_s()):
                yield settled(message)
        except BaseException:
            self._pool.abandon(PATIENCE_S)
            raise
        for task in itertools.chain(waiting.values(), coming):
            yield Left(task)
        if unread:
            raise unread[0]

    def _work(self, order: int, task: Task, index: int) -> None:
        """Restore one photo in a thread of the pool."""
        room, engine = self._pool.room, self.engines[index]
        room.enter(task.pixels)
        try:
            self._workers[index].work(task, self._pool.post, Place(engine, order))
        except DclsError as error:
            self._pool.post(Failed(task.source, error, task))
        finally:
            room.leave(task.pixels)


def _start(work: Callable[[], None]) -> threading.Thread:
    """Start a thread that does not keep the process alive."""
    thread = threading.Thread(target=work, name=_THREAD_NAME, daemon=True)
    thread.start()
    return thread


def abandon_threads() -> None:
    """Remember that the process ends without waiting for threads, of ours or of the engine."""
    _abandoned.set()


def threads_are_abandoned() -> bool:
    """Whether threads may still be working although nothing waits for them."""
    return _abandoned.is_set() or threads_are_left()


def threads_are_left() -> bool:
    """Whether threads of a batch run."""
    return any(thread.name == _THREAD_NAME for thread in threading.enumerate())
