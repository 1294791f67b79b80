"""What keeps a GPU busy: copies beside the computation, and launches that are recorded once.

A tile is a few hundred short kernels, and launching each from Python takes longer than the kernel
itself. A CUDA graph launches all of them at once.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from threading import RLock

import numpy as np
import torch
from torch import Tensor

from dcls_cli.network.dcls import Blur

#: Pictures up to this size pass through pinned memory, which is kept for the next ones and which
#: the system cannot page out; one larger is a photo in one piece, with nothing to overlap.
PINNED_BYTES = 256 << 20


#: Held by the thread that gives work to a GPU, not while it waits for the result. PyTorch records
#: one graph at a time in a process, of all GPUs, and wants no other thread to give them work
#: meanwhile.
_GIVING_WORK = RLock()


class Transfers:
    """Copies of one device; several threads may use it at a time.

    On a GPU pictures come and go on a stream of their own each: while one thread's tiles are
    computed, another's are copied, and each waits for its own copy only. With two threads that is
    double buffering in both directions.
    """

    def __init__(self, device: torch.device) -> None:
        """Copy to and from a device, `cpu` or `cuda`."""
        self._device = device
        on_gpu = device.type == "cuda"
        self._up = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]
        self._down = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]

    def upload(self, image: np.ndarray) -> Tensor:
        """(B, C, H, W) on the device, fp32 and channels last."""
        tensor = torch.from_numpy(np.ascontiguousarray(image, np.float32))
        if self._up is None or tensor.nbytes > PINNED_BYTES:
            there = tensor.to(self._device)
        else:  # GPU only
            # The allocator of pinned memory keeps it until the copy is done.
            pinned = tensor.pin_memory()
            with _GIVING_WORK:
                with torch.cuda.stream(self._up):
                    there = pinned.to(self._device, non_blocking=True)
                    copied = self._up.record_event()
                current = torch.cuda.current_stream(self._device)
                current.wait_event(copied)
                there.record_stream(current)  # or its memory would be reused while it is read
                return there.contiguous(memory_format=torch.channels_last)
        return there.contiguous(memory_format=torch.channels_last)

    def download(self, tensor: Tensor) -> np.ndarray:
        """(B, C, H, W) float32 in the order of its axes; done when this returns."""
        if self._down is None or 4 * tensor.numel() > PINNED_BYTES:
            return np.asarray(tensor.float().contiguous().cpu().numpy())
        # GPU only from here on.
        host = torch.empty(tensor.shape, dtype=torch.float32, pin_memory=True)
        with _GIVING_WORK:
            exact = tensor.float().contiguous()
            computed = torch.cuda.current_stream(self._device).record_event()
            with torch.cuda.stream(self._down):
                self._down.wait_event(computed)
                host.copy_(exact, non_blocking=True)
                exact.record_stream(self._down)  # or its memory would be reused under the copy
                copied = self._down.record_event()
        copied.synchronize()
        return np.asarray(host.numpy())


#: Restores images (B, 3, H, W) that have a blur: (B, 3, s H, s W).
Run = Callable[[Tensor, Blur], Tensor]

#: Runs with images and a blur and makes a run for all others of the same shapes.
Record = Callable[[Run, Tensor, Blur], Run]

#: Runs of a shape, of the last `RECENT_RUNS`, after which it is recorded. A recording is thought to
#: take as long as 10 to 30 batches of tiles and to save a part of each (not yet measured on a GPU).
#: Two shapes that come in turns never reach this number both, so they do not displace each other.
EAGER_RUNS = 20
RECENT_RUNS = 30

_Key = tuple[torch.Size | None, ...]


class Captured:
    """Runs, recorded where that pays; threads take turns, as a recording has one input.

    One shape is recorded at a time: that of most tiles. Others, and all shapes before they have
    come often, run as they are. So do all once a recording failed, which is reported.
    """

    def __init__(self, run: Run, record: Record) -> None:
        """Record nothing yet."""
        self._run, self._record = run, record
        self._recent: deque[_Key] = deque(maxlen=RECENT_RUNS)
        self._barred: set[_Key] = set()
        self._failed = False
        self._recorded: tuple[_Key, Run] | None = None
        self._notes: list[str] = []

    def __call__(self, lr: Tensor, blur: Blur) -> Tensor:
        """Restore images; see `Run`."""
        key = (lr.shape, *(None if part is None else part.shape for part in blur))
        with _GIVING_WORK:
            often = self._recent.count(key) >= EAGER_RUNS
            self._recent.append(key)
            known = self._recorded is not None and self._recorded[0] == key
            worth = often and key not in self._barred
            if not known and not (worth and self._recording(key, lr, blur)):
                return self._run(lr, blur)
            assert self._recorded is not None
            return self._recorded[1](lr, blur)

    def take_notes(self) -> list[str]:
        """What could not be recorded since the last call, for people to read."""
        notes, self._notes = self._notes, []
        return notes

    def forget(self) -> None:
        """Give the memory of the recording back, and record nothing of that shape again."""
        with _GIVING_WORK:
            if self._recorded is not None:
                self._barred.add(self._recorded[0])
                self._recorded = None

    def _recording(self, key: _Key, lr: Tensor, blur: Blur) -> bool:
        """Record a shape in place of the one before; false, with a note, if that fails."""
        if self._failed:
            return False
        self._recorded = None  # its memory first
        try:
            self._recorded = key, self._record(self._run, lr, blur)
        except RuntimeError as error:  # PyTorch's, out of memory among them
            self._failed = True
            count, _, height, width = lr.shape
            # PyTorch ends the recording all the same, which fails in its turn and hides the cause.
            reason = str(error.__context__ or error).strip().splitlines()[0]
            self._notes.append(
                f"no CUDA graph of {count} tiles of {width}x{height} pixels, they take longer: "
                f"{reason}"
            )
            return False
        return True


@lru_cache
def _recording_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of a GPU on which graphs are recorded.

    PyTorch has 32 streams of each priority and hands them out in turns. Those of `Transfers` are of
    the usual one, so that a copy of another thread never becomes a part of a graph.
    """
    return torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]


