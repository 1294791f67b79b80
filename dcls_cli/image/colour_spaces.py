"""Colour spaces that files name without an ICC profile, and profiles that say the same.

Code points are those of ITU-T H.273. An equivalent profile lets every output format hold the space;
high dynamic range has none, so its code points are carried.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from dcls_cli.image.colour import SRGB_CURVE, Curve, Point, matrix_profile

_UNSPECIFIED = 2
_PQ, _HLG = 16, 18

_D65: Point = (0.3127, 0.3290)
_C: Point = (0.310, 0.316)

#: Red, green, blue and white of the primaries (H.273, table 2), and what they are called.
_PRIMARIES: Mapping[int, tuple[str, tuple[Point, Point, Point, Point]]] = MappingProxyType(
    {
        1: ("BT.709", ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)),
        4: ("BT.470 M", ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C)),
        5: ("BT.470 BG", ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65)),
        6: ("SMPTE 170M", ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), _D65)),
        7: ("SMPTE 240M", ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), _D65)),
        8: ("film", ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C)),
        9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65)),
        10: ("XYZ", ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3))),
        11: ("DCI-P3", ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.314, 0.351))),
        12: ("Display P3", ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), _D65)),
        22: ("EBU 3213", ((0.63, 0.34), (0.295, 0.605), (0.155, 0.077), _D65)),
    }
)
_BT709 = 1


def _logarithmic(decades: float) -> Curve:
    """A curve of `decades` powers of ten, whose lowest level is black."""
    share = 10 ** (decades * (np.linspace(0, 1, 1024) - 1))
    share[0] = 0
    return tuple(int(level) for level in np.rint(65535 * share))


#: Light for each level (H.273, table 3), and what the curve is called. The camera's curve of
#: BT.709, BT.601 and BT.2020 counts as sRGB's, as Chromium takes it in AVIF (in PNG it undoes the
#: curve): displays follow a curve of their own, near sRGB's, and most pictures that state the
#: camera's were made for sRGB.
_TRANSFERS: Mapping[int, tuple[str, Curve]] = MappingProxyType(
    {
        **dict.fromkeys((1, 6, 11, 12, 13, 14, 15), ("", SRGB_CURVE)),
        4: ("gamma 2.2", (2.2,)),
        5: ("gamma 2.8", (2.8,)),
        7: ("curve of SMPTE 240M", (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0913)),
        8: ("linear", (1.0,)),
        9: ("logarithmic", _logarithmic(2)),
        10: ("logarithmic", _logarithmic(2.5)),
        # A level of 1 is 52.37 cd/m2, white is 48.
        17: ("gamma 2.6", (2.6, (52.37 / 48) ** (1 / 2.6), 0.0, 0.0, 0.0)),
    }
)


@dataclass(frozen=True)
class CodePoints:
    """Colour primaries and transfer characteristics by their numbers in ITU-T H.273."""

    primaries: int
    transfer: int

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer is one of high dynamic range."""
        return self.transfer in (_PQ, _HLG)

    @property
    def name(self) -> str:
        """Of the curve of high dynamic range: PQ or HLG."""
        return {_PQ: "PQ", _HLG: "HLG"}[self.transfer]


@dataclass(frozen=True)
class Space:
    """A colour space by what its numbers mean.

    Attributes:
        name: for people.
        points: chromaticities (x, y) of red, green, blue and white.
        curves: light for each level, of red, green and blue; see `colour.Curve`.
        description: of its profile, if not the name.
    """

    name: str
    points: tuple[Point, Point, Point, Point]
    curves: tuple[Curve, Curve, Curve]
    description: str = ""

    @classmethod
    def of(cls, name: str, points: Sequence[Point], *curves: Curve) -> "Space":
        """Make one with a single curve for all colours, or one for each."""
        red, green, blue, white = points
        first, second, third = curves * (3 if len(curves) == 1 else 1)
        return cls(name, (red, green, blue, white), (first, second, third))

    def profile(self, *, grey: bool) -> bytes | None:
        """An ICC profile of this space; None where it is sRGB, which needs none.

        Raises:
            ValueError: chromaticities of which no colours can be mixed.
        """
        flat = set(self.curves) == {SRGB_CURVE}
        if flat and (grey or _near(self.points, _PRIMARIES[_BT709][1])):
            return None
        return matrix_profile(self.description or self.name, self.points, self.curves, grey=grey)


SRGB = Space.of("sRGB", _PRIMARIES[_BT709][1], SRGB_CURVE)

#: Its gamma is 2 51/256. The description says what it is and is not the name of Adobe's profile.
ADOBE_RGB = replace(
    Space.of("Adobe RGB", ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65), (563 / 256,)),
    description="Compatible with Adobe RGB (1998)",
)

