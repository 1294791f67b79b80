"""Formats whose encoders need all rows, which are gathered in memory or in a nameless file."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import Image

from dcls_cli.image.encoders.header import Header, one_line_errors

#: Pictures with more bytes of samples wait on the disk.
LARGEST_IN_MEMORY = 2**28


def to_image(samples: np.ndarray) -> Image.Image:
    """Make a Pillow image of (H, W, C) samples; uint16 only as grey."""
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def write_webp(file: BinaryIO, header: Header, bands: Iterator[np.ndarray]) -> None:
    """Write 8 bits, grey or RGB, with or without alpha.

    Lossy WebP halves the resolution of colours; it has no other way.
    """
    with gathered(header, bands) as samples, one_line_errors("WEBP"):
        content = io.BytesIO()
        to_image(samples).save(
            content,
            "WEBP",
            quality=header.encoding.used_quality,
            lossless=header.encoding.lossless,
            exact=True,
            **header.carried.options(),
        )
    file.write(content.getbuffer())


def write_avif(file: BinaryIO, header: Header, bands: Iterator[np.ndarray]) -> None:
    """Write 8 bits, RGB with all colour resolution, grey as one channel, with or without alpha."""
    with gathered(header, bands) as samples, one_line_errors("AVIF"):
        content = io.BytesIO()
        image = to_image(samples)
        image.save(
            content,
            "AVIF",
            quality=header.encoding.used_quality,
            subsampling="4:0:0" if image.mode == "L" else "4:4:4",
            **header.carried.options(),
        )
    file.write(content.getbuffer())


@contextmanager
def gathered(header: Header, bands: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Gather all rows: (H, W, C), on the disk where they are many.

    Raises:
        OSError: the disk is full.
    """
    shape = (header.height, header.width, header.channels)
    if header.bytes <= LARGEST_IN_MEMORY:
        samples, top = np.empty(shape, header.dtype), 0
        for band in bands:
            samples[top : top + len(band)] = band
            top += len(band)
        yield samples
        return
    # Without a name, the file cannot stay behind.
    with tempfile.TemporaryFile(dir=header.folder) as disk:
        for band in bands:
            disk.write(np.ascontiguousarray(band).data)
        disk.flush()
        yield np.memmap(disk, header.dtype, "r", shape=shape)
