"""Work through the photos of a batch with threads, and tell about them from one."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcls_cli.batching import threads as threads_of_batch
from dcls_cli.batching.engines import InTurns
from dcls_cli.batching.pool import Crashed, Pool
from dcls_cli.cli import signals
from dcls_cli.cli.batch_view import BatchView
from dcls_cli.cli.outputs import Job
from dcls_cli.cli.restoring import Settings, load, restore, save
from dcls_cli.cli.results import Result
from dcls_cli.errors import BackendError, DclsError, WeightsError
from dcls_cli.machine import free_memory_bytes

if TYPE_CHECKING:
    from dcls_cli.cli.batch_plan import Item
    from dcls_cli.cli.batch_tally import BatchTally
    from dcls_cli.cli.networks import Named, Networks

#: How long a batch that was interrupted waits for outputs that are being written.
PATIENCE_S = 1.5

#: How long any other batch waits for its threads.
UNLIMITED_S = 24 * 3600.0

#: What a photo at work needs in memory, samples and finished rows: bytes for each of its pixels.
_BYTES_PER_PIXEL = 60

#: The part of the free memory that photos at work may take; tiles need the rest.
_SHARE = 0.25


@dataclass(frozen=True)
class Started:
    """A photo has been read and waits for the engine."""

    item: "Item"
    network: "Named"


@dataclass(frozen=True)
class Stepped:
    """A tile is restored."""

    item: "Item"
    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """A photo is done; without a result somebody else has done it meanwhile."""

    item: "Item"
    result: Result | None


@dataclass(frozen=True)
class Failed:
    """A photo has no output."""

    item: "Item"
    error: DclsError


Message = Started | Stepped | Finished | Failed


def run(
    items: Sequence["Item"],
    networks: Sequence["Networks"],
    settings: Settings,
    tally: "BatchTally",
    *,
    threads: int,
) -> int:
    """Restore all photos and return the exit code.

    Raises:
        DclsError: the report cannot be written.
        Ended: a signal has ended the batch.
    """
    started = time.perf_counter()
    room = int(free_memory_bytes() * _SHARE / _BYTES_PER_PIXEL)
    pool: Pool[Item, Message] = Pool(
        [each.device for each in networks], threads_each=threads, pixels=room
    )
    worker = _Worker(pool, networks, settings)
    reader = _Reader(items, tally, networks[0])
    with signals.watched() as watch, BatchView(len(items), json=tally.json) as view:

        def must_end() -> bool:
            return tally.must_end or reader.fatal is not None or watch.exit_code is not None

        try:
            for message in pool.run(items, worker.work, must_end):
                reader.take(message, view)
            patience_s = PATIENCE_S if watch.exit_code else UNLIMITED_S
            for message in pool.give_up(patience_s):
                reader.take(message, view)
        except BaseException:
            pool.wind_up(PATIENCE_S)
            raise
    reader.leave_rest()
    code = tally.conclude(
        watch.exit_code,
        seconds=round(time.perf_counter() - started, 3),
        engines=[engine.record() for engine in pool.engines],
    )
    if watch.exit_code is not None:
        threads_of_batch.give_up()
        raise signals.Ended(watch.exit_code, told=True)
    return code if reader.fatal is None else reader.fatal.exit_code


class _Worker:
    """Does one photo in a thread of the pool."""

    def __init__(
        self, pool: "Pool[Item, Message]", networks: Sequence["Networks"], settings: Settings
    ) -> None:
        self._pool = pool
        self._networks = networks
        self._settings = settings

    def work(self, order: int, item: "Item", index: int) -> None:
        """Restore a photo and post what happens."""
        self._pool.room.enter(item.pixels)
        try:
            self._pool.post(Finished(item, self._restored(order, item, index)))
        except DclsError as error:
            # Another batch on the same folder may have been faster.
            done = not item.replace and item.is_done()
            self._pool.post(Finished(item, None) if done else Failed(item, error))
        finally:
            self._pool.room.leave(item.pixels)

    def _restored(self, order: int, item: "Item", index: int) -> Result:
        networks, engine = self._networks[index], self._pool.engines[index]
        settings = self._settings._replace(overwrite=item.replace)
        try:
            item.output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DclsError(f"its folder cannot be made: {error.strerror}") from error
        loaded = load(Job(item.source, item.output, None, None), networks, settings)
        with engine.turn(order):
            backend = networks.load(loaded.network)
        self._pool.post(Started(item, loaded.network))

        def step(done: int, total: int) -> None:
            self._pool.post(Stepped(item, done, total))

        restored = restore(loaded, InTurns(backend, engine, order), settings, step)
        return save(restored, settings)


class _Reader:
    """Takes what the threads tell, in the main thread.

    Attributes:
        fatal: what makes every photo fail.
    """

    def __init__(self, items: Sequence["Item"], tally: "BatchTally", networks: "Networks") -> None:
        self._networks = networks
        self.fatal: DclsError | None = None
        self._open = {item.output: item for item in items}
        self._tally = tally

    def take(self, message: "Message | Crashed[Item]", view: BatchView) -> None:
        """Count a message and show it."""
        match message:
            case Started(item, network):
                view.start(item, network)
                if not self._tally.json:
                    self._networks.explain(item.source, network)
            case Stepped(item, done, total):
                view.step(item, done, total)
            case Finished(item, result):
                self._close(item, view)
                if result is None:
                    self._tally.skip(item.source, item.output)
                else:
                    self._tally.add(result)
                    view.tell(result)
            case Failed(item, error):
                self._fail(item, error, view)
            case Crashed(item, error):
                text = f"internal error: {type(error).__name__}: {error}"
                self._fail(item, DclsError(text), view)

    def leave_rest(self) -> None:
        """Count what was not reached."""
        for item in self._open.values():
            self._tally.leave(item.source, item.output)

    def _fail(self, item: "Item", error: DclsError, view: BatchView) -> None:
        self._close(item, view)
        self._tally.fail(item.source, item.output, error)
        if isinstance(error, WeightsError | BackendError):
            self.fatal = error

    def _close(self, item: "Item", view: BatchView) -> None:
        del self._open[item.output]
        view.end(item)
