"""Photos to files, whole or not at all, and to Pillow images."""

import errno
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from dcls_cli.atomic import atomic_write, check_writable, printable
from dcls_cli.errors import ImageError, UsageError
from dcls_cli.image.encoding import ENCODERS, Carried, to_image
from dcls_cli.image.formats import Format
from dcls_cli.image.photo import Photo
from dcls_cli.image.settings import Encoding

_DEFAULT = Encoding()

_LARGEST_TIFF_BYTES = 2**32 - 2**24

#: What fits into one segment of a JPEG, of EXIF, XMP and IPTC data.
_LARGEST_JPEG_SEGMENT_BYTES = {"exif": 65533, "xmp": 65504, "iptc": 65505}

_METADATA_NAMES = {"exif": "EXIF", "xmp": "XMP", "iptc": "IPTC"}


def check_output(
    path: Path,
    width: int,
    height: int,
    *,
    overwrite: bool,
    alpha: bool = False,
    source: Path | None = None,
    encoding: Encoding = _DEFAULT,
) -> None:
    """Find out before any work whether a photo can be written.

    Args:
        path: the file to write.
        width: of the photo, pixels.
        height: of the photo, pixels.
        overwrite: whether an existing file may be replaced.
        alpha: whether the photo has an alpha channel.
        source: the file that the photo comes from, which must not be replaced.
        encoding: format, depth and so on.

    Raises:
        UsageError: an unknown suffix or one that contradicts `encoding`, a photo that the format
            cannot hold, a folder that does not exist, or an output that is the input.
        ImageError: the file exists and may not be replaced, or cannot be written.
    """
    name = printable(path)
    form = encoding.of(path)
    _check_size(name, form, width, height, alpha=alpha)
    if alpha and not form.alpha:
        raise _no_transparency(path, form)
    try:
        check_writable(path)
    except OSError as error:
        problem = UsageError if error.errno in (errno.ENOENT, errno.ENOTDIR) else ImageError
        raise problem(f"{name}: cannot be written: {error.strerror}") from error
    if source is not None and path.exists() and path.samefile(source):
        raise UsageError(f"{name}: the output would overwrite the input; choose another name")
    if path.exists() and not overwrite:
        raise _exists(path)


def _check_size(name: str, form: Format, width: int, height: int, *, alpha: bool) -> None:
    longest = form.longest_side_px
    if longest and max(width, height) > longest:
        raise UsageError(
            f"{name}: {form.name} is limited to {longest} pixels per side and the output has "
            f"{width}x{height}; write PNG or TIFF"
        )
    if form.most_pixels and width * height > form.most_pixels:
        raise UsageError(
            f"{name}: {form.name} is limited to {form.most_pixels / 1e6:.0f} megapixels and the "
            f"output has {width}x{height}; write PNG or TIFF"
        )
    if form.name == "TIFF" and width * height * (4 if alpha else 3) * 2 > _LARGEST_TIFF_BYTES:
        raise UsageError(f"{name}: {width}x{height} do not fit into 4 GiB of TIFF; write PNG")


def write(
    photo: Photo, path: Path, *, overwrite: bool, encoding: Encoding = _DEFAULT
) -> tuple[str, ...]:
    """Write a photo, whole or not at all.

    Samples are rounded to the nearest level, ties to the even one. A grey photo is written as one
    channel, except to WebP, which has none.

    Args:
        photo: what to write.
        path: the file.
        overwrite: whether an existing file may be replaced.
        encoding: format, quality, depth; by default as suffix and photo say.

    Returns:
        What the format could not keep, a sentence each.

    Raises:
        UsageError: an unknown suffix or one that contradicts `encoding`, or transparency for JPEG.
        ImageError: the file exists and `overwrite` is False, the photo has values that are not
            finite, or the file cannot be written; an existing one is unchanged.
    """
    name = printable(path)
    form = encoding.of(path)
    if photo.alpha is not None and not form.alpha:
        raise _no_transparency(path, form)
    depth = encoding.depth(form, photo.bit_depth)
    carried, notes = _carried(photo, form)
    if depth < photo.bit_depth and encoding.bit_depth is None:
        notes.append(f"{form.name} holds 8 bits a sample, the photo had 16")
    try:
        samples = photo.to_samples(depth)
        content = ENCODERS[form.name](samples, carried, encoding)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except (OSError, ValueError, RuntimeError, OverflowError) as error:
        raise ImageError(f"{name}: cannot be encoded as {form.name}: {error}") from error
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
    carried = Carried(icc=photo.icc, exif=photo.exif, xmp=photo.xmp, dpi=photo.dpi)
    image.info.update(carried.options())
    return image


def _carried(photo: Photo, form: Format) -> tuple[Carried, list[str]]:
    """What the format can hold of the photo's metadata, and a sentence for each of the rest."""
    kept = {"exif": photo.exif, "xmp": photo.xmp, "iptc": photo.iptc}
    notes = []
    for kind, data in kept.items():
        name = _METADATA_NAMES[kind]
        if data and form.name == "JPEG" and len(data) > _LARGEST_JPEG_SEGMENT_BYTES[kind]:
            notes.append(f"{len(data)} bytes of {name} data do not fit into JPEG and were left out")
            kept[kind] = None
        elif data and kind == "iptc" and not form.iptc:
            notes.append(f"{form.name} cannot hold IPTC data, which were left out")
            kept[kind] = None
    return Carried(icc=photo.icc, dpi=photo.dpi, **kept), notes


def _whole(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _no_transparency(path: Path, form: Format) -> UsageError:
    return UsageError(
        f"{printable(path)}: {form.name} cannot hold transparency; write PNG, WebP or TIFF"
    )


def _exists(path: Path) -> ImageError:
    return ImageError(
        f"{printable(path)}: exists already; choose another name or allow it with --overwrite"
    )
