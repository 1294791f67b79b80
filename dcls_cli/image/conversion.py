"""A picture in sRGB, for formats that cannot hold its colour profile."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from dcls_cli.image.colour import to_srgb
from dcls_cli.image.picture import Carried, Picture

_DEEP = np.dtype(np.uint16)


@dataclass(frozen=True, eq=False)
class InSrgb:
    """A picture whose colours are converted while it is written; it is a `Picture`.

    Attributes:
        picture: with a colour profile that fits its channels.
    """

    picture: Picture

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.picture.width

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.picture.height

    @property
    def channels(self) -> int:
        """As the picture has them."""
        return self.picture.channels

    @property
    def bit_depth(self) -> int:
        """As the picture has it."""
        return self.picture.bit_depth

    @property
    def carried(self) -> Carried:
        """The picture's metadata without its colour profile."""
        return replace(self.picture.carried, icc=None)

    def bands(self, dtype: np.dtype) -> Generator[np.ndarray, None, None]:
        """Convert the rows as they come, with 16 bits; see `Picture`.

        Raises:
            ImageError: the colour profile cannot be used.
        """
        icc = self.picture.carried.icc
        assert icc is not None
        colours = self.channels - (self.channels in (2, 4))
        full = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
        with closing(self.picture.bands(_DEEP)) as bands:
            for band in bands:
                converted = to_srgb(np.ascontiguousarray(band[..., :colours]), icc)
                joined = np.concatenate([converted, band[..., colours:]], axis=2)
                levels = joined * np.float32(full / 65535)
                yield levels.astype(dtype) if dtype.kind == "f" else np.rint(levels).astype(dtype)
