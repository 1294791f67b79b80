"""How an output file is encoded, for every writer."""

from dataclasses import dataclass
from pathlib import Path

from dcls_cli.atomic import printable
from dcls_cli.errors import UsageError
from dcls_cli.image.formats import FORMATS, WRITABLE, Format, by_option

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

    def of(self, path: Path) -> Format:
        """Find the format in which a file is written, and check that it can be as asked.

        Args:
            path: the output; its suffix may be missing or unknown if `format` is given.

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

    def _chosen(self, path: Path) -> Format:
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
        """Choose the bits a sample of a file.

        Args:
            form: of the file, from `of`.
            photo_depth: of the photo's samples.
        """
        wanted = self.bit_depth or photo_depth
        return wanted if wanted in form.depths else max(form.depths)
