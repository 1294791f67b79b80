"""Photos in memory: what can be written, row by row, and what goes with the samples."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from dcls_cli.errors import ImageError
from dcls_cli.image.colour import without_hidden_colours
from dcls_cli.image.colour_spaces import CodePoints

#: Types of samples; a full one is 255, 65535 or 1.
SAMPLES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What a file holds beside its samples; see `Photo`.

    Attributes:
        extended_xmp: segments of a JPEG with what its XMP packet has no room for.
        code_points: of high dynamic range, which only some formats can state.
        unlossy: WEBP or AVIF if the photo is one that lost nothing; such a one is written alike.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    extended_xmp: tuple[bytes, ...] = ()
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    aspect: tuple[float, float] | None = None
    texts: tuple[tuple[bytes, bytes], ...] = ()
    comment: bytes | None = None
    described: tuple[int, int] | None = None
    level_bits: int | None = None
    code_points: CodePoints | None = None
    unlossy: str | None = None

    def options(self) -> dict[str, object]:
        """Options of Pillow's encoders; none of them takes the rest."""
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
        """Give all rows, in order, some at a time: (h, W, C) of one of `SAMPLES`, h at least 1.

        Raises:
            ImageError: a value is not finite.
        """
        ...


@dataclass(frozen=True, eq=False)
class DerivedPicture:
    """What a `Picture` that is made of another one, row by row, has in common with it.

    Attributes:
        picture: that it is made of.
    """

    picture: Picture

    @property
    def channels(self) -> int:
        """As the other picture has them."""
        return self.picture.channels

    @property
    def bit_depth(self) -> int:
        """As the other picture has it."""
        return self.picture.bit_depth

    @property
    def carried(self) -> Carried:
        """The other picture's metadata."""
        return self.picture.carried


@dataclass(frozen=True, eq=False)
class SameSizePicture(DerivedPicture):
    """A `DerivedPicture` with as many pixels as the other picture."""

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.picture.width

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.picture.height


def dtype_of(bit_depth: int) -> np.dtype:
    """The type of samples of 8 or 16 bits."""
    return np.dtype(np.uint8 if bit_depth == 8 else np.uint16)


def quantise(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Clip to [0, 1] and round to whole levels: to the nearest, ties to the even one.

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
        icc: colour profile of the pixels; None stands for sRGB, unless there are code points.
        code_points: what the levels mean in high dynamic range (PQ, HLG); they count more than a
            profile, which is for programs that do not know them.
        exif: 'Exif' and two zero bytes, then a TIFF structure; its orientation is 1.
        xmp: an XMP packet; its orientation is 1.
        iptc: IPTC-IIM records.
        dpi: horizontal and vertical resolution, pixels per inch.
        aspect: horizontal and vertical pixels to a unit that is not known, where they differ.
        texts: chunks of text of a PNG: their kinds and contents.
        comment: of a JPEG.
        described: width and height of the picture that the metadata speak of, pixels; None for
            this one.
        level_bits: 8 or 16 where the levels are those of the file, of so many bits; None where they
            were converted from another kind.
        format: of the file that it came from: as Pillow calls it, such as JPEG or TIFF.
        lossless: whether the file has the very pixels that it was made from.
        quality: of a JPEG, as libjpeg counts it, 1 to 100; None for other files.
        notes: what could not be kept or was changed while reading, a sentence each.
    """

    samples: np.ndarray
    white: float
    bit_depth: int = 8
    icc: bytes | None = None
    code_points: CodePoints | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    aspect: tuple[float, float] | None = None
    texts: tuple[tuple[bytes, bytes], ...] = ()
    comment: bytes | None = None
    described: tuple[int, int] | None = None
    level_bits: int | None = None
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
        """Make a photo of samples as files store them: (H, W) or (H, W, 1..4), integers or floats.

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
            code_points=self.code_points,
            exif=self.exif,
            xmp=self.xmp,
            iptc=self.iptc,
            dpi=self.dpi,
            aspect=self.aspect,
            texts=self.texts,
            comment=self.comment,
            described=self.described or (self.width, self.height),
            level_bits=self.level_bits,
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
        """Round to whole levels, uint8 or uint16: to the nearest, ties to the even one.

        Raises:
            ImageError: a value is not finite.
        """
        return collect(self, dtype_of(bit_depth))


#: A float sample may be this far outside [0, 1], as rounding leaves it, and is clipped.
FLOAT_TOLERANCE = 1e-3

#: Lengths of the third axis, if there is one.
_CHANNELS = ((), (1,), (2,), (3,), (4,))


def plain_array(array: np.ndarray) -> np.ndarray:
    """The samples of an array of any kind: NumPy's own, C-contiguous, of the machine's byte order.

    Matrices and other subclasses calculate in ways of their own.

    Raises:
        ImageError: pixels are masked, or the samples are no numbers.
    """
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            raise ImageError("masked pixels are not supported; fill them: array.filled(0)")
        array = array.data
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > 16:
        raise ImageError(f"expected an array of uint8, uint16 or floats, got {array.dtype}")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).view(np.ndarray)


def from_array(array: np.ndarray) -> Photo:
    """Take an array for a photo.

    Args:
        array: uint8, uint16, or floating point in [0, 1]; (H, W) or (H, W, 1) grey, (H, W, 2) grey
            and alpha, (H, W, 3) RGB, (H, W, 4) RGB and alpha; gamma-encoded as in image files.
            Byte order, layout in memory and subclasses do not matter.

    Raises:
        ImageError: another shape, type or range, or masked pixels.
    """
    array = plain_array(array)
    if array.ndim not in (2, 3) or 0 in array.shape or array.shape[2:] not in _CHANNELS:
        raise ImageError(f"expected an array of (H, W) or (H, W, 1 to 4), got {array.shape}")
    if array.shape[2:] in ((2,), (4,)):
        array = without_hidden_colours(array)
    if array.dtype in (np.uint8, np.uint16):
        return Photo.from_samples(array, np.iinfo(array.dtype).max, 8 * array.itemsize)
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"expected an array of uint8, uint16 or floats, got {array.dtype}")
    if not np.isfinite(array).all():
        raise ImageError("the array has values that are not finite (NaN or infinite); fill them")
    low, high = float(array.min()), float(array.max())
    if not (low >= -FLOAT_TOLERANCE and high <= 1 + FLOAT_TOLERANCE):
        raise ImageError(
            f"expected floats in [0, 1], got {low:g} to {high:g}; divide by the value of white"
        )
    return Photo.from_samples(array.clip(0, 1), 1, 16)


def to_array(picture: Picture, like: np.ndarray) -> np.ndarray:
    """Give a picture back in the type and layout of the array that it came from.

    Returns:
        (H, W) or (H, W, C) of the same type and channels as `like`; integers are rounded to the
        nearest, ties to even, floats are clipped to [0, 1].

    Raises:
        ImageError: a value is not finite.
    """
    floats = np.issubdtype(like.dtype, np.floating)
    kind = np.dtype(np.float32) if floats else like.dtype.newbyteorder("=")
    samples = collect(picture, kind)
    return samples.astype(like.dtype, copy=False).reshape(*samples.shape[:2], *like.shape[2:])
