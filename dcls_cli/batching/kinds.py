"""Which files are taken for photos: those that are called so and those that are."""

from pathlib import Path

from dcls_cli.batching.done import measure
from dcls_cli.image import READABLE
from dcls_cli.image.recognition import recognise

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "HEIF": (".heic", ".heif", ".hif"),
}

#: Raw files of cameras are TIFF by their first bytes, and what TIFF decoders see is a preview.
_RAW = frozenset(
    f".{name}"
    for name in (
        *("3fr", "arw", "cr2", "dcr", "dng", "erf", "iiq", "kdc", "mef", "mos"),
        *("nef", "nrw", "orf", "pef", "rw2", "rwl", "sr2", "srf", "srw"),
    )
)


def is_claimed(path: Path) -> bool:
    """Whether a name claims to be a photo of a format that is read."""
    suffix = path.suffix.lower()
    return any(suffix in suffixes for name, suffixes in _SUFFIXES.items() if name in READABLE)


def why_not(path: Path) -> str | None:
    """Say why a file is no input; None if it is one.

    A file is one if its name claims so, when errors in it are reported, or if its content can be
    opened as a format that is read.
    """
    if is_claimed(path):
        return None
    if path.suffix.lower() in _RAW:
        return "camera raw"
    return "not a photo" if recognise(path) is None or measure(path) is None else None
