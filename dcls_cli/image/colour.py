"""Samples as decoders leave them, brought to what networks see: sRGB, without hidden colours."""

import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageCms

from dcls_cli.errors import ImageError


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples:
    """Pixels of a file, and what was done to them.

    Attributes:
        values: (H, W, C) uint8, uint16 or float32: grey, grey and alpha, RGB, or RGBA (C = 1..4);
            alpha is not multiplied into the colours.
        white: value of a full sample.
        bit_depth: 8 or 16, with which they should be written.
        is_srgb: whether the colours have been converted to sRGB, so that the file's colour profile
            no longer describes them.
        notes: what was changed, a sentence each.
    """

    values: np.ndarray
    white: float
    bit_depth: int
    is_srgb: bool = False
    notes: tuple[str, ...] = ()


def straight(colour: np.ndarray, alpha: np.ndarray, white: int) -> np.ndarray:
    """Divide colours (H, W, 1 or 3) of integers by their alpha (H, W, 1): (H, W, 2 or 4).

    Black where nothing is visible; `white` is the value of a full sample.
    """
    share = np.maximum(alpha, 1).astype(np.float32) / np.float32(white)
    divided = np.rint(colour / share).clip(0, white).astype(colour.dtype)
    return np.concatenate([divided, alpha], axis=2)


#: Names of the colour spaces of ICC profiles, and what imagecodecs calls them.
_SPACES = {"GRAY": "gray", "RGB": "rgb", "CMYK": "cmyk"}

#: Rows that are converted at a time.
_BAND_ROWS = 256


@functools.cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


#: Chromaticity: CIE x and y.
Point = tuple[float, float]

#: Light, 0 to 1, for each level. A float is an exponent; five are those g, a, b, c, d of ICC's
#: parametric curves: (a v + b) ** g from d on, c v below. Integers are a table of 2 to 4096 values
#: for evenly spaced levels, 65535 full light.
Curve = tuple[float, ...]

SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

#: White of the space in which profiles meet, D50, as ICC.1 writes it; and what adapts to it.
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)

#: Primaries that are far outside of this are no primaries.
_LARGEST_XYZ = 4.0


def matrix_profile(
    name: str, points: Sequence[Point], curves: Sequence[Curve], *, grey: bool
) -> bytes:
    """Make an ICC profile, version 4.3 (ICC.1:2010), of a space by its primaries.

    The same space always gives the same bytes, so that outputs can be repeated.

    Args:
        name: the description that programs show.
        points: chromaticities of red, green, blue and white.
        curves: of red, green and blue.
        grey: whether the profile is for grey, of which only the first curve matters.

    Raises:
        ValueError: chromaticities of which no colours can be mixed.
    """
    x, y = np.array(points, np.float64).T
    tristimulus = np.array([x, y, 1 - x - y])
    with np.errstate(all="ignore"):
        white = tristimulus[:, 3] / y[3]
        adaptation = (
            np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD
        )
        try:
            amounts = np.linalg.solve(tristimulus[:, :3], white)
        except np.linalg.LinAlgError as error:
            raise ValueError(_IMPOSSIBLE) from error
        columns = adaptation @ (tristimulus[:, :3] * amounts)
    everything = np.concatenate([columns.ravel(), adaptation.ravel()])
    if not (amounts > 0).all() or not (np.abs(everything) <= _LARGEST_XYZ).all():
        raise ValueError(_IMPOSSIBLE)
    tags = {
        b"desc": _text(name),
        b"cprt": _text("CC0"),
        b"wtpt": _numbers(b"XYZ ", _D50),
        b"chad": _numbers(b"sf32", adaptation),
    }
    if grey:
        tags[b"kTRC"] = _curve(curves[0])
    else:
        for letter, column, curve in zip("rgb", columns.T, curves, strict=True):
            tags[f"{letter}XYZ".encode()] = _numbers(b"XYZ ", column)
            tags[f"{letter}TRC".encode()] = _curve(curve)
    return _profile(b"GRAY" if grey else b"RGB ", tags)


