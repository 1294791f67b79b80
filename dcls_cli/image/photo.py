"""The picture as every other module sees it."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Self

import numpy as np

from dcls_cli.errors import ImageError
from dcls_cli.image.picture import SAMPLES, Carried, collect, dtype_of, quantise

#: Rows that are converted at a time.
BAND_ROWS = 64


@dataclass(frozen=True, eq=False)
class SampleRaster:
    """One plane of a photo, turned into floats where it is read.

    Attributes:
        samples: (H, W, 3) RGB, or (H, W, 1), whose one channel is given three times.
        white: value of a full sample.
    """

    samples: np.ndarray
    white: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        height, width = self.samples.shape[:2]
        return 3, height, width

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        """Read a window, `raster[:, rows, columns]`: (3, h, w) float32 in [0, 1]."""
        channels, rows, columns = index
        window = self.samples[rows, columns].astype(np.float32) / np.float32(self.white)
        planes = window.transpose(2, 0, 1)
        return np.asarray((planes if len(planes) == 3 else planes.repeat(3, axis=0))[channels])


@dataclass(frozen=True, eq=False, kw_only=True)
class Photo:
    """A picture, upright, with what belongs to it.

    It keeps the samples of the file, as floats would take four times the memory.

    Attributes:
        samples: (H, W, C) uint8, uint16 or float32: grey, grey and alpha, RGB, or RGBA (C = 1..4);
            alpha is not multiplied into the colours.
        white: value of a full sample.
        bit_depth: 8 or 16, of the samples that it should be written with.
        icc: colour profile of the pixels; None stands for sRGB.
        exif: 'Exif' and two zero bytes, then a TIFF structure; its orientation is 1.
        xmp: an XMP packet; its orientation is 1.
        iptc: IPTC-IIM records.
        dpi: horizontal and vertical resolution, pixels per inch.
        format: of the file that it came from: as Pillow calls it, such as JPEG or TIFF.
        lossless: whether the file has the very pixels that it was made from.
        quality: of a JPEG, as libjpeg counts it, 1 to 100; None for other files.
        notes: what could not be kept or was changed while reading, a sentence each.
    """

    samples: np.ndarray
    white: float
    bit_depth: int = 8
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    format: str = "PNG"
    lossless: bool = True
    quality: int | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse arrays of another shape or type.

        Raises:
            ImageError: see the attributes.
        """
        shape, dtype = self.samples.shape, self.samples.dtype
        if len(shape) != 3 or shape[2] not in (1, 2, 3, 4) or 0 in shape or dtype not in SAMPLES:
            raise ImageError(
                f"expected samples as (H, W, 1..4) uint8, uint16 or float32, got {shape} {dtype}"
            )
        if self.bit_depth not in (8, 16):
            raise ImageError(f"expected a bit depth of 8 or 16, got {self.bit_depth}")

    @classmethod
    def from_samples(
        cls, samples: np.ndarray, white: float, bit_depth: int, **properties: object
    ) -> Self:
        """Make a photo of samples as files store them.

        Args:
            samples: (H, W), or (H, W, C) for grey, grey and alpha, RGB, or RGBA (C = 1..4), of
                integers up to 16 bits or floats.
            white: value of a full sample.
            bit_depth: 8 or 16.
            properties: other attributes of the photo.

        Raises:
            ImageError: samples of another shape.
        """
        if samples.ndim == 2:
            samples = samples[..., None]
        if samples.ndim != 3 or samples.shape[2] not in (1, 2, 3, 4):
            raise ImageError(f"expected (H, W) or (H, W, 1..4) samples, got {samples.shape}")
        if samples.dtype.kind == "f":
            samples = samples.astype(np.float32, copy=False)
        return cls(samples=samples, white=white, bit_depth=bit_depth, **properties)  # type: ignore[arg-type]

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.samples.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.samples.shape[0])

    @property
    def channels(self) -> int:
        """1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
        return int(self.samples.shape[2])

    @property
    def grey(self) -> bool:
        """Whether it has a single colour channel."""
        return self.channels < 3

    @property
    def has_alpha(self) -> bool:
        """Whether it has an alpha channel."""
        return self.channels in (2, 4)

    @property
    def colour(self) -> SampleRaster:
        """The colours, read window by window."""
        return SampleRaster(self.samples[..., : 1 if self.grey else 3], self.white)

    @property
    def transparency(self) -> SampleRaster | None:
        """The alpha channel as a grey picture, read window by window; None if opaque."""
        return SampleRaster(self.samples[..., -1:], self.white) if self.has_alpha else None

    @property
    def pixels(self) -> np.ndarray:
        """All colours at once, in a new array: (H, W, 3) float32 RGB in [0, 1]."""
        everything = slice(None)
        planes = self.colour[everything, everything, everything]
        return np.ascontiguousarray(planes.transpose(1, 2, 0))

    @property
    def alpha(self) -> np.ndarray | None:
        """The whole alpha channel, in a new array: (H, W) float32 in [0, 1]."""
        if not self.has_alpha:
            return None
        return self.samples[..., -1].astype(np.float32) / np.float32(self.white)

    @property
    def carried(self) -> Carried:
        """What goes with the samples."""
        unlossy = self.format if self.lossless and self.format in ("WEBP", "AVIF") else None
        return Carried(
            icc=self.icc,
            exif=self.exif,
            xmp=self.xmp,
            iptc=self.iptc,
            dpi=self.dpi,
            unlossy=unlossy,
        )

    def bands(self, dtype: np.dtype) -> Generator[np.ndarray, None, None]:
        """Give all rows, in order, some at a time; see `Picture`."""
        exact = dtype == self.samples.dtype and dtype.kind == "u"
        unchanged = exact and self.white == np.iinfo(dtype).max
        for top in range(0, self.height, BAND_ROWS):
            rows = self.samples[top : top + BAND_ROWS]
            if unchanged:
                yield rows
            else:
                yield quantise(rows.astype(np.float32) / np.float32(self.white), dtype)

    def to_samples(self, bit_depth: int) -> np.ndarray:
        """Round to whole levels: to the nearest, ties to the even one.

        Args:
            bit_depth: 8 or 16.

        Returns:
            (H, W, C) uint8 or uint16.

        Raises:
            ImageError: a value is not finite.
        """
        return collect(self, dtype_of(bit_depth))
