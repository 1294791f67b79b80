"""Decoded images in one file that is mapped into memory instead of read.

A safetensors file with two tensors: `pixels`, (N, 3) uint8, all images row by row, and `index`, the
JSON text of their names and sizes. Its metadata have the SHA-256 of both. Processes of one machine
share what they have mapped.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dcls_cli.errors import DataError
from dcls_cli.files.atomic import printable

SUFFIX = ".pack"
KIND_KEY, DIGEST_KEY = "dcls_images", "sha256"
VERSION = "1"

#: Room for the length and the header, which is written last.
HEAD_BYTES = 1024
_BLOCK = 1 << 24


@dataclass(frozen=True)
class PackedImage:
    """name; height and width in pixels."""

    name: str
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class Pack:
    """Images that `dcls data prepare` has decoded.

    Attributes:
        path: of the file.
        images: in the order of their pixels.
        start: byte at which the pixels begin.
        sha256: what the content must be.
    """

    path: Path
    images: tuple[PackedImage, ...]
    start: int
    sha256: str

    @property
    def pixel_count(self) -> int:
        """Pixels of all images."""
        return sum(image.height * image.width for image in self.images)

    @classmethod
    def open(cls, path: Path) -> "Pack":
        """Read and check the index; the pixels stay where they are.

        Raises:
            DataError: it cannot be read, is no pack, or is cut off.
        """
        try:
            with path.open("rb") as file:
                header, start = _header(file)
                (_, end), (first, last) = (header[name]["data_offsets"] for name in _NAMES)
                file.seek(start + first)
                index = json.loads(file.read(last - first))
                size = file.seek(0, 2)
            images = tuple(PackedImage(str(n), int(h), int(w)) for n, h, w in index)
            pack = cls(path, images, start, str(header["__metadata__"][DIGEST_KEY]))
            whole = end == first == 3 * pack.pixel_count and size == start + last
            whole &= all(min(image.height, image.width) > 0 for image in images)
        except OSError as error:
            raise DataError(f"{printable(path)}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
            raise DataError(
                f"{printable(path)}: not a file of `dcls data prepare`, or cut off"
            ) from error
        if not whole:
            raise DataError(f"{printable(path)}: damaged or cut off; prepare it again")
        return pack

    def damage(self) -> str | None:
        """Compare the whole content with its SHA-256; what differs, or None.

        Raises:
            OSError: it cannot be read.
        """
        state = hashlib.sha256()
        with self.path.open("rb") as file:
            file.seek(self.start)
            while block := file.read(_BLOCK):
                state.update(block)
        return None if state.hexdigest() == self.sha256 else "its SHA-256 does not match"


_NAMES = ("pixels", "index")


class Packing:
    """Writes images into an open file, one by one."""

    def __init__(self, file: BinaryIO) -> None:
        """`file` is seekable and empty."""
        self.file = file
        self.images: list[PackedImage] = []
        self._digest = hashlib.sha256()
        file.write(bytes(HEAD_BYTES))

    def add(self, name: str, pixels: np.ndarray) -> None:
        """Append an image, (H, W, 3) uint8."""
        height, width, _ = pixels.shape
        self._write(np.ascontiguousarray(pixels).tobytes())
        self.images.append(PackedImage(name, height, width))

    def finish(self) -> None:
        """Write the index, then the header into the room that was left for it."""
        pixels = sum(image.height * image.width for image in self.images)
        index = json.dumps([(image.name, image.height, image.width) for image in self.images])
        content = index.encode()
        self._write(content)
        tensors = {"pixels": ([pixels, 3], 0), "index": ([len(content)], 3 * pixels)}
        header: dict[str, Any] = {
            "__metadata__": {KIND_KEY: VERSION, DIGEST_KEY: self._digest.hexdigest()}
        }
        for name, (shape, begin) in tensors.items():
            size = int(np.prod(shape))
            header[name] = {"dtype": "U8", "shape": shape, "data_offsets": [begin, begin + size]}
        text = json.dumps(header).encode().ljust(HEAD_BYTES - 8)
        self.file.seek(0)
        self.file.write(struct.pack("<Q", len(text)) + text)

    def _write(self, content: bytes) -> None:
        self._digest.update(content)
        self.file.write(content)


def _header(file: BinaryIO) -> tuple[Mapping[str, Any], int]:
    """The header of a pack, and where the data begin."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > HEAD_BYTES:
        raise ValueError("no header of a pack")
    header = json.loads(file.read(length))
    if header["__metadata__"][KIND_KEY] != VERSION:
        raise ValueError("another version")
    return header, 8 + length
