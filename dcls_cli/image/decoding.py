"""Pillow's images, in any of its modes, to photos."""

import numpy as np
from PIL import Image

from dcls_cli.errors import ImageError
from dcls_cli.image import colour, descriptive, metadata
from dcls_cli.image.metadata import Kept
from dcls_cli.image.photo import Photo
from dcls_cli.image.samples import Samples
from dcls_cli.image.transparency import without_hidden_colours

_SRGB_GAMMA, _GAMMA_TOLERANCE = 2.2, 0.05

#: Modes that hold one colour channel.
_GREY_MODES = ("1", "L", "LA", "La")

_NUMBERS = {"I": "32-bit or signed samples", "F": "floating-point samples"}


def from_pil(image: Image.Image) -> Photo:
    """Take a Pillow image for a photo.

    Every mode that Pillow reads from photos is understood: bilevel, grey, 16-bit grey, palette,
    transparency by key or by alpha, CMYK and Lab (converted to sRGB, through the embedded profile
    if there is one) and YCbCr. An EXIF orientation that is still set is applied. Pillow has no
    16-bit colour: give `read` the path to keep all bits.

    Raises:
        ImageError: an image with floating-point, 32-bit or signed samples, or without pixels.
    """
    return assemble(image)


def assemble(
    image: Image.Image,
    samples: Samples | None = None,
    *,
    form: str | None = None,
    pages: int = 1,
    is_upright: bool = False,
    kept: Kept = "keep",
) -> Photo:
    """Join pixels and metadata to an upright photo without hidden colours.

    Args:
        image: the metadata, and the pixels if there are no `samples`.
        samples: as the file stores them.
        form: the file's format, by Pillow's name; None for that of `image`.
        pages: of the file, of which this is one.
        is_upright: whether the samples are turned as the orientation demands already.
        kept: what is kept of the metadata.

    Raises:
        ImageError: as `from_pil`.
    """
    icc = image.info.get("icc_profile")
    if samples is None:
        samples = decode(image, icc)
    profile_note = None
    if samples.is_srgb:
        icc = None
    else:
        icc, profile_note = metadata.profile(icc, grey=samples.values.shape[2] < 3)
    if icc and kept == "strip":
        try:
            samples = colour.described_as_srgb(samples, icc)
        except ImageError as error:
            profile_note = f"{error} and was left out"
        icc = None
    values = samples.values
    if values.shape[2] in (2, 4):
        values = without_hidden_colours(values)
    orientation = 1 if is_upright else metadata.orientation(image)
    exif, exif_note = metadata.exif(image)
    xmp, xmp_note = descriptive.xmp(image)
    iptc, iptc_note = descriptive.iptc(image)
    dpi = metadata.resolution(image, turned=orientation >= 5)
    if kept != "keep":
        exif = xmp = iptc = exif_note = xmp_note = iptc_note = None
    notes = (
        f"it has {pages} frames or pages, of which the first is used" if pages > 1 else None,
        *samples.notes,
        profile_note,
        None if icc else _gamma_note(image),
        exif_note,
        xmp_note,
        iptc_note,
    )
    return Photo.from_samples(
        metadata.upright(values, orientation),
        samples.white,
        samples.bit_depth,
        icc=icc,
        exif=exif,
        xmp=xmp,
        iptc=iptc,
        dpi=None if kept == "strip" else dpi,
        format=form or ("JPEG" if image.format == "MPO" else image.format or "PNG"),
        notes=tuple(note for note in notes if note),
    )


def decode(image: Image.Image, icc: bytes | None) -> Samples:
    """Take the pixels of a Pillow image.

    Args:
        image: in any mode.
        icc: its colour profile, for CMYK.

    Raises:
        ImageError: samples that are floating-point, 32-bit or signed.
    """
    if image.mode.startswith("I;16"):
        return _grey16(image)
    if image.mode == "CMYK":
        return colour.from_cmyk(np.asarray(image), icc)
    if image.mode == "LAB":
        return colour.from_lab(image)
    values = np.asarray(_plain(image))
    return Samples(values=values[..., None] if values.ndim == 2 else values, white=255, bit_depth=8)


def _plain(image: Image.Image) -> Image.Image:
    """Bring 8-bit modes to L, LA, RGB or RGBA."""
    if image.mode in _NUMBERS:
        raise ImageError(
            f"{_NUMBERS[image.mode]} are not supported; save the image with 8 or 16 bits"
        )
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in _GREY_MODES else "RGBA")
    return image.convert("L" if image.mode in _GREY_MODES else "RGB")


def _gamma_note(image: Image.Image) -> str | None:
    """What is lost of a PNG that states another gamma than that of sRGB, and no profile."""
    gamma = image.info.get("gamma")
    if image.format != "PNG" or not isinstance(gamma, float) or "srgb" in image.info:
        return None
    if abs(gamma * _SRGB_GAMMA - 1) < _GAMMA_TOLERANCE:
        return None
    return f"it states a gamma of {gamma:g}, which was not applied: its levels count as sRGB"


def _grey16(image: Image.Image) -> Samples:
    """Read 16-bit grey, which Pillow's own conversions clip to white."""
    values = np.asarray(image).astype(np.uint16)[..., None]
    key = image.info.get("transparency")
    if isinstance(key, int):
        alpha = np.where(values == key, 0, 65535).astype(np.uint16)
        values = np.concatenate([values, alpha], axis=2)
    return Samples(values=values, white=65535, bit_depth=16)
