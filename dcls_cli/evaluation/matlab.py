"""One real matrix out of a MATLAB 5 file, the format in which DIV2KRK's kernels are."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcls_cli.errors import ImageError

_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
#: Types of numbers by their codes.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
            13: "u8"}  # fmt: skip
#: Largest file that is read, and largest matrix within, bytes: kernels are small.
LARGEST = 1 << 20


def read_matrix(path: Path, name: str) -> NDArray[np.float64]:
    """Read a real two-dimensional matrix of numbers.

    Args:
        path: a MATLAB 5 file, of either byte order, compressed or not.
        name: of the variable.

    Raises:
        ImageError: the file cannot be read, is none, or has no such matrix.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST} bytes")
        content = path.read_bytes()
        order = {b"IM": "<", b"MI": ">"}.get(content[_HEADER - 2 : _HEADER])
        if order is None:
            raise ValueError("not a MATLAB 5 file")
        for kind, part in _elements(content[_HEADER:], order):
            if kind == _MATRIX:
                label, matrix = _matrix(part, order)
                if label == name:
                    return matrix
    except (OSError, ValueError, IndexError, struct.error, zlib.error) as error:
        raise ImageError(f"{path}: cannot be read as a kernel ({error})") from error
    raise ImageError(f"{path}: has no matrix {name}")


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and data of each element; compressed ones are unpacked."""
    place = 0
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(order + "II", content, place)
        if kind >> 16:  # up to four bytes of data share the tag
            kind, size = kind & 0xFFFF, kind >> 16
            yield kind, content[place + 4 : place + 4 + size]
            place += 8
            continue
        data = content[place + 8 : place + 8 + size]
        if len(data) < size:
            raise ValueError("cut off")
        place += 8 + size
        if kind == _COMPRESSED:
            unpacked = zlib.decompressobj().decompress(data, LARGEST)
            yield from _elements(unpacked, order)
        else:
            yield kind, data
            place += -place % 8


def _matrix(content: bytes, order: str) -> tuple[str, NDArray[np.float64]]:
    """Name and numbers of a matrix element: flags, dimensions, name, real part."""
    _, (_, sides), (_, name), (kind, numbers) = list(_elements(content, order))[:4]
    if kind not in _NUMBERS:
        raise ValueError(f"numbers of type {kind}")
    shape = np.frombuffer(sides, order + "i4")
    values = np.frombuffer(numbers, order + _NUMBERS[kind]).astype(np.float64)
    return name.decode("latin-1"), values.reshape(shape, order="F")
