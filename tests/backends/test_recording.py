"""How CUDA graphs are recorded, on a stand-in for CUDA that enforces PyTorch's rules.

One recording at a time in a process, on a stream that nothing else uses, and nothing inside that
waits for the GPU. A recording that fails leaves, as in PyTorch up to 2.12, the thread on its stream
and the allocator in the belief that it goes on.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch

from dcls_cli.backends import gpu
from dcls_cli.backends.gpu import EAGER_RUNS, Captured, CudaGraph
from dcls_cli.network.dcls import Blur

CPU = torch.device("cpu")


class Stream:
    """One of PyTorch's streams: 32 of each priority, handed out in turns."""

    made = 0

    def __init__(self, device: torch.device, priority: int = 0) -> None:
        Stream.made += 1
        self.name = (priority, Stream.made % 32)

    def wait_stream(self, other: "Stream") -> None:
        """Nothing is in work."""


class Cuda:
    """What `CudaGraph` uses of `torch.cuda`.

    Attributes:
        recorded_on: names of the streams of all recordings.
        open_pools: that the allocator believes to be recorded into.
    """

    def __init__(self) -> None:
        self.recorded_on: list[tuple[int, int]] = []
        self.open_pools: set[int] = set()
        self.recording = threading.Lock()
        self._pools = 0
        self._threads = threading.local()
        self._usual = Stream(CPU)

    def current_stream(self, device: torch.device) -> Stream:
        current: Stream = getattr(self._threads, "stream", self._usual)
        return current

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before = self.current_stream(CPU)
        self._threads.stream = stream
        try:
            yield
        finally:
            self._threads.stream = before

    def graph_pool_handle(self) -> int:
        self._pools += 1
        return self._pools

    @contextmanager
    def graph(
        self, graph: "Graph", *, pool: int, stream: Stream, capture_error_mode: str
    ) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        if not self.recording.acquire(blocking=False):
            raise RuntimeError("another recording is underway")
        self._threads.stream = stream
        self.recorded_on.append(stream.name)
        self.open_pools.add(pool)
        try:
            yield
        except RuntimeError as error:
            failed = RuntimeError("operation failed due to a previous error during capture")
            failed.__context__ = error
            raise failed  # noqa: B904 - as PyTorch does
        else:
            self.open_pools.remove(pool)
            self._threads.stream = self._usual
        finally:
            self.recording.release()

    def end_allocation(self, device: int | None, pool: int) -> None:
        if pool not in self.open_pools:
            raise RuntimeError("not currently recording to mempool_id")
        self.open_pools.remove(pool)

    def item(self, value: torch.Tensor) -> float:
        """What a run may not ask for while it is recorded."""
        if self.recording.locked():
            raise RuntimeError("operation not permitted when stream is capturing")
        return float(value)


class Graph:
    """A graph whose replay does nothing."""

    def replay(self) -> None:
        """What is read was written once."""


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    stand_in = Cuda()
    names = ("current_stream", "stream", "graph_pool_handle", "graph")
    for name in names:
        monkeypatch.setattr(torch.cuda, name, getattr(stand_in, name))
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", stand_in.end_allocation, raising=False)
    monkeypatch.setattr(torch._C, "_cuda_releasePool", stand_in.end_allocation, raising=False)
    monkeypatch.setattr(CudaGraph, "_failed", False)
    gpu._recording_stream.cache_clear()
    return stand_in


def inputs(side: int = 8) -> tuple[torch.Tensor, Blur]:
    return torch.ones(1, 3, side, side), Blur(torch.ones(1, 1, 3, 3), None, None)


def test_engines_in_several_threads_record_one_after_the_other(cuda: Cuda) -> None:
    def slowly(lr: torch.Tensor, blur: Blur) -> torch.Tensor:
        time.sleep(0.001)
        return lr

    def work(side: int) -> list[str]:
        captured = Captured(slowly, CudaGraph)
        for _ in range(EAGER_RUNS + 2):
            captured(*inputs(side))
        return captured.take_notes()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8, 16))) == [[]] * 8
    assert len(cuda.recorded_on) == 8


def test_a_recording_that_fails_leaves_no_trace(cuda: Cuda) -> None:
    def waits(lr: torch.Tensor, blur: Blur) -> torch.Tensor:
        cuda.item(lr.sum())
        return lr

    before = cuda.current_stream(CPU)
    captured = Captured(waits, CudaGraph)
    for _ in range(EAGER_RUNS + 3):
        assert captured(*inputs()).shape == (1, 3, 8, 8)
    (note,) = captured.take_notes()
    assert note.endswith("they take longer: operation not permitted when stream is capturing")
    assert cuda.current_stream(CPU) is before
    assert cuda.open_pools == set()
    assert len(cuda.recorded_on) == 1
    with pytest.raises(RuntimeError, match="an earlier recording failed in this process"):
        CudaGraph(lambda lr, blur: lr, *inputs())
    assert len(cuda.recorded_on) == 1


def test_recordings_never_use_the_streams_of_copies(cuda: Cuda) -> None:
    copies = set()
    for side in range(8, 48):
        copies.add(Stream(CPU).name)  # engines come and go
        CudaGraph(lambda lr, blur: lr, *inputs(side))
    assert len(copies) == 32
    assert len(set(cuda.recorded_on)) == 1
    assert not copies & set(cuda.recorded_on)


def test_a_graph_reads_new_input_and_its_result_stays(cuda: Cuda) -> None:
    graph = CudaGraph(lambda lr, blur: lr, *inputs())
    first = graph(torch.zeros(1, 3, 8, 8), inputs()[1])
    second = graph(*inputs())
    np.testing.assert_array_equal(first, 0)
    np.testing.assert_array_equal(second, 1)