#: Adobe's, which Sony's cameras name in EXIF.
WIDE_GAMUT_RGB = Space.of(
    "Wide Gamut RGB",
    ((0.7347, 0.2653), (0.1152, 0.8264), (0.1566, 0.0177), (0.3457, 0.3585)),
    (563 / 256,),
)

#: What rounding and different tables leave between chromaticities that are meant to be the same.
_SAME_POINT = 0.0025

#: A gamma within 5% of 2.2 beside sRGB's primaries stands for sRGB's curve, as PNG's own advice is
#: to write that beside the sRGB chunk.
_GAMMA, _SAME_GAMMA = 2.2, 0.05
_GAMMAS = (0.1, 10.0)


def _near(points: Sequence[Point], others: Sequence[Point]) -> bool:
    return bool(np.abs(np.subtract(points, others)).max() <= _SAME_POINT)


def by_code_points(points: CodePoints) -> Space | None:
    """Find the space of code points without high dynamic range.

    Where only one of the two is unspecified, it counts as sRGB's.

    Returns:
        None where both are unspecified.

    Raises:
        ValueError: code points that no table has.
    """
    if points.primaries == points.transfer == _UNSPECIFIED:
        return None
    primaries = _BT709 if points.primaries == _UNSPECIFIED else points.primaries
    transfer = 13 if points.transfer == _UNSPECIFIED else points.transfer
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        raise ValueError(
            f"its colour space has unknown code points (primaries {points.primaries}, transfer "
            f"{points.transfer}), which were not applied"
        )
    name, mixed = _PRIMARIES[primaries]
    curve_name, curve = _TRANSFERS[transfer]
    return Space.of(", ".join(filter(None, (name, curve_name))), mixed, curve)


def by_chromaticities(
    points: Sequence[Point] | None, gamma: float | None, curves: Sequence[Curve] = ()
) -> Space:
    """Find the space of stated chromaticities and curves.

    Args:
        points: (x, y) of red, green, blue and white; None for sRGB's.
        gamma: light is a level to the power of this; None for sRGB's curve, or that of `curves`.
        curves: one for all colours or one for each.

    Raises:
        ValueError: numbers that no colours have.
    """
    if gamma is not None and not _GAMMAS[0] <= gamma <= _GAMMAS[1]:
        raise ValueError(f"a gamma of {gamma:g} is impossible and was not applied")
    given = _PRIMARIES[_BT709][1] if points is None else points
    if not np.isfinite(given).all():
        raise ValueError("the chromaticities of its colours are impossible and were not applied")
    known = [name for name, mixed in _PRIMARIES.values() if _near(given, mixed)]
    name = known[0] if known else "RGB by chromaticities"
    if curves:
        space = Space.of(f"{name}, curve of the file", given, *curves)
    elif gamma is None:
        space = Space.of(name, given, SRGB_CURVE)
    elif _near(given, SRGB.points) and abs(gamma / _GAMMA - 1) < _SAME_GAMMA:
        return SRGB
    else:
        space = Space.of(f"{name}, gamma {gamma:.4g}", given, (gamma,))
    space.profile(grey=False)  # finds out whether it can be made
    return space


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a file says about its colours beside the profile that Pillow finds.

    Attributes:
        space: what they are, unless a profile says it.
        code_points: of high dynamic range, which no profile replaces.
        over_profile: whether this counts more than a profile, as PNG's cICP does.
        narrow_range: whether levels from 16 to 235 of 255 are black to white.
        profile: an ICC profile of a format of which Pillow reads none.
        notes: what was said that has no meaning, a sentence each.
    """

    space: Space | None = None
    code_points: CodePoints | None = None
    over_profile: bool = False
    narrow_range: bool = False
    profile: bytes | None = None
    notes: tuple[str, ...] = ()

    def noting(self, *notes: str) -> "Stated":
        """The same with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def stated_code_points(primaries: int, transfer: int) -> Stated:
    """What a pair of code points says."""
    points = CodePoints(primaries, transfer)
    if points.is_hdr:
        return Stated(code_points=points)
    try:
        return Stated(space=by_code_points(points))
    except ValueError as error:
        return Stated(notes=(str(error),))


def stated_chromaticities(
    points: Sequence[Point] | None, gamma: float | None, curves: Sequence[Curve] = ()
) -> Stated:
    """What chromaticities and curves say; see `by_chromaticities`."""
    try:
        return Stated(space=by_chromaticities(points, gamma, curves))
    except ValueError as error:
        return Stated(notes=(str(error),))


@dataclass(frozen=True)
class Settled:
    """The colours of a photo, after all that its file says.

    Attributes:
        icc: their profile; None for sRGB.
        name: of the space, where the profile was made here.
        code_points: of high dynamic range; they count more than the profile.
        notes: what was left out, a sentence each.
    """

    icc: bytes | None = None
    name: str | None = None
    code_points: CodePoints | None = None
    notes: tuple[str, ...] = ()


