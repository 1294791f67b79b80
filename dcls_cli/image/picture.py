"""What can be written: a picture of known size whose rows come from top to bottom."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dcls_cli.errors import ImageError

#: Types of samples; a full one is 255, 65535 or 1.
SAMPLES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What a file holds beside its samples; see `Photo`.

    Attributes:
        unlossy: WEBP or AVIF if the photo is one that lost nothing; such a one is written alike.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    unlossy: str | None = None

    def options(self) -> dict[str, object]:
        """Options of Pillow's encoders; none of them takes IPTC."""
        given = {
            "icc_profile": self.icc,
            "exif": self.exif,
            "xmp": self.xmp,
            "dpi": self.dpi,
        }
        return {name: value for name, value in given.items() if value is not None}


class Picture(Protocol):
    """A photo in memory, or one that is computed while it is written.

    Attributes:
        width, height: pixels.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        bit_depth: 8 or 16, of the samples that a file should have.
        carried: what goes with them.
    """

    @property
    def width(self) -> int: ...  # noqa: D102

    @property
    def height(self) -> int: ...  # noqa: D102

    @property
    def channels(self) -> int: ...  # noqa: D102

    @property
    def bit_depth(self) -> int: ...  # noqa: D102

    @property
    def carried(self) -> Carried: ...  # noqa: D102

    def bands(self, dtype: np.dtype) -> Generator[np.ndarray, None, None]:
        """Give all rows, in order, some at a time.

        Args:
            dtype: one of `SAMPLES`.

        Yields:
            (h, W, C) of that type, h at least 1.

        Raises:
            ImageError: a value is not finite.
        """
        ...


def dtype_of(bit_depth: int) -> np.dtype:
    """The type of samples of 8 or 16 bits."""
    return np.dtype(np.uint8 if bit_depth == 8 else np.uint16)


def quantise(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Clip to [0, 1] and round to whole levels: to the nearest, ties to the even one.

    Args:
        values: floats of any shape.
        dtype: one of `SAMPLES`; floats are only clipped.

    Raises:
        ImageError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise ImageError("the picture has values that are not finite")
    clipped = values.clip(0, 1)
    if dtype.kind == "f":
        return clipped.astype(dtype, copy=False)
    clipped *= np.iinfo(dtype).max
    return np.asarray(np.rint(clipped, out=clipped).astype(dtype))


def collect(picture: Picture, dtype: np.dtype) -> np.ndarray:
    """Gather all rows in memory: (H, W, C) of a type of `SAMPLES`."""
    samples = np.empty((picture.height, picture.width, picture.channels), dtype)
    top = 0
    for band in picture.bands(dtype):
        samples[top : top + len(band)] = band
        top += len(band)
    return samples
