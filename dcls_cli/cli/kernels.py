"""Files that show the blur which was found."""

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from dcls_cli.atomic import atomic_write, check_writable, printable
from dcls_cli.errors import ImageError

#: Each tap of the kernel is a square of so many pixels in a PNG.
PIXELS_PER_TAP = 8


def check_kernel_output(path: Path, *, overwrite: bool) -> None:
    """Find out before any work whether the file can be written.

    Raises:
        ImageError: it exists and may not be replaced, or its folder cannot be written.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise ImageError(f"{printable(path)}: cannot be written: {error.strerror}") from error
    if path.exists() and not overwrite:
        raise ImageError(f"{printable(path)}: exists already; replace it with --overwrite")


def write_kernel(kernel: np.ndarray, path: Path, *, overwrite: bool) -> None:
    """Write the taps as they are (.npy), or as a picture whose white is the largest tap (.png).

    Args:
        kernel: (k, k) float32.
        path: its suffix chooses.
        overwrite: whether an existing file may be replaced.

    Raises:
        ImageError: the file exists already or cannot be written.
    """
    content = BytesIO()
    if path.suffix.lower() == ".npy":
        np.save(content, kernel)
    else:
        levels = np.rint(255 * kernel.clip(0) / max(float(kernel.max()), 1e-12)).astype(np.uint8)
        enlarged = levels.repeat(PIXELS_PER_TAP, axis=0).repeat(PIXELS_PER_TAP, axis=1)
        Image.fromarray(enlarged).save(content, "PNG")

    def write_bytes(file: BinaryIO) -> None:
        file.write(content.getvalue())

    try:
        atomic_write(path, write_bytes, overwrite=overwrite)
    except OSError as error:
        raise ImageError(f"{printable(path)}: cannot be written: {error.strerror}") from error
