"""Rows of samples and metadata to the bytes of a file."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from dcls_cli.image.encoders.header import Header
from dcls_cli.image.encoders.jpeg import write_jpeg
from dcls_cli.image.encoders.png import write_png
from dcls_cli.image.encoders.tiff import write_tiff
from dcls_cli.image.encoders.whole import write_avif, write_webp

#: Writes all bands, (h, W, C) each, into an open, seekable file.
Encoder = Callable[[BinaryIO, Header, Iterator[np.ndarray]], None]

#: By Pillow's name of the format.
ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        "PNG": write_png,
        "JPEG": write_jpeg,
        "TIFF": write_tiff,
        "WEBP": write_webp,
        "AVIF": write_avif,
    }
)

#: Formats that are written while their rows arrive; the others need all of them first.
STREAMED = frozenset({"PNG", "JPEG", "TIFF"})

__all__ = ["ENCODERS", "STREAMED", "Encoder", "Header"]
