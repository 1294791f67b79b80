"""Kernels in files: taps as they are (.npy), and grey pictures (.png, .tif)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from dcls_cli.atomic import check_writable, printable, write_bytes
from dcls_cli.config import KernelSpace
from dcls_cli.errors import ImageError, KernelError
from dcls_cli.kernels.own import LARGEST_SIZE, OwnKernel

#: What `encode` writes.
WRITABLE = (".npy", ".png")

#: Each tap of the kernel is a square of so many pixels in a PNG.
PIXELS_PER_TAP = 8

#: Text chunks of a PNG that say how to read it again.
_TAP_KEY, _SPACE_KEY = "dcls:pixels_per_tap", "dcls:kernel_space"

#: Modes of Pillow whose samples are one linear number a pixel.
_GREY = ("1", "L", "I;16", "I;16B", "I;16L", "I;16N", "I", "F")

_FORMATS = ("PNG", "TIFF")

_STEPS = ("1", "2", "4", "8", "16")

_NPY_SIGNATURE = b"\x93NUMPY"

#: No kernel needs more; what is larger is something else.
_LARGEST_FILE = 64 * 1024 * 1024


def check_output(path: Path, *, overwrite: bool) -> None:
    """Find out before any work whether a small file, of a kernel or a page, can be written.

    Raises:
        ImageError: it exists and may not be replaced, or its folder cannot be written.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise ImageError(f"{printable(path)}: cannot be written: {error.strerror}") from error
    if path.exists() and not overwrite:
        raise ImageError(f"{printable(path)}: exists already; replace it with --overwrite")


def write(kernel: np.ndarray, space: KernelSpace, path: Path, *, overwrite: bool) -> None:
    """Write the taps as they are (.npy), or as a picture whose white is the largest tap (.png).

    Args:
        kernel: (k, k) float32.
        space: whose pixels the taps are.
        path: its suffix chooses.
        overwrite: whether an existing file may be replaced.

    Raises:
        ImageError: the file exists already or cannot be written.
    """
    try:
        write_bytes(encode(kernel, space, path.suffix.lower()), path, overwrite=overwrite)
    except OSError as error:
        raise ImageError(f"{printable(path)}: cannot be written: {error.strerror}") from error


def encode(kernel: np.ndarray, space: KernelSpace, suffix: str) -> bytes:
    """Content of a kernel file.

    Args:
        kernel: (k, k) float32.
        space: whose pixels the taps are; a PNG says so in a text chunk.
        suffix: `.npy`, float32 taps as they are; `.png`, a grey picture whose white is the largest
            tap, negative taps black.
    """
    content = BytesIO()
    if suffix == ".npy":
        np.save(content, kernel)
        return content.getvalue()
    levels = np.rint(255 * kernel.clip(0) / max(float(kernel.max()), 1e-12)).astype(np.uint8)
    enlarged = levels.repeat(PIXELS_PER_TAP, axis=0).repeat(PIXELS_PER_TAP, axis=1)
    texts = PngInfo()
    texts.add_text(_TAP_KEY, str(PIXELS_PER_TAP))
    texts.add_text(_SPACE_KEY, space)
    Image.fromarray(enlarged).save(content, "PNG", pnginfo=texts)
    return content.getvalue()


def read(path: Path, space: KernelSpace | None = None) -> OwnKernel:
    """Read and check the kernel of a user: .npy, or a grey PNG or TIFF, by content.

    Samples of pictures are taken as linear, however they may be meant to be shown.

    Args:
        path: the file.
        space: whether its taps are HR or LR pixels; None for what a PNG of `encode` says, and HR
            for all others.

    Raises:
        KernelError: it cannot be read, is no kernel (see `OwnKernel.of`), or says that it is of
            the other space. The message is one line and starts with the path.
    """
    with _named(path):
        content = path.read_bytes() if path.stat().st_size <= _LARGEST_FILE else b""
        if not content:
            raise KernelError(f"expected a kernel of 1 byte to {_LARGEST_FILE >> 20} MiB")
        if content.startswith(_NPY_SIGNATURE):
            return OwnKernel.of(_load_npy(content), space or "hr")
        taps, said = _load_picture(content)
        if None not in (space, said) and space != said:
            raise KernelError(f"it says that its taps are {said} pixels, not {space}")
        return OwnKernel.of(taps, space or said or "hr")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except KernelError as error:
        raise KernelError(f"{printable(path)}: {error}") from error
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise KernelError(f"{printable(path)}: cannot be read: {reason}") from error


def _load_npy(content: bytes) -> np.ndarray:
    """Load an array; one of objects, which could run code, is refused."""
    try:
        return np.asarray(np.lib.format.read_array(BytesIO(content), allow_pickle=False))
    except (ValueError, EOFError, MemoryError) as error:
        raise KernelError(f"damaged .npy file, or one of objects: {_one_line(error)}") from error


def _load_picture(content: bytes) -> tuple[np.ndarray, KernelSpace | None]:
    """Samples of a grey picture, and the space that it says it is in."""
    try:
        with warnings.catch_warnings(), Image.open(BytesIO(content), formats=_FORMATS) as image:
            warnings.simplefilter("ignore")  # of damaged metadata
            text = getattr(image, "text", {})
            step = int(text[_TAP_KEY]) if text.get(_TAP_KEY) in _STEPS else 1
            if image.mode not in _GREY:
                raise KernelError(
                    f"expected a grey picture without transparency, got {image.mode}; "
                    "save one channel"
                )
            if max(image.size) > LARGEST_SIZE * step:  # before it is decoded
                raise KernelError(
                    f"expected at most {LARGEST_SIZE} taps a side, got {image.width}x{image.height}"
                )
            taps = np.asarray(image, np.float64)[::step, ::step]
    except KernelError:
        raise
    except UnidentifiedImageError as error:
        raise KernelError("expected .npy, or a PNG or TIFF picture; this is neither") from error
    except Exception as error:  # OSError, ValueError, SyntaxError, struct.error, ...
        raise KernelError(f"damaged picture: {_one_line(error)}") from error
    said = next((known for known in get_args(KernelSpace) if text.get(_SPACE_KEY) == known), None)
    # The white of a picture that `encode` made means nothing; that of others is reported.
    return (taps / max(taps.sum(), 1.0) if said else taps), said


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
