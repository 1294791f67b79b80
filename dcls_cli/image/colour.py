"""Colours that networks and output formats do not have, to sRGB."""

import functools

import numpy as np
from PIL import Image, ImageCms

from dcls_cli.errors import ImageError
from dcls_cli.image.samples import Samples

#: Names of the colour spaces of ICC profiles, and what imagecodecs calls them.
_SPACES = {"GRAY": "gray", "RGB": "rgb", "CMYK": "cmyk"}

#: Rows that are converted at a time.
_BAND_ROWS = 256


@functools.cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def space_of(icc: bytes) -> str:
    """The colour space that a profile describes: GRAY, RGB, CMYK, Lab, ..."""
    return icc[16:20].decode("latin-1").strip()


def to_srgb(colour: np.ndarray, icc: bytes) -> np.ndarray:
    """Convert colours through their profile.

    Args:
        colour: (H, W, 1 grey, 3 RGB or 4 CMYK) uint8 or uint16; full samples of CMYK are full ink.
        icc: their profile.

    Returns:
        (H, W, 1) grey for grey, else (H, W, 3), of the same type.

    Raises:
        ImageError: the profile is damaged or for other colours.
    """
    import imagecodecs

    channels = colour.shape[2]
    space = space_of(icc)
    if {"GRAY": 1, "RGB": 3, "CMYK": 4}.get(space) != channels:
        raise ImageError(f"a colour profile for {space} cannot describe {channels} channels")
    # Its tables for speed are off by a hundred levels of 16 bits where it is dark.
    exact = imagecodecs.CMS.FLAGS.NOOPTIMIZE if colour.itemsize == 2 else None
    out = np.empty((*colour.shape[:2], 1 if channels == 1 else 3), colour.dtype)
    for top in range(0, len(colour), _BAND_ROWS):
        band = np.ascontiguousarray(colour[top : top + _BAND_ROWS])
        try:
            converted = imagecodecs.cms_transform(
                band[..., 0] if channels == 1 else band,
                icc,
                srgb_profile(),
                colorspace=_SPACES[space],
                outcolorspace="rgb",
                flags=exact,
            )
        except (RuntimeError, ValueError) as error:
            raise ImageError(f"the colour profile cannot be used: {error}") from error
        # Grey stays neutral, so that each of the three channels is the grey.
        out[top : top + _BAND_ROWS] = converted[..., : out.shape[2]]
    return out


def from_cmyk(inks: np.ndarray, icc: bytes | None) -> Samples:
    """Convert CMYK to sRGB: through the profile where there is one that works.

    Args:
        inks: (H, W, 4) uint8 or uint16; full samples are full ink.
        icc: the file's colour profile.
    """
    depth = 8 * inks.itemsize
    white = 2**depth - 1
    note = "CMYK without a colour profile was converted to sRGB"
    if icc:
        try:
            colour = to_srgb(inks, icc)
        except ImageError:
            note = "the colour profile is damaged; CMYK was converted to sRGB without it"
        else:
            return Samples(
                values=colour,
                white=white,
                bit_depth=depth,
                is_srgb=True,
                notes=("CMYK was converted to sRGB by its colour profile",),
            )
    paper = (white - inks.astype(np.uint32)).astype(np.uint32)
    colour = np.rint(paper[..., :3] * paper[..., 3:] / white).astype(inks.dtype)
    return Samples(values=colour, white=white, bit_depth=depth, is_srgb=True, notes=(note,))


def from_lab(image: Image.Image) -> Samples:
    """Convert Lab (D50) of 8 bits to sRGB.

    Raises:
        ImageError: the conversion failed.
    """
    source, target = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    try:
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise ImageError(f"Lab colours cannot be converted to sRGB: {error}") from error
    return Samples(
        values=np.asarray(converted),
        white=255,
        bit_depth=8,
        is_srgb=True,
        notes=("Lab was converted to sRGB",),
    )


def described_as_srgb(samples: Samples, icc: bytes) -> Samples:
    """Convert samples to sRGB so that they need no profile any more; alpha stays.

    Floating-point samples are converted with 16 bits.

    Raises:
        ImageError: the profile is damaged or for other colours.
    """
    values, white = samples.values, samples.white
    full = 255 if values.dtype == np.uint8 else 65535
    if white != full:
        kind = np.uint8 if full == 255 else np.uint16
        values = np.rint(values * np.float32(full / white)).astype(kind)
    colours = values.shape[2] - (values.shape[2] in (2, 4))
    converted = to_srgb(values[..., :colours], icc)
    return Samples(
        values=np.concatenate([converted, values[..., colours:]], axis=2),
        white=full,
        bit_depth=samples.bit_depth,
        is_srgb=True,
        notes=(*samples.notes, "the colours were converted to sRGB by their profile"),
    )
