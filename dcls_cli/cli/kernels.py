"""Files that show the blur which was found."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from dcls_cli.atomic import atomic_write, check_writable, printable
from dcls_cli.config import KernelSpace
from dcls_cli.errors import ImageError
from dcls_cli.kernels.user_kernel import encode_kernel


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


def write_kernel(kernel: np.ndarray, space: KernelSpace, path: Path, *, overwrite: bool) -> None:
    """Write the taps as they are (.npy), or as a picture whose white is the largest tap (.png).

    Args:
        kernel: (k, k) float32.
        space: whose pixels the taps are.
        path: its suffix chooses.
        overwrite: whether an existing file may be replaced.

    Raises:
        ImageError: the file exists already or cannot be written.
    """
    write_bytes(encode_kernel(kernel, space, path.suffix.lower()), path, overwrite=overwrite)


def write_bytes(content: bytes, path: Path, *, overwrite: bool) -> None:
    """Write a small file whole or not at all.

    Raises:
        ImageError: the file exists already or cannot be written.
    """

    def write(file: BinaryIO) -> None:
        file.write(content)

    try:
        atomic_write(path, write, overwrite=overwrite)
    except OSError as error:
        raise ImageError(f"{printable(path)}: cannot be written: {error.strerror}") from error