_IMPOSSIBLE = "the chromaticities of its colours are impossible and were not applied"


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Header, table of tags and their data, of which equal ones are written once."""
    places: dict[bytes, int] = {}
    start = 128 + 4 + 12 * len(tags)
    body = b""
    for data in tags.values():
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
    table = struct.pack(">I", len(tags)) + b"".join(
        name + struct.pack(">II", places[data], len(data)) for name, data in tags.items()
    )
    header = bytearray(128)
    struct.pack_into(
        ">I4sI4s4s4s", header, 0, start + len(body), b"", 0x04300000, b"mntr", space, b"XYZ "
    )
    struct.pack_into(">HHH", header, 24, 2026, 1, 1)
    header[36:40] = b"acsp"
    header[68:80] = _fixed(_D50)
    return bytes(header) + table + body


def _fixed(values: np.ndarray) -> bytes:
    return np.rint(np.asarray(values, np.float64).ravel() * 65536).astype(">i4").tobytes()


def _numbers(kind: bytes, values: np.ndarray) -> bytes:
    return kind + bytes(4) + _fixed(values)


def _text(text: str) -> bytes:
    """A text in one language, as `mluc`."""
    data = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(data), 28) + data


def _curve(curve: Curve) -> bytes:
    """A curve as `para`, or as `curv` where it is a table."""
    if all(isinstance(value, int) for value in curve):
        return b"curv" + struct.pack(f">II{len(curve)}H", 0, len(curve), *curve)
    return b"para" + struct.pack(">IHH", 0, {1: 0, 5: 3}[len(curve)], 0) + _fixed(np.array(curve))


def space_of(icc: bytes) -> str:
    """The colour space that a profile describes: GRAY, RGB, CMYK, Lab, ..."""
    return icc[16:20].decode("latin-1").strip()


def to_srgb(colour: np.ndarray, icc: bytes) -> np.ndarray:
    """Convert colours (H, W, 1 grey, 3 RGB or 4 CMYK) uint8 or uint16 through their profile.

    Grey becomes (H, W, 1), others (H, W, 3), of the same type. Full samples of CMYK are full ink.

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
    """Convert inks (H, W, 4) uint8 or uint16, full samples full ink, to sRGB.

    Through the profile where there is one that works.
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
    colour = np.empty((*inks.shape[:2], 3), inks.dtype)
    for top in range(0, len(inks), _BAND_ROWS):
        paper = white - inks[top : top + _BAND_ROWS].astype(np.uint32)
        band = np.rint(paper[..., :3] * paper[..., 3:] / white)
        colour[top : top + _BAND_ROWS] = band.astype(inks.dtype)
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


#: Black and white of levels of 8 bits in the narrow range of video (BT.709), others alike.
_NARROW_BLACK, _NARROW_WHITE, _NARROW_FULL = 16, 235, 256


def full_range(samples: Samples) -> Samples:
    """Stretch colours of the narrow range to all levels; what lies outside is clipped."""
    values = samples.values.copy()
    colours = values.shape[2] - (values.shape[2] in (2, 4))
    unit = (samples.white + 1) / _NARROW_FULL
    for top in range(0, len(values), _BAND_ROWS):
        band = values[top : top + _BAND_ROWS, :, :colours].astype(np.float32) / np.float32(unit)
        share = (band - _NARROW_BLACK) / (_NARROW_WHITE - _NARROW_BLACK)
        levels = np.rint(share.clip(0, 1) * np.float32(samples.white))
        values[top : top + _BAND_ROWS, :, :colours] = levels.astype(values.dtype)
    note = "its levels of the narrow range of video were stretched to the full range"
    return replace(samples, values=values, notes=(*samples.notes, note))


def described_as_srgb(samples: Samples, icc: bytes, name: str | None = None) -> Samples:
    """Convert samples to sRGB so that they need no profile any more; alpha stays.

    Floating-point samples are converted with 16 bits. `name` is that of their space, where the
    file has no profile that says it.

    Raises:
        ImageError: the profile is damaged or for other colours.
    """
    source = f"from {name}" if name else "by their profile"
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
        notes=(*samples.notes, f"the colours were converted to sRGB {source}"),
    )


#: Rows that are worked on at a time; even, so that no pair of rows is parted.
_FILLED_ROWS = 256


def without_hidden_colours(values: np.ndarray) -> np.ndarray:
    """Give the pixels with alpha 0 the colours of the visible ones beside them: (H, W, 2 or 4).

    Whatever a program has left there would be drawn into the visible pixels at the edges. Each
    hidden pixel becomes the mean of the visible ones in the smallest square of 2, 4, 8, ... pixels
    around it that has any.

    Returns:
        The same array, or a new one if anything had to change; visible pixels are untouched.
    """
    hidden = values[..., -1] == 0
    if not hidden.any() or hidden.all():
        return values
    filled = values.copy()
    mean = _spread(*_half(values))
    for top in range(0, values.shape[0], _FILLED_ROWS):
        rows = slice(top, top + _FILLED_ROWS)
        around = np.repeat(np.repeat(mean[top // 2 : (top + _FILLED_ROWS) // 2], 2, 0), 2, 1)
        around = around[: values[rows].shape[0], : values.shape[1]]
        if filled.dtype.kind in "iu":
            around = np.rint(around)
        colour = filled[rows, :, :-1]
        colour[hidden[rows]] = around[hidden[rows]].astype(filled.dtype)
    return filled


def _half(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours of the visible pixels of each 2x2 square, and whether it has any."""
    bands = [
        _pooled(
            values[top : top + _FILLED_ROWS, :, :-1].astype(np.float32),
            (values[top : top + _FILLED_ROWS, :, -1] > 0).astype(np.float32),
        )
        for top in range(0, values.shape[0], _FILLED_ROWS)
    ]
    return np.concatenate([band[0] for band in bands]), np.concatenate([band[1] for band in bands])


def _pooled(colour: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halve height and width: weighted mean colours, and the weights as 0 or 1."""
    padding = [(0, side % 2) for side in weight.shape]
    weight = np.pad(weight, padding)
    colour = np.pad(colour, [*padding, (0, 0)]) * weight[..., None]
    rows, columns = (side // 2 for side in weight.shape)
    total = weight.reshape(rows, 2, columns, 2).sum(axis=(1, 3))
    summed = colour.reshape(rows, 2, columns, 2, -1).sum(axis=(1, 3))
    return summed / np.maximum(total, 1)[..., None], (total > 0).astype(np.float32)


def _spread(colour: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Fill the squares without any visible pixel from squares of twice the size."""
    if visible.all():
        return colour
    coarse = _spread(*_pooled(colour, visible))
    above = np.repeat(np.repeat(coarse, 2, 0), 2, 1)[: colour.shape[0], : colour.shape[1]]
    return np.where(visible[..., None] > 0, colour, above)
