"""What the outputs are called, so that no two photos get one file."""

import os
import string
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.errors import UsageError
from dcls_cli.files import platforms, temporaries
from dcls_cli.files.addresses import Address, Location
from dcls_cli.files.atomic import printable
from dcls_cli.image.folders import format_by_name
from dcls_cli.jobs.sources import Source

if TYPE_CHECKING:
    from dcls_cli.image.formats import Format
    from dcls_cli.image.resizing import OutputSize

_FIELDS = ("stem", "size", "scale", "model", "ext")

#: Names the output of a photo, from its path and the stem to use.
Namer = Callable[[Location, str], str]

_SHOWN_COLLISIONS = 5

#: Letters in both forms of Unicode and of the case, as bytes: the language of the terminal may not
#: have them. The last pair is one only where cases are folded, and two where letters are compared.
_ONE_PIECE, _TWO_PIECES = "\u00c9".encode(), "E\u0301".encode()
_SHARP_S, _TWO_S = "\u00df".encode(), b"ss"


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
                    f"--name {printable(self.template)}: unknown field {{{printable(field)}}}; "
                    f"expected {', '.join(f'{{{name}}}' for name in _FIELDS)}"
                )
            if field == "model" and self.model is None:
                raise UsageError(
                    "--name with {model} needs a model by -m or -w: auto chooses it by the photo"
                )
            if field == "scale" and self.size.in_pixels:
                raise UsageError("--name with {scale}: the size is given in pixels; use {size}")

    def name(self, photo: Location, stem: str | None = None) -> str:
        """Name the output of a photo.

        The suffix is the photo's own where it fits what the photo is by content, or the usual one
        of the output's format. An object is not opened for that: its name counts.

        Args:
            photo: the file or object.
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
        unfit = platforms.why_unfit(name)
        # A pattern that fits nothing is reported as a photo that is not there.
        if unfit is not None and platforms.why_unfit(photo.name) is None:
            raise UsageError(f"--name {printable(self.template)}: '{printable(name)}': {unfit}")
        if Path(name).name != name or "\0" in name:
            raise UsageError(
                f"--name {printable(self.template)}: '{printable(name)}' is no file name"
            )
        return name

    @staticmethod
    def _kept(photo: Location) -> "Format":
        from dcls_cli.image.formats import default_format
        from dcls_cli.image.heif import has_alpha
        from dcls_cli.image.recognition import recognise

        if isinstance(photo, Address):
            return default_format(format_by_name(photo) or "PNG")
        name = recognise(photo) or "PNG"
        return default_format(name, alpha=name == "HEIF" and has_alpha(photo))

    def _fields(self) -> list[str]:
        """The fields as they are written; what follows a dot or bracket makes a field unknown."""
        try:
            parts = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise UsageError(f"--name {printable(self.template)}: {error}") from error
        if any(spec or conversion for _, _, spec, conversion in parts):
            raise UsageError(f"--name {printable(self.template)}: fields have no format")
        return [field for _, field, _, _ in parts if field is not None]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A photo and the file that it becomes."""

    source: Source
    output: Location


@dataclass(frozen=True)
class Sameness:
    """Which different names a file system takes for one.

    Attributes:
        case: whether upper and lower case are the same.
        forms: whether letters with accents are the same in one piece and in two (NFC, NFD).
        folded: whether a letter and the several that it is in the other case are the same, such as
            a sharp s and two: not on NTFS.
    """

    case: bool
    forms: bool
    folded: bool = False

    def key(self, path: Location) -> str:
        """A text that is equal for equal names."""
        text = os.fspath(path)
        if self.forms:
            text = unicodedata.normalize("NFC", text)
        if self.folded:
            return text.casefold()
        return "".join(map(_upper, text)) if self.case else text


def _upper(letter: str) -> str:
    """As NTFS has it: a letter stays one."""
    upper = letter.upper()
    return upper if len(upper) == 1 else letter


def sameness(folder: Location) -> Sameness:
    """Ask the file system of a folder that can be written; object stores tell all names apart.

    Raises:
        OSError: it cannot be written.
    """
    if isinstance(folder, Address):
        return Sameness(case=False, forms=False)
    with temporaries.opened(folder / os.fsdecode(_ONE_PIECE + _SHARP_S)) as (probe, _):

        def has(other: bytes) -> bool:
            return probe.with_name(os.fsdecode(other)).exists()

        name = os.fsencode(probe.name)
        return Sameness(
            case=has(name.swapcase()),  # of its ASCII letters
            forms=has(name.replace(_ONE_PIECE, _TWO_PIECES)),
            folded=has(name.replace(_SHARP_S, _TWO_S)),
        )


#: What no file system goes beyond.
_LOOSEST = Sameness(case=True, forms=True, folded=True)


