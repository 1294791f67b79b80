"""Pictures between numpy and a device, so that copies and computation overlap on a GPU."""

import numpy as np
import torch
from torch import Tensor

#: Pictures up to this size pass through pinned memory, which is kept for the next ones and which
#: the system cannot page out; one larger is a photo in one piece, with nothing to overlap.
PINNED_BYTES = 256 << 20


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
            with torch.cuda.stream(self._up):
                there = pinned.to(self._device, non_blocking=True)
                copied = self._up.record_event()
            current = torch.cuda.current_stream(self._device)
            current.wait_event(copied)
            there.record_stream(current)  # or its memory would be reused while it is read
        return there.contiguous(memory_format=torch.channels_last)

    def download(self, tensor: Tensor) -> np.ndarray:
        """(B, C, H, W) float32 in the order of its axes; done when this returns."""
        exact = tensor.float().contiguous()
        if self._down is None or exact.nbytes > PINNED_BYTES:
            return np.asarray(exact.cpu().numpy())
        # GPU only from here on.
        computed = torch.cuda.current_stream(self._device).record_event()
        host = torch.empty(exact.shape, dtype=torch.float32, pin_memory=True)
        with torch.cuda.stream(self._down):
            self._down.wait_event(computed)
            host.copy_(exact, non_blocking=True)
            exact.record_stream(self._down)  # or its memory would be reused under the copy
            copied = self._down.record_event()
        copied.synchronize()
        return np.asarray(host.numpy())
