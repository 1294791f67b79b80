"""The formats that are written: what each can hold, and how an output is to be encoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dcls_cli.errors import UsageError
from dcls_cli.files.addresses import Location
from dcls_cli.files.atomic import printable


@dataclass(frozen=True)
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
        code_points: whether it can state high dynamic range.
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
    code_points: bool = False


_DEEP = (8, 16)
_ALL = (
    Format(
        "PNG",
        "png",
        (".png",),
        depths=_DEEP,
        lossy=False,
        lossless=True,
        iptc=True,
        code_points=True,
    ),
    # libjpeg's longest side; the format itself could have 65535.
    Format("JPEG", "jpg", (".jpg", ".jpeg"), longest_side_px=65500, alpha=False, iptc=True),
    Format("WEBP", "webp", (".webp",), longest_side_px=16383, lossless=True, grey=False),
    Format("TIFF", "tiff", (".tif", ".tiff"), depths=_DEEP, lossy=False, lossless=True, iptc=True),
    # More is what the decoder of browsers and Pillow refuses to open.
    Format(
        "AVIF",
        "avif",
        (".avif",),
        longest_side_px=32768,
        most_pixels=16384 * 16384,
        code_points=True,
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


def default_format(name: str, *, alpha: bool = False) -> Format:
    """The format in which a photo that came as `name` is written by default."""
    form = FORMATS[name if name in FORMATS else _INSTEAD.get(name, "PNG")]
    return form if form.alpha or not alpha else FORMATS["PNG"]


def suffix_for(form: Format, photo: Location) -> str:
    """Choose the suffix of an output: the photo's own spelling, where it fits the format."""
    return photo.suffix if photo.suffix.lower() in form.suffixes else form.suffixes[0]


#: Of JPEG, WebP and AVIF.
DEFAULT_QUALITY = 95


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """What the user asked of the output's encoding.

    Attributes:
        format: as `-f` calls it (png, jpg, webp, tiff, avif); None for the format of the suffix.
        quality: 1 to 100, of formats that lose something; None for the usual one.
        lossless: whether nothing may be lost beyond rounding to whole levels.
        bit_depth: 8 or 16 bits a sample; None for that of the photo, where the format can.
    """

    format: str | None = None
    quality: int | None = None
    lossless: bool = False
    bit_depth: int | None = None

    def __post_init__(self) -> None:
        """Refuse settings outside of their ranges.

        Raises:
            UsageError: see the attributes.
        """
        options = [form.option for form in FORMATS.values()]
        if self.format is not None and self.format not in options:
            raise UsageError(f"format '{self.format}': expected one of {', '.join(options)}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"quality {self.quality}: expected 1 to 100")
        if self.bit_depth not in (None, 8, 16):
            raise UsageError(f"bit depth {self.bit_depth}: expected 8 or 16")

    @property
    def used_quality(self) -> int:
        """Quality of what loses something."""
        return DEFAULT_QUALITY if self.quality is None else self.quality

    def of(self, path: Location) -> Format:
        """Find the format in which a file is written, and check that it can be as asked.

        Its suffix may be missing or unknown if `format` is given.

        Raises:
            UsageError: the suffix says another format than `format`, or none is known; the format
                cannot be written as `lossless` or `bit_depth` demand.
        """
        form = self._chosen(path)
        if self.lossless and not form.lossless:
            raise UsageError(
                f"{printable(path)}: {form.name} is not written without loss; "
                "write PNG, TIFF or WebP, or leave out --lossless"
            )
        if self.bit_depth is not None and self.bit_depth not in form.depths:
            raise UsageError(
                f"{printable(path)}: {form.name} holds 8 bits a sample, not {self.bit_depth}; "
                "write PNG or TIFF, or leave out --bit-depth"
            )
        return form

    def _chosen(self, path: Location) -> Format:
        by_suffix = WRITABLE.get(path.suffix.lower())
        if self.format is None:
            if by_suffix is None:
                raise UsageError(
                    f"{printable(path)}: cannot tell the format from the suffix '{path.suffix}'; "
                    f"expected {', '.join(WRITABLE)}, or a format by -f"
                )
            return FORMATS[by_suffix]
        form = by_option(self.format)
        if by_suffix not in (None, form.name):
            raise UsageError(
                f"{printable(path)}: the suffix '{path.suffix}' says {by_suffix} and -f says "
                f"{form.name}; change one of them"
            )
        return form

    def depth(self, form: Format, photo_depth: int) -> int:
        """Choose the bits a sample of a file."""
        wanted = self.bit_depth or photo_depth
        return wanted if wanted in form.depths else max(form.depths)
