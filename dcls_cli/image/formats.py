"""What each format that is written can hold, and how it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of output files.

    Attributes:
        name: as Pillow calls it.
        option: as `-f` calls it.
        suffixes: of its files; the first is the usual one.
        longest_side_px: what one side may have; None without a limit that matters.
        most_pixels: what width times height may be; None without a limit that matters.
        depths: bits a sample.
        alpha: whether it holds transparency.
        lossy: whether it loses something unless it is asked not to.
        lossless: whether it can be written without any loss.
        grey: whether it holds a single channel.
        iptc: whether it holds IPTC data.
    """

    name: str
    option: str
    suffixes: tuple[str, ...]
    longest_side_px: int | None = None
    most_pixels: int | None = None
    depths: tuple[int, ...] = (8,)
    alpha: bool = True
    lossy: bool = True
    lossless: bool = False
    grey: bool = True
    iptc: bool = False


_ALL = (
    Format(
        name="PNG",
        option="png",
        suffixes=(".png",),
        depths=(8, 16),
        lossy=False,
        lossless=True,
        iptc=True,
    ),
    Format(
        name="JPEG",
        option="jpg",
        suffixes=(".jpg", ".jpeg"),
        longest_side_px=65500,  # libjpeg's; the format itself could have 65535
        alpha=False,
        iptc=True,
    ),
    Format(
        name="WEBP",
        option="webp",
        suffixes=(".webp",),
        longest_side_px=16383,
        lossless=True,
        grey=False,
    ),
    Format(
        name="TIFF",
        option="tiff",
        suffixes=(".tif", ".tiff"),
        depths=(8, 16),
        lossy=False,
        lossless=True,
        iptc=True,
    ),
    Format(
        # More is what the decoder of browsers and Pillow refuses to open.
        name="AVIF",
        option="avif",
        suffixes=(".avif",),
        longest_side_px=32768,
        most_pixels=16384 * 16384,
    ),
)

#: Formats that are written, by Pillow's name.
FORMATS: Mapping[str, Format] = MappingProxyType({form.name: form for form in _ALL})

#: Names of the formats that are written, by suffix.
WRITABLE: Mapping[str, str] = MappingProxyType(
    {suffix: form.name for form in _ALL for suffix in form.suffixes}
)

#: What a photo of a format that is not written becomes under `-f keep`; all others become PNG, as
#: do those with transparency.
_INSTEAD = {"HEIF": "JPEG", "MPO": "JPEG"}


def by_option(option: str) -> Format:
    """Find the format that `-f` names.

    Raises:
        KeyError: there is none.
    """
    return next(form for form in _ALL if form.option == option)


def kept(name: str, *, alpha: bool = False) -> Format:
    """Find the format in which a photo that came as `name` is written if nobody says otherwise.

    Args:
        name: of a format, as Pillow calls it.
        alpha: whether the photo has an alpha channel.
    """
    form = FORMATS[name if name in FORMATS else _INSTEAD.get(name, "PNG")]
    return form if form.alpha or not alpha else FORMATS["PNG"]


def suffix_for(form: Format, photo: Path) -> str:
    """Choose the suffix of an output: the photo's own spelling, where it fits the format."""
    return photo.suffix if photo.suffix.lower() in form.suffixes else form.suffixes[0]
