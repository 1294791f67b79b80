"""Random numbers of the benchmarks: the same everywhere and for ever."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def random_of(benchmark: str, pixels: NDArray[np.uint8], index: int = 0) -> np.random.RandomState:
    """A source that depends on the benchmark's version, the image's pixels and a number alone.

    `RandomState`, because numpy promises that its stream never changes; that of newer generators
    may.

    Args:
        benchmark: name and version.
        pixels: (3, H, W) of the original; neither its name nor its place in the set counts.
        index: of the damage.
    """
    digest = hashlib.sha256(f"{benchmark} {index} {pixels.shape} ".encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return np.random.RandomState(np.frombuffer(digest.digest(), "<u4").astype(np.uint32))
