"""Samples and metadata to the bytes of a file."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

#: Of JPEG and WebP; JPEG keeps all colour resolution (4:4:4), lossy WebP cannot.
QUALITY = 95

_METRES_PER_INCH = 0.0254
_PNG_HEADER_BYTES = 8 + 25  # signature and IHDR

_SUB_DIRECTORIES = frozenset(TiffTags.TAGS_V2_GROUPS)


@dataclass(frozen=True)
class Carried:
    """What a file holds beside its samples; see `Photo`."""

    icc: bytes | None
    exif: bytes | None
    dpi: tuple[float, float] | None

    def options(self) -> dict[str, object]:
        """Options of Pillow's encoders."""
        given = {"icc_profile": self.icc, "exif": self.exif, "dpi": self.dpi}
        return {name: value for name, value in given.items() if value is not None}


def to_image(samples: np.ndarray) -> Image.Image:
    """Make a Pillow image of (H, W, C) samples; uint16 only as grey."""
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def encode_jpeg(samples: np.ndarray, carried: Carried) -> bytes:
    """Encode (H, W, 1 or 3) uint8: grey or RGB."""
    file = io.BytesIO()
    to_image(samples).save(file, "JPEG", quality=QUALITY, subsampling=0, **carried.options())
    return file.getvalue()


def encode_webp(samples: np.ndarray, carried: Carried) -> bytes:
    """Encode (H, W, 1 to 4) uint8: grey or RGB, with or without alpha."""
    file = io.BytesIO()
    to_image(samples).save(file, "WEBP", quality=QUALITY, exact=True, **carried.options())
    return file.getvalue()


def encode_png(samples: np.ndarray, carried: Carried) -> bytes:
    """Encode (H, W, 1 to 4) uint8 or uint16: grey or RGB, with or without alpha.

    Pillow cannot write 16-bit colour; imagecodecs writes no metadata, which is put in here, and
    wants its samples in C order.
    """
    import imagecodecs

    content = bytes(imagecodecs.png_encode(np.ascontiguousarray(samples), level=6))
    chunks = b""
    if carried.icc:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(carried.icc))
    if carried.dpi:
        across, down = (round(value / _METRES_PER_INCH) for value in carried.dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    if carried.exif:
        chunks += _chunk(b"eXIf", carried.exif.removeprefix(b"Exif\0\0"))
    return content[:_PNG_HEADER_BYTES] + chunks + content[_PNG_HEADER_BYTES:]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def encode_tiff(samples: np.ndarray, carried: Carried) -> bytes:
    """Encode (H, W, 1 to 4) uint8 or uint16 as one deflated strip.

    Pillow cannot write 16-bit colour, nor EXIF into a compressed TIFF.
    """
    height, width, channels = samples.shape
    differences = samples.copy()
    differences[:, 1:] -= samples[:, :-1]  # wraps around, as the predictor demands
    strip = zlib.compress(differences.astype(samples.dtype.newbyteorder("<")).tobytes())
    directory = ImageFileDirectory_v2()
    if carried.exif:
        exif = Image.Exif()
        exif.load(carried.exif)
        for tag in exif:
            directory[tag] = exif.get_ifd(tag) if tag in _SUB_DIRECTORIES else exif[tag]
    directory[256], directory[257] = width, height
    directory[258] = (8 * samples.itemsize,) * channels
    directory[259] = 8  # deflate
    directory[262] = 2 if channels >= 3 else 1  # RGB; black is zero
    directory[273] = 0  # the strip follows; the offset is completed when saved
    directory[277] = channels
    directory[278] = height
    directory[279] = len(strip)
    directory[284] = 1  # samples of a pixel together
    directory[317] = 2  # horizontal differences
    if channels in (2, 4):
        directory[338] = 2  # alpha, not multiplied into the colours
    if carried.dpi:
        directory[282], directory[283] = carried.dpi
        directory[296] = 2  # inches
    if carried.icc:
        directory.tagtype[34675] = TiffTags.UNDEFINED
        directory[34675] = carried.icc
    file = io.BytesIO()
    directory.save(file)
    file.write(strip)
    return file.getvalue()


ENCODERS: dict[str, Callable[[np.ndarray, Carried], bytes]] = {
    "JPEG": encode_jpeg,
    "PNG": encode_png,
    "WEBP": encode_webp,
    "TIFF": encode_tiff,
}
