"""What PyTorch takes, what there is of it, and what is raised where it does not suffice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from dcls_cli.config import ModelConfig
from dcls_cli.errors import OutOfMemoryError
from dcls_cli.machine import free_memory_bytes

#: Kept free on a CPU. oneDNN does not look whether it got its smallest pieces of memory and dies
#: with the process where there is none; of a device's memory CUDA takes its own part beforehand.
SPARE_BYTES = 24 << 20

#: Pictures of all features that the estimator holds at a time.
_ESTIMATOR_LIVE = 5

#: What says in the text of a RuntimeError that memory ran out: PyTorch's allocator on the CPU,
#: oneDNN and MKL have no type of their own for it.
_MEMORY_TEXTS = (
    "DefaultCPUAllocator",
    "bad_alloc",
    "could not create a memory",
    "could not create a primitive",
    "out of memory",
    "insufficient memory",
)


def free_bytes(device: torch.device) -> int:
    """What tiles may take of a device's memory."""
    if device.type == "cuda":  # GPU only
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return max(free_memory_bytes() - SPARE_BYTES, 0)


def require(shape: Sequence[int], per_px: int, device: torch.device) -> None:
    """Refuse work on a CPU for which there is not enough memory.

    Linux promises more than there is and then kills; and see `SPARE_BYTES`. Of a GPU's memory its
    allocator says itself that it ran out.

    Args:
        shape: (B, C, H, W) of the input.
        per_px: bytes for each of its pixels, about.
        device: that would compute.

    Raises:
        OutOfMemoryError: there is not.
    """
    batch, _, height, width = shape
    if device.type == "cpu" and batch * height * width * per_px > free_bytes(device):
        raise OutOfMemoryError.of_piece(shape)


def bytes_per_px(config: ModelConfig, precision: str) -> int:
    """What restoring takes per LR pixel, about: measured, with some to spare.

    Args:
        config: of the network.
        precision: of the convolutions.
    """
    exact = precision == "fp32"
    channels = config.features + config.path_features
    needs = [(7.5 if exact else 6.5) * 4 * channels]  # the deconvolution is in fp32 always
    if config.upsampler == "stepwise":
        needs.append(2.5 * (4 if exact else 2) * config.features * config.scale**2)
    return round(max(needs) + 2 * 4 * 3 * config.scale**2)


def estimator_bytes_per_px(config: ModelConfig) -> int:
    """What estimating the blur takes per LR pixel of a window, about."""
    return _ESTIMATOR_LIVE * 4 * config.estimator_features


@contextmanager
def translated_memory_errors(shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what PyTorch raises when memory runs out into our error.

    Args:
        shape: (..., H, W) of the input, for the message.

    Raises:
        OutOfMemoryError: memory ran out inside the block.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        of_cpu = any(text in str(error) for text in _MEMORY_TEXTS)
        if not (of_cpu or isinstance(error, MemoryError | torch.OutOfMemoryError)):
            raise
        raise OutOfMemoryError.of_piece(shape) from error
