"""Photos to files, whole or not at all, and to Pillow images."""

import errno
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from dcls_cli.atomic import atomic_write, check_writable, printable
from dcls_cli.errors import ImageError, UsageError
from dcls_cli.image.encoding import ENCODERS, Carried, to_image
from dcls_cli.image.photo import Photo

#: Formats that are written, by suffix.
WRITABLE = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}

#: Longest side, pixels; of JPEG what libjpeg accepts.
_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}

_DEEP_FORMATS = ("PNG", "TIFF")
_LARGEST_TIFF_BYTES = 2**32 - 2**24
_LARGEST_JPEG_EXIF_BYTES = 65533


def check_output(
    path: Path,
    width: int,
    height: int,
    *,
    overwrite: bool,
    alpha: bool = False,
    source: Path | None = None,
) -> None:
    """Find out before any work whether a photo can be written.

    Args:
        path: the file to write; its suffix chooses the format.
        width: of the photo, pixels.
        height: of the photo, pixels.
        overwrite: whether an existing file may be replaced.
        alpha: whether the photo has an alpha channel.
        source: the file that the photo comes from, which must not be replaced.

    Raises:
        UsageError: an unknown suffix, a photo that the format cannot hold, a folder that does not
            exist, or an output that is the input.
        ImageError: the file exists and may not be replaced, or cannot be written.
    """
    name = printable(path)
    form = _format(path)
    longest = _LONGEST_SIDE.get(form)
    if longest and max(width, height) > longest:
        raise UsageError(
            f"{name}: {form} is limited to {longest} pixels per side and the output has "
            f"{width}x{height}; write PNG or TIFF"
        )
    if form == "TIFF" and width * height * (4 if alpha else 3) * 2 > _LARGEST_TIFF_BYTES:
        raise UsageError(f"{name}: {width}x{height} do not fit into 4 GiB of TIFF; write PNG")
    if form == "JPEG" and alpha:
        raise _no_transparency(path)
    if source is not None and path.exists() and path.samefile(source):
        raise UsageError(f"{name}: the output would overwrite the input; choose another name")
    try:
        check_writable(path)
    except OSError as error:
        problem = UsageError if error.errno in (errno.ENOENT, errno.ENOTDIR) else ImageError
        raise problem(f"{name}: cannot be written: {error.strerror}") from error
    if path.exists() and not overwrite:
        raise _exists(path)


def write(photo: Photo, path: Path, *, overwrite: bool) -> tuple[str, ...]:
    """Write a photo in the format of the suffix, whole or not at all.

    Samples are rounded to the nearest level, ties to the even one: 16-bit photos to 16 bits in PNG
    and TIFF, all else to 8 bits. A grey photo is written as one channel. JPEG and WebP have quality
    95, JPEG without chroma subsampling; PNG and TIFF lose nothing.

    Returns:
        What the format could not keep, a sentence each.

    Raises:
        UsageError: an unknown suffix, or transparency for JPEG.
        ImageError: the file exists and `overwrite` is False, the photo has values that are not
            finite, or the file cannot be written; an existing one is unchanged.
    """
    name = printable(path)
    form = _format(path)
    if form == "JPEG" and photo.alpha is not None:
        raise _no_transparency(path)
    notes = []
    exif, depth = photo.exif, photo.bit_depth
    if form == "JPEG" and exif and len(exif) > _LARGEST_JPEG_EXIF_BYTES:
        notes.append(f"{len(exif)} bytes of EXIF data do not fit into JPEG and were left out")
        exif = None
    if depth == 16 and form not in _DEEP_FORMATS:
        notes.append(f"{form} holds 8 bits a sample, the photo had 16")
        depth = 8
    try:
        samples = photo.to_samples(depth)
        content = ENCODERS[form](samples, Carried(photo.icc, exif, photo.dpi))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except (OSError, ValueError, RuntimeError, OverflowError) as error:
        raise ImageError(f"{name}: cannot be encoded as {form}: {error}") from error
    try:
        atomic_write(path, lambda file: _whole(file, content), overwrite=overwrite)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise ImageError(f"{name}: cannot be written: {error.strerror}") from error
    return tuple(notes)


def to_pil(photo: Photo) -> Image.Image:
    """Give a photo back as Pillow holds it, with its metadata in `info`.

    Returns:
        An image of mode L, LA, RGB or RGBA, or I;16 for 16-bit grey without alpha; other 16-bit
        photos are rounded to 8 bits, as Pillow has no mode for them.

    Raises:
        ImageError: the photo has values that are not finite.
    """
    deep = photo.bit_depth == 16 and photo.grey and photo.alpha is None
    image = to_image(photo.to_samples(16 if deep else 8))
    image.info.update(Carried(photo.icc, photo.exif, photo.dpi).options())
    return image


def _format(path: Path) -> str:
    form = WRITABLE.get(path.suffix.lower())
    if form is None:
        raise UsageError(
            f"{printable(path)}: cannot tell the format from the suffix '{path.suffix}'; "
            f"expected {', '.join(WRITABLE)}"
        )
    return form


def _whole(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _no_transparency(path: Path) -> UsageError:
    return UsageError(f"{printable(path)}: JPEG cannot hold transparency; write PNG, WebP or TIFF")


def _exists(path: Path) -> ImageError:
    return ImageError(
        f"{printable(path)}: exists already; choose another name or allow it with --overwrite"
    )