class Places:
    """Files that will be made, and of which photos; finds those that the disk takes for one."""

    def __init__(self) -> None:
        """None yet."""
        self._known: dict[str, list[tuple[Path, Location]]] = defaultdict(list)

    def take(self, path: Path, purpose: Location) -> Location | None:
        """Note a file, whatever links lead to its folder.

        Args:
            path: the file.
            purpose: the photo that it is made of.

        Returns:
            What it was noted for before, under this name or one that is the same there.

        Raises:
            UsageError: Windows has no file of this name.
        """
        place = path.resolve() if path.is_symlink() else path.parent.resolve() / path.name
        unfit = platforms.why_unfit(path.name)
        if unfit is not None and platforms.why_unfit(purpose.name) is None:
            raise UsageError(f"{printable(path)}: {unfit}; choose another name")
        others = self._known[_LOOSEST.key(place)]
        for other, known in others:
            if other == place or _is_one(other, place):
                return known
        others.append((place, purpose))
        return None


def _is_one(first: Path, second: Path) -> bool:
    """Ask the file system whether two names are one; of a folder that cannot be asked they are."""
    folder = next(each for each in first.parents if each.exists())
    try:
        same = sameness(folder)
    except OSError:
        return True
    return same.key(first) == same.key(second)


def assign(
    sources: Iterable[Source], out: Location, name_of: Namer, same: Sameness
) -> list[Assignment]:
    """Give each photo the file that it becomes.

    Photos that differ only in their suffix and would get one name get their own suffix into it:
    `a.bmp` becomes `a.bmp_x4.png` where there is an `a.png` too, which keeps `a_x4.png`.

    Args:
        sources: the photos.
        out: the folder of the outputs.
        name_of: see `Namer`.
        same: what the file system of `out` takes for one name.

    Raises:
        UsageError: two photos would still get one file, or a photo would be replaced.
    """
    wanted = [(source, _place(out, source, name_of, source.path.stem)) for source in sources]
    groups = _grouped(wanted, same)
    assignments = []
    for source, output in wanted:
        others = groups[same.key(output)]
        final = output
        if _needs_suffix(source, output, others):
            final = _place(out, source, name_of, source.path.name)
        assignments.append(Assignment(source, final))
    _refuse_one_for_two(assignments, same)
    _refuse_photos(assignments)
    return assignments


def without_outputs(sources: Iterable[Source], out: Location, name_of: Namer) -> list[Source]:
    """Leave out the photos that are the outputs of others, as of an earlier run into `out`."""
    listed = list(sources)
    wanted: dict[Location, Location] = {}
    for source in listed:
        wanted[_resolved(_place(out, source, name_of, source.path.stem))] = source.path
    return [
        source
        for source in listed
        if wanted.get(_resolved(source.path), source.path) == source.path
    ]


def _resolved(place: Location) -> Location:
    """A file's place, whatever links lead to its folder; objects have one address."""
    return place if isinstance(place, Address) else place.parent.resolve() / place.name


def _place(out: Location, source: Source, name_of: Namer, stem: str) -> Location:
    return out / source.relative.parent / name_of(source.path, stem)


def _grouped(wanted: list[tuple[Source, Location]], same: Sameness) -> dict[str, list[Source]]:
    groups: dict[str, list[Source]] = defaultdict(list)
    for source, output in wanted:
        groups[same.key(output)].append(source)
    return groups


def _needs_suffix(source: Source, output: Location, others: list[Source]) -> bool:
    """Whether a photo leaves a name that several want: its suffix must tell it from the others."""
    suffixes = [other.path.suffix.lower() for other in others]
    own = source.path.suffix.lower()
    return len(others) > 1 and suffixes.count(own) == 1 and own != output.suffix.lower()


def _refuse_one_for_two(assignments: list[Assignment], same: Sameness) -> None:
    groups: dict[str, list[Assignment]] = defaultdict(list)
    for item in assignments:
        groups[same.key(item.output)].append(item)
    clashes = [group for group in groups.values() if len(group) > 1]
    if not clashes:
        return
    shown = "; ".join(
        f"{printable(group[0].output)} for "
        + " and ".join(printable(item.source.path) for item in group)
        for group in clashes[:_SHOWN_COLLISIONS]
    )
    hidden = len(clashes) - _SHOWN_COLLISIONS
    more = f"; and {hidden} more" if hidden > 0 else ""
    raise UsageError(
        f"one output would be written for several photos: {shown}{more}; rename them, or give "
        "them in separate runs with different -o"
    )


def _refuse_photos(assignments: list[Assignment]) -> None:
    """No output may be a photo of this run, whatever links of any kind lead to it."""
    photos: dict[object, Location] = {}
    for item in assignments:
        identity = _identity(item.source.path)
        if identity is not None:  # else it fails when its turn comes
            photos[identity] = item.source.path
    for item in assignments:
        photo = photos.get(_identity(item.output))
        if photo is not None:
            raise UsageError(
                f"{printable(item.output)}: the output would replace the photo {printable(photo)}; "
                "choose another folder"
            )


def _identity(place: Location) -> object | None:
    """Equal for the names of one file; None for a file that is not there."""
    return place if isinstance(place, Address) else platforms.identity(place)
