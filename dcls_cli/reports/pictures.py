"""Pictures inside a page: small enough, encoded, as data URIs."""

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

#: Quality of the JPEG previews, whose chroma is not subsampled.
PREVIEW_QUALITY = 92


@dataclass(frozen=True)
class Picture:
    """An encoded picture.

    Attributes:
        uri: `data:image/...;base64,...`.
        width: CSS pixels at which it is shown, one for each of its own.
        height: the same.
    """

    uri: str
    width: int
    height: int


def encode(levels: np.ndarray, *, lossy: bool = False) -> Picture:
    """Put a picture into a data URI.

    Args:
        levels: (H, W) or (H, W, 3) uint8.
        lossy: JPEG, for previews; otherwise PNG.
    """
    if not lossy:
        return picture_of_png(encode_png(levels))
    content = BytesIO()
    Image.fromarray(levels).save(content, "JPEG", quality=PREVIEW_QUALITY, subsampling=0)
    uri = _uri("jpeg", content.getvalue())
    return Picture(uri, levels.shape[1], levels.shape[0])


def encode_png(levels: np.ndarray) -> bytes:
    """A PNG file of (H, W) or (H, W, 3) uint8."""
    content = BytesIO()
    Image.fromarray(levels).save(content, "PNG", optimize=True)
    return content.getvalue()


def picture_of_png(content: bytes) -> Picture:
    """Put a PNG file into a data URI."""
    with Image.open(BytesIO(content), formats=("PNG",)) as image:
        return Picture(_uri("png", content), image.width, image.height)


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"


def to_levels(image: np.ndarray) -> np.ndarray:
    """Values in [0, 1], of any shape, as uint8; ties to even."""
    levels: np.ndarray = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return levels


def enlarge(levels: np.ndarray, factor: int) -> np.ndarray:
    """Repeat each pixel: (H, W, ...) -> (factor H, factor W, ...)."""
    return levels.repeat(factor, axis=0).repeat(factor, axis=1)


def bicubic(levels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize a uint8 picture (H, W, 3) with Pillow's bicubic, antialiased when making smaller."""
    resized = Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)
