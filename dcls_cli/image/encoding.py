"""Samples and metadata to the bytes of a file."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dcls_cli.image.settings import Encoding

_METRES_PER_INCH = 0.0254
_PNG_HEADER_BYTES = 8 + 25  # signature and IHDR

_IPTC_RESOURCE = 0x0404
_XMP_TAG, _IPTC_TAG = 700, 33723

#: Tags of a TIFF directory that have attributes of their own here, and Photoshop's, which repeats
#: them.
_WRITTEN_APART = frozenset({_XMP_TAG, _IPTC_TAG, 34377})

_SUB_DIRECTORIES = frozenset(TiffTags.TAGS_V2_GROUPS)


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What a file holds beside its samples; see `Photo`."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None

    def options(self) -> dict[str, object]:
        """Options of Pillow's encoders; none of them takes IPTC."""
        given = {
            "icc_profile": self.icc,
            "exif": self.exif,
            "xmp": self.xmp,
            "dpi": self.dpi,
        }
        return {name: value for name, value in given.items() if value is not None}


def to_image(samples: np.ndarray) -> Image.Image:
    """Make a Pillow image of (H, W, C) samples; uint16 only as grey."""
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def encode_jpeg(samples: np.ndarray, carried: Carried, encoding: Encoding) -> bytes:
    """Encode (H, W, 1 or 3) uint8, grey or RGB, with all colour resolution (4:4:4)."""
    file = io.BytesIO()
    options = carried.options()
    if carried.iptc:
        options["extra"] = _photoshop_segment(carried.iptc)
    to_image(samples).save(file, "JPEG", quality=encoding.quality, subsampling=0, **options)
    return file.getvalue()


def _photoshop_segment(iptc: bytes) -> bytes:
    """Wrap IPTC data as JPEG holds it: an image resource in an APP13 segment."""
    resource = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc
    content = b"Photoshop 3.0\0" + resource + bytes(len(iptc) % 2)
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def encode_webp(samples: np.ndarray, carried: Carried, encoding: Encoding) -> bytes:
    """Encode (H, W, 1 to 4) uint8: grey or RGB, with or without alpha.

    Lossy WebP halves the resolution of colours; it has no other way.
    """
    file = io.BytesIO()
    to_image(samples).save(
        file,
        "WEBP",
        quality=encoding.quality,
        lossless=encoding.lossless,
        exact=True,
        **carried.options(),
    )
    return file.getvalue()


def encode_avif(samples: np.ndarray, carried: Carried, encoding: Encoding) -> bytes:
    """Encode (H, W, 1 to 4) uint8, RGB with all colour resolution, grey as one channel."""
    file = io.BytesIO()
    image = to_image(samples)
    image.save(
        file,
        "AVIF",
        quality=encoding.quality,
        subsampling="4:0:0" if image.mode == "L" else "4:4:4",
        **carried.options(),
    )
    return file.getvalue()


def encode_png(samples: np.ndarray, carried: Carried, _encoding: Encoding) -> bytes:
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
    if carried.xmp:
        chunks += _chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + carried.xmp)
    if carried.iptc:
        chunks += _chunk(b"zTXt", b"Raw profile type iptc\0\0" + _hexadecimal(carried.iptc))
    return content[:_PNG_HEADER_BYTES] + chunks + content[_PNG_HEADER_BYTES:]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _hexadecimal(iptc: bytes) -> bytes:
    """Write IPTC data as ImageMagick and exiftool do in PNG, which has no chunk of its own."""
    lines = [iptc[start : start + 36].hex() for start in range(0, len(iptc), 36)]
    return zlib.compress("\n".join(["", "iptc", f"{len(iptc):8}", *lines, ""]).encode())


def encode_tiff(samples: np.ndarray, carried: Carried, _encoding: Encoding) -> bytes:
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
        for tag in set(exif) - _WRITTEN_APART:
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
    for tag, kind, data in (
        (_XMP_TAG, TiffTags.BYTE, carried.xmp),
        (_IPTC_TAG, TiffTags.UNDEFINED, carried.iptc),
    ):
        if data:
            directory.tagtype[tag] = kind
            directory[tag] = data
    file = io.BytesIO()
    directory.save(file)
    file.write(strip)
    return file.getvalue()


ENCODERS: dict[str, Callable[[np.ndarray, Carried, Encoding], bytes]] = {
    "JPEG": encode_jpeg,
    "PNG": encode_png,
    "WEBP": encode_webp,
    "TIFF": encode_tiff,
    "AVIF": encode_avif,
}
