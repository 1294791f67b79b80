"""How a file was compressed: whether anything was lost, and how much of a JPEG."""

import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO

#: Luminance table of Annex K of JPEG (ITU-T T.81), its sum: quality 50 of libjpeg.
_ANNEX_K_SUM = 3688

#: Chunks of a WebP that are looked through for its pixels, at most.
_MOST_CHUNKS = 32

#: Bytes of an AVIF in which its colours are described.
_HEAD_BYTES = 4096


def is_lossless(form: str, file: BinaryIO) -> bool:
    """Whether a file has the pixels that it was made from.

    Args:
        form: its format, as Pillow calls it.
        file: seekable; its position is not kept.
    """
    if form in ("JPEG", "MPO", "HEIF"):
        return False
    file.seek(0)
    if form == "WEBP":
        return _has_vp8l(file)
    if form == "AVIF":
        # R, G and B as they are, as encoders store them where nothing may be lost.
        head = file.read(_HEAD_BYTES)
        at = head.find(b"colrnclx")
        return at >= 0 and head[at + 12 : at + 14] == b"\x00\x00"
    return True


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int:
    """Quality, 1 to 100, at which libjpeg would have written a file: by its first table."""
    percent = 100 * sum(tables[min(tables)]) / _ANNEX_K_SUM
    quality = (200 - percent) / 2 if percent <= 100 else 5000 / percent
    return min(max(round(quality), 1), 100)


def _has_vp8l(file: BinaryIO) -> bool:
    """Whether the pixels of a WebP are in a VP8L chunk (lossless) and not in a VP8 one.

    Of an animation the first frame counts, which is read.
    """
    file.seek(12)
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return False
        name, length = head[:4], struct.unpack("<I", head[4:])[0]
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        # A frame begins with 16 bytes about itself, then has chunks of its own.
        file.seek(16 if name == b"ANMF" else length + length % 2, 1)
    return False
