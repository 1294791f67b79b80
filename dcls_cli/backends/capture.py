"""The network's launches on a GPU, recorded once for a fixed shape of tiles and then replayed.

A tile is a few hundred short kernels, and launching each from Python takes longer than the kernel
itself. A CUDA graph launches all of them at once.
"""

from collections.abc import Callable
from threading import Lock

import torch
from torch import Tensor

from dcls_cli.network.dcls import Blur

#: Restores images (B, 3, H, W) that have a blur: (B, 3, s H, s W).
Run = Callable[[Tensor, Blur], Tensor]

#: Runs with images and a blur and makes a run for all others of the same shapes.
Record = Callable[[Run, Tensor, Blur], Run]

#: Runs of a shape before it is recorded: a recording takes longer than three runs.
EAGER_RUNS = 2

_Key = tuple[torch.Size | None, ...]


class Captured:
    """Runs, recorded where that pays; threads take turns, as a recording has one input.

    One shape is recorded at a time: that of the tiles. Others, and all shapes before they have come
    a few times, run as they are. So do those whose recording fails, which is reported.
    """

    def __init__(self, run: Run, record: Record) -> None:
        """Record nothing yet.

        Args:
            run: what is to be recorded.
            record: how; it may raise a RuntimeError.
        """
        self._run, self._record = run, record
        self._turn = Lock()
        self._counts: dict[_Key, int] = {}
        self._failed: set[_Key] = set()
        self._recorded: tuple[_Key, Run] | None = None
        self._notes: list[str] = []

    def __call__(self, lr: Tensor, blur: Blur) -> Tensor:
        """Restore images; see `Run`."""
        key = (lr.shape, *(None if part is None else part.shape for part in blur))
        with self._turn:
            if self._recorded is None or self._recorded[0] != key:
                count = self._counts.get(key, 0)
                self._counts[key] = count + 1
                if count < EAGER_RUNS or key in self._failed or not self._recording(key, lr, blur):
                    return self._run(lr, blur)
            assert self._recorded is not None
            return self._recorded[1](lr, blur)

    def told(self) -> list[str]:
        """What could not be recorded since the last call, for people to read."""
        notes, self._notes = self._notes, []
        return notes

    def forget(self) -> None:
        """Give the memory of the recording back, and record nothing of that shape again."""
        with self._turn:
            if self._recorded is not None:
                self._failed.add(self._recorded[0])
                self._recorded = None

    def _recording(self, key: _Key, lr: Tensor, blur: Blur) -> bool:
        """Record a shape in place of the one before; false, and told, if that fails."""
        self._recorded = None  # its memory first
        try:
            self._recorded = key, self._record(self._run, lr, blur)
        except RuntimeError as error:  # PyTorch's, out of memory among them
            self._failed.add(key)
            count, _, height, width = lr.shape
            reason = str(error).strip().splitlines()[0]
            self._notes.append(
                f"no CUDA graph of {count} tiles of {width}x{height} pixels, they take longer: "
                f"{reason}"
            )
            return False
        return True


class CudaGraph:
    """A `Run` whose launches are a CUDA graph. GPU only."""

    def __init__(self, run: Run, lr: Tensor, blur: Blur) -> None:
        """Record a run.

        The graph reads and writes the same memory at each replay: copies of its input, and a pool
        of its own.

        Raises:
            RuntimeError: memory ran out, or something in the run cannot be recorded.
        """
        self._lr = lr.clone()
        kernel, *others = blur
        self._blur = Blur(
            kernel.clone(), *[None if part is None else part.clone() for part in others]
        )
        current = torch.cuda.current_stream(lr.device)
        side = torch.cuda.Stream(lr.device)  # type: ignore[no-untyped-call]
        side.wait_stream(current)
        with torch.cuda.stream(side):  # plans and workspaces of the libraries are made outside
            run(self._lr, self._blur)
        current.wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads go on meanwhile, such as one that waits for its result.
        with torch.cuda.graph(self._graph, stream=side, capture_error_mode="thread_local"):
            self._sr = run(self._lr, self._blur)

    def __call__(self, lr: Tensor, blur: Blur) -> Tensor:
        """Replay with other images and another blur of the same shapes."""
        self._lr.copy_(lr)
        for mine, other in zip(self._blur, blur, strict=True):
            if mine is not None and other is not None:
                mine.copy_(other)
        self._graph.replay()
        return self._sr.clone()
