"""Sessions of ONNX Runtime: how a graph is started, and what its errors mean."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dcls_cli.backends.wheels import module
from dcls_cli.errors import BackendError, OutOfMemoryError
from dcls_cli.machine import free_memory_bytes, usable_processors

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: What ONNX Runtime says when memory runs out; its errors have no class of their own.
MEMORY_WORDS = ("bad_alloc", "Failed to allocate memory", "out of memory", "bad allocation")

#: Before what it has to say: a code, and a place in its source with the name of a function.
_PLACE = re.compile(
    r"^(\[ONNXRuntimeError\] : \d+ : \w+ : )?(/onnxruntime_src/\S+:\d+ [^()]*\([^()]*\)( const)? )?"
)


def threads() -> int:
    """Threads of a session on the CPU: all processors, or as OMP_NUM_THREADS says."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else usable_processors()


def start(content: bytes, providers: list[Any]) -> "InferenceSession":
    """Start a session of a graph.

    Args:
        content: of its file.
        providers: in the order of preference, with their options.

    Raises:
        BackendError: ONNX Runtime refuses it or the device.
    """
    onnxruntime = module()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.log_severity_level = 4  # errors are reported by us, in one line
    onnxruntime.set_default_logger_severity(4)
    try:
        # Its own fallback would go on with the CPU and print that on stdout.
        session: InferenceSession = onnxruntime.InferenceSession(
            content, options, providers=providers, enable_fallback=False
        )
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise BackendError(f"ONNX Runtime cannot load the graph: {_first_line(error)}") from error
    return session


def _first_line(error: Exception) -> str:
    """What ONNX Runtime says, without its codes and the place in its source."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return _PLACE.sub("", line) or line


@contextmanager
def translated_memory_errors(shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what ONNX Runtime raises into our errors.

    Args:
        shape: (..., H, W) of the input, for the message.

    Raises:
        OutOfMemoryError: memory ran out inside the block.
        BackendError: anything else that ONNX Runtime refuses.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError.of_piece(shape) from error
    except Exception as error:  # ONNX Runtime's errors have no common class
        if any(word in str(error) for word in MEMORY_WORDS):
            raise OutOfMemoryError.of_piece(shape) from error
        raise BackendError(f"ONNX Runtime failed: {_first_line(error)}") from error


def check_memory(shape: tuple[int, ...], needed: int) -> None:
    """Refuse what would fill the memory: a system may end the program before ONNX Runtime fails.

    Args:
        shape: (..., H, W) of the input, for the message.
        needed: bytes.

    Raises:
        OutOfMemoryError: more than is free.
    """
    if needed > free_memory_bytes():
        raise OutOfMemoryError.of_piece(shape)
