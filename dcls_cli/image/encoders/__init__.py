"""What an encoder knows before the first row, and work that it shares out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np

from dcls_cli.errors import ImageError
from dcls_cli.image.formats import Encoding
from dcls_cli.image.photo import Carried
from dcls_cli.machine import threads_take_memory, usable_processors

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Header:
    """A file before its rows.

    Attributes:
        width, height: pixels.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        dtype: of the samples, uint8 or uint16.
        carried: metadata, as much as the format holds.
        encoding: quality and so on.
        folder: where large intermediate data may lie.
    """

    width: int
    height: int
    channels: int
    dtype: np.dtype
    carried: Carried
    encoding: Encoding
    folder: Path

    @property
    def row_bytes(self) -> int:
        """Size of the samples of a row."""
        return self.width * self.channels * self.dtype.itemsize

    @property
    def bytes(self) -> int:
        """Size of all samples."""
        return self.row_bytes * self.height

    def rows_of(self, size: int) -> int:
        """Rows that have about so many bytes, at least one."""
        return max(size // self.row_bytes, 1)


def regrouped(bands: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Give rows in groups of `count`, whatever they come in; the last may be smaller."""
    waiting: list[np.ndarray] = []
    have = 0
    for band in bands:
        rest = band
        while have + len(rest) >= count:
            waiting.append(rest[: count - have])
            rest = rest[count - have :]
            yield waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            waiting, have = [], 0
        if len(rest):
            waiting.append(rest)
            have += len(rest)
    if waiting:
        yield np.concatenate(waiting)


def shared_out(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function in threads, in order, without reading far ahead.

    For functions that release Python's lock while they work, as compressors do.
    """
    threads = usable_processors()
    with threads_take_memory(), ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Result]] = deque()
        try:
            for item in items:
                running.append(pool.submit(function, item))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def whole_ratio(aspect: tuple[float, float], largest: int) -> tuple[int, int]:
    """A ratio as two whole numbers of 1 to `largest`, those that are given if they are such."""
    if all(side == int(side) and side <= largest for side in aspect):
        return int(aspect[0]), int(aspect[1])
    ratio = Fraction(aspect[0] / aspect[1]).limit_denominator(min(largest, 10_000))
    return min(max(ratio.numerator, 1), largest), ratio.denominator


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Turn what an encoder raises into our error.

    Raises:
        ImageError: the block raised what encoders raise.
    """
    try:
        yield
    except ImageError:
        raise
    except (OSError, ValueError, RuntimeError, OverflowError) as error:
        raise ImageError(f"cannot be encoded as {name}: {error}") from error
