"""What outputs are called that the user has given no name."""

import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.cli.console import visible
from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from dcls_cli.image.formats import Format
    from dcls_cli.image.resizing import OutputSize

_FIELDS = ("stem", "size", "scale", "model", "ext")


@dataclass(frozen=True, kw_only=True)
class Naming:
    """A template and what fills it for every photo of one command line.

    Attributes:
        template: fields `{stem}` of the photo's name, `{size}` and `{scale}` of the output, such as
            x4 and 4, `{model}` and `{ext}`, the suffix without its dot. Without `{ext}`, dot and
            suffix follow the template.
        size: of the outputs.
        model: name of the network; None where each photo gets its own.
        format: of the outputs, as `-f` calls it; None for that of the photo's content.
    """

    template: str
    size: "OutputSize"
    model: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        """Refuse templates that cannot be filled.

        Raises:
            UsageError: an unknown field, or a model that is not known before the photo is.
        """
        for field in self._fields():
            if field not in _FIELDS:
                raise UsageError(
                    f"--name {visible(self.template)}: unknown field {{{visible(field)}}}; "
                    f"expected {', '.join(f'{{{name}}}' for name in _FIELDS)}"
                )
            if field == "model" and self.model is None:
                raise UsageError(
                    "--name with {model} needs a model by -m or -w: auto chooses it by the photo"
                )
            if field == "scale" and self.size.in_pixels:
                raise UsageError("--name with {scale}: the size is given in pixels; use {size}")

    def name(self, photo: Path, stem: str | None = None) -> str:
        """Name the output of a photo.

        The suffix is the photo's own where it fits what the photo is by content, or the usual one
        of the output's format.

        Args:
            photo: the file.
            stem: in place of the photo's own.

        Raises:
            UsageError: the result is no file name.
        """
        from dcls_cli.image.formats import by_option, suffix_for

        form = self._kept(photo) if self.format is None else by_option(self.format)
        suffix = suffix_for(form, photo)
        name = self.template.format(
            stem=stem or photo.stem,
            size=self.size.label,
            scale=f"{self.size.factor:g}",
            model=self.model,
            ext=suffix[1:],
        )
        if "ext" not in self._fields():
            name += suffix
        if Path(name).name != name:
            raise UsageError(f"--name {visible(self.template)}: '{visible(name)}' is no file name")
        return name

    @staticmethod
    def _kept(photo: Path) -> "Format":
        from dcls_cli.image.formats import default_format
        from dcls_cli.image.heif import has_alpha
        from dcls_cli.image.recognition import recognise

        name = recognise(photo) or "PNG"
        return default_format(name, alpha=name == "HEIF" and has_alpha(photo))

    def _fields(self) -> list[str]:
        """The fields as they are written; what follows a dot or bracket makes a field unknown."""
        try:
            parts = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise UsageError(f"--name {visible(self.template)}: {error}") from error
        if any(spec or conversion for _, _, spec, conversion in parts):
            raise UsageError(f"--name {visible(self.template)}: fields have no format")
        return [field for _, field, _, _ in parts if field is not None]
