"""Samples of 16 bits in colour or with alpha, which Pillow cuts to 8 without a word."""

from typing import BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from dcls_cli.errors import ImageError
from dcls_cli.image import metadata

_BITS_PER_SAMPLE, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 284, 338, 339
_SEPARATE_PLANES = 2
_PREMULTIPLIED_ALPHA = 1
_UNSIGNED = 1

_PNG_DEPTH_AT, _PNG_COLOUR_AT = 24, 25
_PNG_GREY = 0


def decode(file: BinaryIO, image: Image.Image) -> np.ndarray | None:
    """Read 16-bit colour, or 16-bit grey with alpha, from PNG and TIFF.

    Args:
        file: the whole file, seekable.
        image: as Pillow opened it, not yet loaded.

    Returns:
        (H, W, 2..4) uint16, grey and alpha, RGB, or RGBA, turned as Pillow turns a TIFF when it
        loads it; None for a file that Pillow reads as well.

    Raises:
        ImageError: a layout of samples that is not supported.
        RuntimeError: the file is damaged.
    """
    import imagecodecs

    file.seek(0)
    if image.format == "PNG":
        header = file.read(_PNG_COLOUR_AT + 1)
        if header[_PNG_DEPTH_AT] != 16 or header[_PNG_COLOUR_AT] == _PNG_GREY:
            return None
        return np.asarray(imagecodecs.png_decode(header + file.read()))
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))
        if max(bits) <= 8 or image.mode not in ("RGB", "RGBA", "RGBX"):
            return None
        if set(image.tag_v2.get(_SAMPLE_FORMAT, (_UNSIGNED,))) != {_UNSIGNED} or set(bits) != {16}:
            raise ImageError(f"TIFF samples of {bits} bits are not supported; save 8 or 16 bits")
        samples = np.asarray(imagecodecs.tiff_decode(file.read()))
        if image.tag_v2.get(_PLANAR) == _SEPARATE_PLANES:
            samples = np.moveaxis(samples, 0, 2)
        samples = _with_alpha(samples, image.tag_v2.get(_EXTRA_SAMPLES, ()))
        return metadata.upright(samples, metadata.orientation(image))
    return None


def _with_alpha(samples: np.ndarray, extra: tuple[int, ...]) -> np.ndarray:
    """Keep an alpha channel, not multiplied into the colours, and drop samples of another kind."""
    if samples.shape[2] == 3:
        return samples
    if extra and extra[0] not in (1, 2):
        return samples[..., :3]
    samples = samples[..., :4]
    if extra[:1] == (_PREMULTIPLIED_ALPHA,):
        alpha = np.maximum(samples[..., 3:], 1).astype(np.float32)
        colour = np.rint(samples[..., :3] / alpha * 65535).clip(0, 65535)
        samples = np.concatenate([colour.astype(np.uint16), samples[..., 3:]], axis=2)
    return samples
