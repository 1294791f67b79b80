"""Sharp images from files, in the 8 bits for which the protocols are defined."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcls_cli.errors import ImageError

SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".webp", ".jpg", ".jpeg"})
_FORMATS = ("PNG", "BMP", "TIFF", "WEBP", "JPEG")
#: Modes of Pillow with eight bits a channel or fewer, which become RGB without loss.
_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})

#: What Pillow raises on files that are missing or damaged.
_DAMAGE = (OSError, ValueError, SyntaxError, TypeError, IndexError, OverflowError, struct.error,
           Image.DecompressionBombError)  # fmt: skip


def find_hr(folder: Path) -> list[Path]:
    """Images right in a folder, sorted by name.

    Raises:
        ImageError: no such folder, or no image in it.
    """
    return find_images(folder, "HR")


def find_images(folder: Path, kind: str) -> list[Path]:
    """Images right in a folder, sorted by name; `kind` (HR or LR) is for the message.

    Raises:
        ImageError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder}: expected a folder of {kind} images, found no folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        expected = ", ".join(sorted(SUFFIXES))
        raise ImageError(f"{folder}: no {kind} image; files ending in {expected} are looked for")
    return paths


def read_hr(path: Path) -> NDArray[np.uint8]:
    """Read an image as (3, H, W) uint8; grey becomes three channels, alpha is dropped.

    Raises:
        ImageError: missing, damaged, or not 8-bit grey or RGB, for which the protocol is defined.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            mode, pixels = image.mode, np.asarray(image.convert("RGB"))
    except _DAMAGE as error:
        raise ImageError(f"{path}: cannot be read as an image ({error})") from error
    if mode not in _MODES:
        raise ImageError(f"{path}: mode {mode} has no Gaussian8 figures; give 8-bit grey or RGB")
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
