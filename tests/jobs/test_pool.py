"""One thread at a time has the engine, the oldest photo's first; all of it ends when asked."""

import threading
import time
from collections.abc import Iterator

import pytest

from dcls_cli.jobs.engines import Engine, Stopped
from dcls_cli.jobs.pool import Crashed, Pool, Room, threads_are_left


def running(count: int, work: object) -> list[threading.Thread]:
    started = [threading.Thread(target=work, args=(n,)) for n in range(count)]  # type: ignore[arg-type]
    for thread in started:
        thread.start()
    return started


def test_the_oldest_photo_is_next_and_nobody_shares() -> None:
    engine = Engine("cpu", threading.Event())
    served: list[int] = []
    inside = 0

    def work(order: int) -> None:
        nonlocal inside
        with engine.turn(order):
            inside += 1
            assert inside == 1
            served.append(order)
            time.sleep(0.002)
            inside -= 1

    with engine.turn(-1):
        waiting = running(8, work)
        time.sleep(0.1)  # all of them wait by now
    for thread in waiting:
        thread.join()
    assert served == sorted(served)
    assert len(served) == 8


def test_as_many_share_an_engine_as_it_has_places() -> None:
    """On a GPU one photo's tiles are copied while another's are computed."""
    engine = Engine("cuda", threading.Event())
    together = threading.Barrier(2)
    inside, most = 0, 0
    lock = threading.Lock()

    def work(order: int) -> None:
        nonlocal inside, most
        with engine.turn(order, 2):
            with lock:
                inside += 1
                most = max(most, inside)
            together.wait(10)
            time.sleep(0.02)
            with lock:
                inside -= 1

    for thread in running(6, work):
        thread.join()
    assert most == 2
    assert 0.06 <= engine.busy_s < 0.12  # three pairs, not six photos
    assert engine.idle_s < 0.06


def test_time_at_work_and_time_waited() -> None:
    engine = Engine("cpu", threading.Event())
    for _ in range(2):
        with engine.turn(0):
            time.sleep(0.05)
        time.sleep(0.1)
    assert 0.1 <= engine.busy_s < 0.2
    assert 0.1 <= engine.idle_s < 0.2
    assert Engine("cpu", threading.Event()).idle_s == 0


def test_an_error_frees_the_engine() -> None:
    engine = Engine("cpu", threading.Event())
    with pytest.raises(ValueError, match="broken"), engine.turn(0):
        raise ValueError("broken")
    with engine.turn(1):
        pass


def test_who_waits_is_told_that_the_batch_ends() -> None:
    stop = threading.Event()
    engine, room = Engine("cpu", stop), Room(10, stop)
    room.enter(8)
    told: list[str] = []

    def wait_for_engine(order: int) -> None:
        try:
            with engine.turn(order):
                told.append("served")
        except Stopped:
            told.append("engine")

    def wait_for_room(_: int) -> None:
        try:
            room.enter(5)
        except Stopped:
            told.append("room")

    with engine.turn(0):
        waiting = [*running(2, wait_for_engine), *running(2, wait_for_room)]
        time.sleep(0.05)
        stop.set()
        engine.wake()
        room.wake()
        for thread in waiting:
            thread.join(60)
    assert sorted(told) == ["engine", "engine", "room", "room"]


def test_room_is_kept_and_one_item_always_has_some() -> None:
    room = Room(10, threading.Event())
    room.enter(100)
    entered = threading.Event()

    def enter(_: int) -> None:
        room.enter(4)
        entered.set()

    (thread,) = running(1, enter)
    assert not entered.wait(0.05)
    room.leave(100)
    assert entered.wait(5)
    thread.join()


def never() -> bool:
    return False


def test_a_pool_does_every_item_once_and_survives_errors() -> None:
    pool: Pool[int, int] = Pool(["cpu", "cpu"], threads_each=3, pixels=10)

    def work(order: int, item: int, engine: int) -> None:
        assert order == item
        if item == 7:
            raise RuntimeError("unexpected")
        with pool.engines[engine].turn(order):
            time.sleep(0.001)
        pool.post(item)

    told = list(pool.run(range(40), work, never))
    crashed = [message for message in told if isinstance(message, Crashed)]
    assert sorted(message for message in told if isinstance(message, int)) == [
        number for number in range(40) if number != 7
    ]
    assert [(crash.item, str(crash.error)) for crash in crashed] == [(7, "unexpected")]
    assert not threads_are_left()
    assert all(engine.busy_s > 0 for engine in pool.engines)


def test_items_are_taken_one_by_one_and_left_when_the_pool_gives_up() -> None:
    pool: Pool[int, int] = Pool(["cpu"], threads_each=2, pixels=10)
    taken: list[int] = []
    go_on = threading.Event()

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    def work(order: int, item: int, engine: int) -> None:
        pool.post(item)
        go_on.wait(0.01)
        with pool.engines[engine].turn(order):
            pass

    told: list[object] = []
    for message in pool.run(items(), work, lambda: len(told) >= 5):
        told.append(message)
    told.extend(pool.finish(5))
    assert not threads_are_left()
    assert 5 <= len(told) <= len(taken) <= len(told) + 2 < 100
