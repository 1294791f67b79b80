"""Photos to files, whole or not at all, and to Pillow images."""

import errno
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from dcls_cli.atomic import atomic_write, check_writable, printable
from dcls_cli.errors import ImageError, OutOfMemoryError, UsageError
from dcls_cli.image.carrying import for_output
from dcls_cli.image.conversion import InSrgb
from dcls_cli.image.encoders import ENCODERS, Header
from dcls_cli.image.encoders.whole import to_image
from dcls_cli.image.formats import Format
from dcls_cli.image.picture import Picture, collect, dtype_of
from dcls_cli.image.settings import Encoding
from dcls_cli.image.space import check_space

_DEFAULT = Encoding()


def check_output(
    path: Path,
    width: int,
    height: int,
    *,
    overwrite: bool,
    alpha: bool = False,
    grey: bool = False,
    bit_depth: int = 8,
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
        grey: whether it has one colour channel.
        bit_depth: 8 or 16, of the photo.
        source: the file that the photo comes from, which must not be replaced.
        encoding: format, depth and so on.

    Raises:
        UsageError: an unknown suffix or one that contradicts `encoding`, a photo that the format
            cannot hold, a folder that does not exist, or an output that is the input.
        ImageError: the file exists and may not be replaced, cannot be written, or the disk is much
            too small for it.
    """
    name = printable(path)
    check_encoding(path, width, height, alpha=alpha, encoding=encoding)
    try:
        check_writable(path)
    except OSError as error:
        problem = UsageError if error.errno in (errno.ENOENT, errno.ENOTDIR) else ImageError
        raise problem(f"{name}: cannot be written: {error.strerror}") from error
    if source is not None and path.exists() and path.samefile(source):
        raise UsageError(f"{name}: the output would overwrite the input; choose another name")
    if path.exists() and not overwrite:
        raise _exists(path)
    samples = width * height * ((1 if grey else 3) + alpha)
    form = encoding.of(path)
    check_space(path, form, samples, encoding.depth(form, bit_depth))


def check_encoding(
    path: Path, width: int, height: int, *, alpha: bool, encoding: Encoding = _DEFAULT
) -> None:
    """Find out whether a format can hold a photo, wherever it is written; see `check_output`.

    Raises:
        UsageError: see above.
    """
    form = encoding.of(path)
    _check_size(printable(path), form, width, height)
    if alpha and not form.alpha:
        raise _no_transparency(path, form)


def _check_size(name: str, form: Format, width: int, height: int) -> None:
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


def write(
    picture: Picture, path: Path, *, overwrite: bool, encoding: Encoding = _DEFAULT
) -> tuple[str, ...]:
    """Write a picture, whole or not at all, while its rows are made where the format can.

    Samples are rounded to the nearest level, ties to the even one. A grey picture is written as one
    channel, except to WebP, which has none.

    Args:
        picture: what to write.
        path: the file.
        overwrite: whether an existing file may be replaced.
        encoding: format, quality, depth; by default as suffix and picture say.

    Returns:
        What the format could not keep, a sentence each.

    Raises:
        UsageError: an unknown suffix or one that contradicts `encoding`, or transparency for JPEG.
        ImageError: the file exists and `overwrite` is False, the picture has values that are not
            finite, or the file cannot be written; an existing one is unchanged.
        OutOfMemoryError: there is no memory left for the encoder.
        DclsError: what making the picture raises.
    """
    name = printable(path)
    if path.exists() and not overwrite:
        encoding.of(path)
        raise _exists(path)
    picture, header, form, notes = _prepared(picture, path, path.parent, encoding)
    try:
        with closing(picture.bands(header.dtype)) as bands:  # ends its threads
            atomic_write(
                path,
                lambda file: ENCODERS[form.name](file, header, bands),
                overwrite=overwrite,
            )
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except MemoryError as error:
        raise OutOfMemoryError(f"out of memory while encoding {form.name}") from error
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise ImageError(f"{name}: cannot be written: {error.strerror}") from error
    return tuple(notes)


def write_to(
    picture: Picture, file: BinaryIO, path: Path, *, encoding: Encoding = _DEFAULT
) -> tuple[str, ...]:
    """Encode a picture into an open file, as `write` would under a name.

    Args:
        picture: what to write.
        file: seekable.
        path: its suffix chooses the format, unless `encoding` does; it is not opened.
        encoding: format, quality, depth.

    Returns:
        What the format could not keep, a sentence each.

    Raises:
        UsageError, ImageError: as `write`.
    """
    picture, header, form, notes = _prepared(picture, path, _spool_folder(), encoding)
    try:
        with closing(picture.bands(header.dtype)) as bands:
            ENCODERS[form.name](file, header, bands)
    except ImageError as error:
        raise ImageError(f"{printable(path)}: {error}") from error
    return tuple(notes)


def _spool_folder() -> Path:
    """Where intermediate data may lie that belong to no file; only large ones need it."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # nothing can be written anywhere
        return Path()


def _prepared(
    picture: Picture, path: Path, folder: Path, encoding: Encoding
) -> tuple[Picture, Header, Format, list[str]]:
    """What is encoded, what an encoder needs to know, the format, and what it cannot keep."""
    form = encoding.of(path)
    if picture.channels in (2, 4) and not form.alpha:
        raise _no_transparency(path, form)
    depth = encoding.depth(form, picture.bit_depth)
    if picture.carried.icc and picture.channels < 3 and not form.grey:
        picture = InSrgb(picture)
    carried, notes = for_output(picture.carried, form, picture.width, picture.height)
    if carried.unlossy == form.name and encoding.quality is None:
        if form.lossless:
            encoding = replace(encoding, lossless=True)
        else:
            notes.append(f"{form.name} is written with loss, the photo had none; -f png has none")
    if depth < picture.bit_depth and encoding.bit_depth is None:
        notes.append(f"{form.name} holds 8 bits a sample, the photo had 16")
    header = Header(
        width=picture.width,
        height=picture.height,
        channels=picture.channels,
        dtype=dtype_of(depth),
        carried=carried,
        encoding=encoding,
        folder=folder,
    )
    return picture, header, form, notes


def to_pil(picture: Picture) -> Image.Image:
    """Give a picture back as Pillow holds it, with its metadata in `info`.

    Returns:
        An image of mode L, LA, RGB or RGBA, or I;16 for 16-bit grey without alpha; other 16-bit
        photos are rounded to 8 bits, as Pillow has no mode for them.

    Raises:
        ImageError: the photo has values that are not finite.
    """
    deep = picture.bit_depth == 16 and picture.channels == 1
    image = to_image(collect(picture, np.dtype(np.uint16 if deep else np.uint8)))
    image.info.update(picture.carried.options())
    return image


def _no_transparency(path: Path, form: Format) -> UsageError:
    return UsageError(
        f"{printable(path)}: {form.name} cannot hold transparency; write PNG, WebP or TIFF"
    )


def _exists(path: Path) -> ImageError:
    return ImageError(
        f"{printable(path)}: exists already; choose another name or allow it with --overwrite"
    )
