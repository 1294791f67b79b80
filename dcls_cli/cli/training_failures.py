"""What PyTorch raises in a training run, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch._dynamo.exc import TorchDynamoException

from dcls_cli.errors import BackendError, OutOfMemoryError


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what PyTorch raises for want of memory or of a compiler into our errors.

    Raises:
        OutOfMemoryError: memory ran out.
        BackendError: the network cannot be compiled here.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, TorchDynamoException):
            reason = str(error).strip().splitlines()[0]
            raise BackendError(
                f"--compile does not work here: {reason}; train without it"
            ) from error
        of_cpu = "DefaultCPUAllocator" in str(error)
        if not (of_cpu or isinstance(error, MemoryError | torch.OutOfMemoryError)):
            raise
        raise OutOfMemoryError(
            "out of memory; give --accumulate 2 or more, a smaller --batch or --patch, "
            "or fewer images"
        ) from error
