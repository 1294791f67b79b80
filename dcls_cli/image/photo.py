"""The picture as every other module sees it."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from dcls_cli.errors import ImageError


@dataclass(frozen=True, eq=False, kw_only=True)
class Photo:
    """A picture, upright, with what belongs to it.

    Attributes:
        pixels: (H, W, 3) float32 RGB in [0, 1]; the three channels of a grey photo are equal.
        alpha: (H, W) float32 in [0, 1], not multiplied into the pixels; None if opaque.
        bit_depth: 8 or 16, of the samples that it came from and should be written with.
        grey: whether it came from a single channel and should be written as one.
        icc: colour profile of the pixels; None stands for sRGB.
        exif: 'Exif' and two zero bytes, then a TIFF structure; its orientation is 1.
        xmp: an XMP packet; its orientation is 1.
        iptc: IPTC-IIM records.
        dpi: horizontal and vertical resolution, pixels per inch.
        format: of the file that it came from: as Pillow calls it, such as JPEG or TIFF.
        notes: what could not be kept or was changed while reading, a sentence each.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    bit_depth: int = 8
    grey: bool = False
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    format: str = "PNG"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse arrays of another shape or type.

        Raises:
            ImageError: see the attributes.
        """
        shape = self.pixels.shape
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or self.pixels.dtype != np.float32:
            raise ImageError(
                f"expected pixels as (H, W, 3) float32, got {shape} {self.pixels.dtype}"
            )
        if self.alpha is not None and (
            self.alpha.shape != shape[:2] or self.alpha.dtype != np.float32
        ):
            raise ImageError(
                f"expected alpha as {shape[:2]} float32, got {self.alpha.shape} {self.alpha.dtype}"
            )
        if self.bit_depth not in (8, 16):
            raise ImageError(f"expected a bit depth of 8 or 16, got {self.bit_depth}")

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.pixels.shape[0])

    @classmethod
    def from_samples(
        cls, samples: np.ndarray, white: float, bit_depth: int, **properties: object
    ) -> Self:
        """Make a photo of samples as files store them.

        Args:
            samples: (H, W), or (H, W, C) for grey, grey and alpha, RGB, or RGBA (C = 1..4).
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
        values = samples.astype(np.float32) / np.float32(white)
        colours = 1 if samples.shape[2] < 3 else 3
        colour, alpha = values[..., :colours], values[..., colours:]
        return cls(
            pixels=np.ascontiguousarray(np.broadcast_to(colour, (*samples.shape[:2], 3))),
            alpha=np.ascontiguousarray(alpha[..., 0]) if alpha.shape[2] else None,
            bit_depth=bit_depth,
            grey=colours == 1,
            **properties,  # type: ignore[arg-type]
        )

    def channels(self) -> np.ndarray:
        """Join colour and alpha.

        Returns:
            (H, W, C) float32: grey, grey and alpha, RGB, or RGBA. Grey is the mean of the three
            channels, which a network may have driven apart.
        """
        colour = self.pixels.mean(axis=2, keepdims=True) if self.grey else self.pixels
        if self.alpha is None:
            return np.asarray(colour)
        return np.concatenate([colour, self.alpha[..., None]], axis=2)

    def to_samples(self, bit_depth: int) -> np.ndarray:
        """Round to whole levels: to the nearest, ties to the even one.

        Args:
            bit_depth: 8 or 16.

        Returns:
            (H, W, C) uint8 or uint16, C as in `channels`.

        Raises:
            ImageError: a value is not finite.
        """
        values = self.channels()
        if not np.isfinite(values).all():
            raise ImageError("the picture has values that are not finite")
        levels = values.clip(0, 1) * np.float32(2**bit_depth - 1)
        samples: np.ndarray = np.rint(levels).astype(np.uint8 if bit_depth == 8 else np.uint16)
        return samples