def settle(stated: Stated, icc: bytes | None, by_exif: Stated, *, grey: bool) -> Settled:
    """Choose among what a file says: as the formats' specifications do, and EXIF last.

    Args:
        stated: by the file's own format.
        icc: a profile that fits the pixels.
        by_exif: by its EXIF data.
        grey: whether the pixels have a single colour.
    """
    if stated.code_points is not None:
        note = (
            f"its high dynamic range ({stated.code_points.name}) is written as the levels are, "
            "without tone mapping"
        )
        return Settled(icc, None, stated.code_points, (note, *stated.notes))
    if icc and not (stated.over_profile and stated.space):
        return Settled(icc, None, None, stated.notes)
    notes = stated.notes
    if stated.space is None:
        notes += by_exif.notes
    space = stated.space or by_exif.space
    if space is None:
        return Settled(None, None, None, notes)
    return Settled(space.profile(grey=grey), space.name, None, notes)


_COLOUR_SPACE, _GAMMA_TAG, _INTEROPERABILITY_INDEX = 0xA001, 0xA500, 1
_WHITE_POINT, _CHROMATICITIES = 318, 319
_EXIF_DIRECTORY, _INTEROPERABILITY = 0x8769, 0xA005

#: Values of EXIF's ColorSpace; the last two are of some cameras only.
_EXIF_SPACES = MappingProxyType({1: SRGB, 2: ADOBE_RGB, 0xFFFD: WIDE_GAMUT_RGB})
_NOT_SRGB = 0xFFFF

#: Index of the optional files of DCF, which are in Adobe RGB.
_DCF_OPTION = "R03"


def stated_by_exif(
    main: Mapping[int, object],
    details: Mapping[int, object],
    interoperability: Mapping[int, object],
) -> Stated:
    """What EXIF data say: their three directories, by number of the tag."""
    named = details.get(_COLOUR_SPACE)
    if isinstance(named, int) and named in _EXIF_SPACES:
        return Stated(space=_EXIF_SPACES[named])
    index = interoperability.get(_INTEROPERABILITY_INDEX, "")
    text = index.decode("latin-1") if isinstance(index, bytes) else str(index)
    if text.strip("\0 ") == _DCF_OPTION:
        return Stated(space=ADOBE_RGB)
    points = points_of(main.get(_WHITE_POINT), main.get(_CHROMATICITIES))
    if points is not None:
        gamma = _floats(details.get(_GAMMA_TAG))
        return stated_chromaticities(points, gamma[0] if gamma else None)
    if named == _NOT_SRGB:
        return Stated(
            notes=("its EXIF data state an unnamed colour space that is not sRGB; taken as sRGB",)
        )
    return Stated()


def points_of(white: object, colours: object) -> list[Point] | None:
    """Red, green, blue and white of the tags WhitePoint and PrimaryChromaticities; None if absent.

    Numbers that are none are NaN.
    """
    numbers = [*_floats(colours), *_floats(white)]
    if len(numbers) != 8:
        return None
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _floats(value: object) -> list[float]:
    """One number or several, as Pillow gives them; none for anything else."""
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    numbers: list[Any] = list(value) if several else [value]  # type: ignore[call-overload]
    try:
        return [float(number) for number in numbers]
    except (TypeError, ValueError):
        return []
    except ZeroDivisionError:  # a fraction without a meaning
        return [math.nan] * len(numbers)


def exif_as_srgb(exif: bytes) -> bytes:
    """State sRGB in EXIF data, in place, of a picture whose colours were converted to it.

    Otherwise programs, and this one, would take it for what the photo was.
    """
    head = exif.find(b"II*\0") if b"II*\0" in exif[:12] else exif.find(b"MM\0*")
    order = "<" if exif[head : head + 1] == b"I" else ">"
    data = bytearray(exif)

    def entry(directory: int, tag: int) -> int:
        (count,) = struct.unpack_from(f"{order}H", data, directory)
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            if struct.unpack_from(f"{order}H", data, at)[0] == tag:
                return at
        raise KeyError(tag)

    def directory_at(place: int) -> int:
        return head + int(struct.unpack_from(f"{order}I", data, place)[0])

    with suppress(KeyError, struct.error):  # they name no space
        details = directory_at(entry(directory_at(head + 4), _EXIF_DIRECTORY) + 8)
        with suppress(KeyError):
            at = entry(details, _COLOUR_SPACE)
            struct.pack_into(f"{order}HHIHH", data, at, _COLOUR_SPACE, 3, 1, 1, 0)
        interoperability = directory_at(entry(details, _INTEROPERABILITY) + 8)
        index = entry(interoperability, _INTEROPERABILITY_INDEX) + 8
        if data[index : index + 3] == b"R03":
            data[index : index + 3] = b"R98"
    return bytes(data)