class CudaGraph:
    """A `Run` whose launches are a CUDA graph. GPU only.

    After a recording that failed there is no other one in the process: PyTorch's allocator may
    still believe in it.
    """

    _failed = False

    def __init__(self, run: Run, lr: Tensor, blur: Blur) -> None:
        """Record a run.

        The graph reads and writes the same memory at each replay: copies of its input, and a pool
        of its own.

        Raises:
            RuntimeError: memory ran out, or something in the run cannot be recorded.
        """
        # Beginning a graph synchronises the current device, which may be another one.
        with _GIVING_WORK, torch.cuda.device(lr.device):
            if CudaGraph._failed:
                raise RuntimeError("an earlier recording failed in this process")
            self._lr = lr.clone()
            kernel, *others = blur
            self._blur = Blur(
                kernel.clone(), *[None if part is None else part.clone() for part in others]
            )
            self._graph = torch.cuda.CUDAGraph()
            self._sr = self._recorded(run)

    def _recorded(self, run: Run) -> Tensor:
        """What the graph writes."""
        device = self._lr.device
        current, side = torch.cuda.current_stream(device), _recording_stream(device)
        side.wait_stream(current)
        with torch.cuda.stream(side):  # plans and workspaces of the libraries are made outside
            run(self._lr, self._blur)
        current.wait_stream(side)
        pool = torch.cuda.graph_pool_handle()
        try:
            # Other threads go on waiting for their results meanwhile. Where the end of a recording
            # fails, PyTorch leaves this thread on the other stream.
            with (
                torch.cuda.stream(current),
                torch.cuda.graph(
                    self._graph, pool=pool, stream=side, capture_error_mode="thread_local"
                ),
            ):
                return run(self._lr, self._blur)
        except BaseException:
            CudaGraph._failed = True
            # Up to PyTorch 2.12 its allocator is not told that the recording ended: from then on
            # it would never reuse the memory of a copy. Where it knows, it refuses.
            for end in ("_cuda_endAllocateToPool", "_cuda_releasePool"):
                with suppress(AttributeError, RuntimeError):
                    getattr(torch._C, end)(device.index, pool)
            raise

    def __call__(self, lr: Tensor, blur: Blur) -> Tensor:
        """Replay with other images and another blur of the same shapes."""
        self._lr.copy_(lr)
        for mine, other in zip(self._blur, blur, strict=True):
            if mine is not None and other is not None:
                mine.copy_(other)
        self._graph.replay()
        return self._sr.clone()
