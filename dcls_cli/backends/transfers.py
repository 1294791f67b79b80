"""Pictures between numpy and a device, so that copies and computation overlap on a GPU."""

import numpy as np
import torch
from torch import Tensor

#: Results up to this size pass through pinned memory, which is kept for the next ones and which
#: the system cannot page out; one larger is a photo in one piece, with nothing to overlap.
PINNED_BYTES = 256 << 20


class Transfers:
    """Copies of one device; several threads may use it at a time.

    On a GPU results leave on a stream of their own: while one thread's is copied, another's tile is
    computed, and each waits for its own copy only.
    """

    def __init__(self, device: torch.device) -> None:
        """Copy to and from a device, `cpu` or `cuda`."""
        self._device = device
        on_gpu = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]

    def upload(self, image: np.ndarray) -> Tensor:
        """(B, C, H, W) on the device, fp32 and channels last."""
        tensor = torch.from_numpy(np.ascontiguousarray(image, np.float32))
        if self._stream is not None and tensor.nbytes <= PINNED_BYTES:  # GPU only
            # The allocator of pinned memory keeps it until the copy is done.
            tensor = tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device).contiguous(memory_format=torch.channels_last)

    def download(self, tensor: Tensor) -> np.ndarray:
        """(B, C, H, W) float32 in the order of its axes; done when this returns."""
        exact = tensor.float().contiguous()
        if self._stream is None or exact.nbytes > PINNED_BYTES:
            return np.asarray(exact.cpu().numpy())
        # GPU only from here on.
        computed = torch.cuda.current_stream(self._device).record_event()
        host = torch.empty(exact.shape, dtype=torch.float32, pin_memory=True)
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(computed)
            host.copy_(exact, non_blocking=True)
            exact.record_stream(self._stream)  # or its memory would be reused under the copy
            copied = self._stream.record_event()
        copied.synchronize()
        return np.asarray(host.numpy())
