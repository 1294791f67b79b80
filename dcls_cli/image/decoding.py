"""Pillow's images, in any of its modes, to photos."""

import io

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from dcls_cli.errors import ImageError
from dcls_cli.image import metadata
from dcls_cli.image.photo import Photo

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
_WHITE_IS_ZERO = 0

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
    return assemble(image, None)


def assemble(image: Image.Image, samples: np.ndarray | None, *, pages: int = 1) -> Photo:
    """Join pixels and metadata to an upright photo.

    Args:
        image: its pixels, unless `samples` has them, and its metadata.
        samples: 16-bit samples that Pillow cannot hold, (H, W, 2..4) uint16.
        pages: of the file, of which this is the first.

    Raises:
        ImageError: as `from_pil`.
    """
    notes: list[str | None] = []
    if pages > 1:
        notes.append(f"it has {pages} frames or pages, of which the first is used")
    icc = image.info.get("icc_profile")
    if samples is not None:
        photo = Photo.from_samples(samples, 65535, 16)
    elif image.mode.startswith("I;16"):
        photo = _grey16(image)
    else:
        picture = image
        if image.mode in ("CMYK", "LAB"):
            picture, note = _to_srgb(image, icc)
            notes.append(note)
            if image.info.get("icc_profile"):
                icc = None
        photo = Photo.from_samples(np.asarray(_plain(picture)), 255, 8)
    icc, profile_note = metadata.profile(icc, grey=photo.grey)
    exif, exif_note = metadata.exif(image)
    orientation = metadata.orientation(image)
    return Photo(
        samples=metadata.upright(photo.samples, orientation),
        white=photo.white,
        bit_depth=photo.bit_depth,
        icc=icc,
        exif=exif,
        dpi=metadata.resolution(image, turned=orientation >= 5),
        format="JPEG" if image.format == "MPO" else image.format or "PNG",
        notes=tuple(note for note in (*notes, profile_note, exif_note) if note),
    )


def _plain(image: Image.Image) -> Image.Image:
    """Bring 8-bit modes to L, LA, RGB or RGBA."""
    if image.mode in _NUMBERS:
        raise ImageError(
            f"{_NUMBERS[image.mode]} are not supported; save the image with 8 or 16 bits"
        )
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in _GREY_MODES else "RGBA")
    return image.convert("L" if image.mode in _GREY_MODES else "RGB")


def _grey16(image: Image.Image) -> Photo:
    """Read 16-bit grey, which Pillow's own conversions clip to white."""
    samples = np.asarray(image).astype(np.uint16)
    white = 65535
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if image.tag_v2.get(_BITS_PER_SAMPLE) == (12,):
            white = 4095
        if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            samples = white - samples
    key = image.info.get("transparency")
    if isinstance(key, int):
        alpha = np.where(samples == key, 0, white).astype(np.uint16)
        samples = np.stack([samples, alpha], axis=2)
    return Photo.from_samples(samples, white, 16)


def _to_srgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, str]:
    """Convert CMYK and Lab, through the profile where there is one that works; say how."""
    if image.mode == "CMYK" and not icc:
        return image.convert("RGB"), "CMYK without a colour profile was converted to sRGB"
    try:
        source = (
            ImageCms.createProfile("LAB")
            if image.mode == "LAB"
            else ImageCms.ImageCmsProfile(io.BytesIO(icc or b""))
        )
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        if image.mode == "LAB":
            raise ImageError(f"Lab colours cannot be converted to sRGB: {error}") from error
        return image.convert("RGB"), "the colour profile is damaged; CMYK was converted without it"
    if converted is None:  # only an in-place conversion gives none
        raise ImageError(f"{image.mode} colours cannot be converted to sRGB")
    return converted, f"{image.mode} was converted to sRGB"
