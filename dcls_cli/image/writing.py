"""Photos to files, whole or not at all, and to Pillow images."""

import errno
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
from PIL import Image

from dcls_cli.errors import ImageError, OutOfMemoryError, UsageError
from dcls_cli.files.addresses import Location
from dcls_cli.files.atomic import atomic_write, check_writable, is_special, printable
from dcls_cli.image.colour import to_srgb
from dcls_cli.image.colour_spaces import exif_as_srgb
from dcls_cli.image.encoders import Header
from dcls_cli.image.encoders.pillow import (
    LARGEST_IN_MEMORY,
    to_image,
    write_avif,
    write_jpeg,
    write_webp,
)
from dcls_cli.image.encoders.png import write_png
from dcls_cli.image.encoders.tiff import write_tiff
from dcls_cli.image.formats import FORMATS, Encoding, Format
from dcls_cli.image.metadata.adapting import pass_through_metadata
from dcls_cli.image.photo import Carried, Picture, SameSizePicture, collect, dtype_of

#: Writes all bands, (h, W, C) each, into an open, seekable file.
Encoder = Callable[[BinaryIO, Header, Iterator[np.ndarray]], None]

#: By Pillow's name of the format.
ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        "PNG": write_png,
        "JPEG": write_jpeg,
        "TIFF": write_tiff,
        "WEBP": write_webp,
        "AVIF": write_avif,
    }
)

#: Formats that are written while their rows arrive; the others need all of them first.
STREAMED = frozenset({"PNG", "JPEG", "TIFF"})

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
        if is_special(path):
            raise UsageError(f"{name}: not a regular file; -o - writes to stdout")
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
    path: Location, width: int, height: int, *, alpha: bool, encoding: Encoding = _DEFAULT
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
    """Encode a picture into an open, seekable file, as `write` would under the name `path`.

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
    carried, notes = pass_through_metadata(picture, form, depth)
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
    png = FORMATS["PNG"]  # which holds all that Pillow does
    carried, _ = pass_through_metadata(picture, png, 16 if deep else 8)
    image.info.update(carried.options())
    return image


def _no_transparency(path: Location, form: Format) -> UsageError:
    return UsageError(
        f"{printable(path)}: {form.name} cannot hold transparency; write PNG, WebP or TIFF"
    )


def _exists(path: Path) -> ImageError:
    return ImageError(
        f"{printable(path)}: exists already; choose another name or allow it with --overwrite"
    )


_DEEP = np.dtype(np.uint16)


@dataclass(frozen=True, eq=False)
class InSrgb(SameSizePicture):
    """A picture whose colours are converted while it is written; it is a `Picture`.

    Attributes:
        picture: with a colour profile that fits its channels.
    """

    @property
    def carried(self) -> Carried:
        """The picture's metadata without its colour profile."""
        carried = self.picture.carried
        return replace(carried, icc=None, exif=carried.exif and exif_as_srgb(carried.exif))

    def bands(self, dtype: np.dtype) -> Generator[np.ndarray, None, None]:
        """Convert the rows as they come, with 16 bits; see `Picture`.

        Raises:
            ImageError: the colour profile cannot be used.
        """
        icc = self.picture.carried.icc
        assert icc is not None
        colours = self.channels - (self.channels in (2, 4))
        full = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
        with closing(self.picture.bands(_DEEP)) as bands:
            for band in bands:
                converted = to_srgb(np.ascontiguousarray(band[..., :colours]), icc)
                joined = np.concatenate([converted, band[..., colours:]], axis=2)
                levels = joined * np.float32(full / 65535)
                yield levels.astype(dtype) if dtype.kind == "f" else np.rint(levels).astype(dtype)


#: Size of the file over that of its samples, for restored photos of 8 bits (measured); flat
#: drawings are much smaller.
_TYPICAL = {"PNG": 0.36, "TIFF": 0.36, "JPEG": 0.16, "WEBP": 0.08, "AVIF": 0.08}

#: The second byte of 16-bit samples is mostly noise.
_TYPICAL_OF_16_BITS = 0.75

#: A disk with less than this part of what is expected will not do.
_AT_LEAST = 0.5

#: Smaller outputs are soon written, and then the disk itself says that it is full.
_CHECKED_FROM_BYTES = 2**24


def expected_bytes(form: Format, samples: int, bit_depth: int) -> int:
    """Guess the size of a file of so many samples (pixels times channels) of 8 or 16 bits."""
    part = _TYPICAL[form.name] if bit_depth == 8 else _TYPICAL_OF_16_BITS
    return round(part * samples * bit_depth / 8)


def waiting_bytes(form: Format, samples: int, bit_depth: int) -> int:
    """What lies on the disk as well until a large output of a format without rows is encoded."""
    size = samples * bit_depth // 8
    return 0 if form.name in STREAMED or size <= LARGEST_IN_MEMORY else size


def check_space(path: Path, form: Format, samples: int, bit_depth: int) -> None:
    """Refuse an output for which the disk is much too small.

    Raises:
        ImageError: there is too little space.
    """
    expected = expected_bytes(form, samples, bit_depth)
    waiting = waiting_bytes(form, samples, bit_depth)
    free = shutil.disk_usage(path.parent).free
    if expected < _CHECKED_FROM_BYTES or free >= waiting + _AT_LEAST * expected:
        return
    raise ImageError(
        f"{printable(path)}: takes about {(expected + waiting) / 1e6:.0f} MB and its disk has "
        f"{free / 1e6:.0f} MB left; free some space, or write to another disk"
    )
