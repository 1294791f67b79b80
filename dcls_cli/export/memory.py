"""Memory that comparing a graph with its network takes: told, never an internal error."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from dcls_cli.backends.devices import bytes_per_px, require_memory, translated_memory_errors
from dcls_cli.backends.sessions import MEMORY_WORDS
from dcls_cli.config import ModelConfig
from dcls_cli.errors import OutOfMemoryError

#: Of what restoring takes in PyTorch alone: the graph takes as much, and keeps it.
_TIMES = 2


def require_for_both(shape: Sequence[int], config: ModelConfig) -> None:
    """Refuse a comparison that would fill the memory, before the system ends the program.

    Args:
        shape: (B, C, H, W) of the images.
        config: of the network.

    Raises:
        OutOfMemoryError: there is not enough.
    """
    require_memory(shape, _TIMES * bytes_per_px(config, "fp32"), torch.device("cpu"))


@contextmanager
def told_memory_errors() -> Iterator[None]:
    """Say what to do about memory that runs out in PyTorch or in ONNX Runtime.

    Raises:
        OutOfMemoryError: memory ran out inside the block, or was refused.
    """
    try:
        with translated_memory_errors((0, 0)):
            yield
    except Exception as error:  # ONNX Runtime's errors have no common class
        ours = isinstance(error, OutOfMemoryError)
        if not ours and not any(word in str(error) for word in MEMORY_WORDS):
            raise
        raise OutOfMemoryError(
            "not enough memory to compare the graph with PyTorch; give a smaller --shape, or "
            "--no-verify; nothing was written"
        ) from error
