"""What the outputs are called, so that no two photos get one file."""

import functools
import os
import string
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.errors import UsageError
from dcls_cli.files import platforms, temporaries
from dcls_cli.files.addresses import Address, Location
from dcls_cli.files.atomic import printable
from dcls_cli.image.folders import format_by_name
from dcls_cli.jobs.catalogue import Catalogue, Source

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
    """A template for names, and its values for every photo of one command line.

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


def name_all(photos: Catalogue, name_of: Namer) -> None:
    """Name the output of each photo by its stem."""
    photos.rename(
        (number, name_of(source.path, source.path.stem)) for number, source, _ in photos.named()
    )


def outputs_of_others(photos: Catalogue, out: Location) -> Iterator[int]:
    """Find the photos that are the outputs of others, as of an earlier run into `out`.

    Args:
        photos: named by `name_all`.
        out: the folder of the outputs.

    Yields:
        Their numbers.
    """
    resolved = functools.lru_cache(maxsize=4096)(Path.resolve)  # asked once for many photos

    def place(location: Location) -> str:
        """A file's place, whatever links lead to its folder; objects have one address."""
        if isinstance(location, Address):
            return location
        return f"{resolved(location.parent)}/{location.name}"

    photos.mark("output", ((place(output), number) for number, _, output in _outputs(photos, out)))
    for number, source, _ in photos.named():
        makers = photos.marked("output", place(source.path))
        if makers and makers[-1] != number:
            yield number


def part(photos: Catalogue, out: Location, name_of: Namer, same: Sameness) -> None:
    """Part outputs that would get one name.

    Photos that differ only in their suffix and would get one name get their own suffix into it:
    `a.bmp` becomes `a.bmp_x4.png` where there is an `a.png` too, which keeps `a_x4.png`.

    Args:
        photos: named by `name_all`.
        out: the folder of the outputs.
        name_of: see `Namer`.
        same: what the file system of `out` takes for one name.

    Raises:
        UsageError: two photos would still get one file, or a photo would be replaced.
    """
    photos.mark("name", ((same.key(output), number) for number, _, output in _outputs(photos, out)))
    photos.rename(_with_suffixes(photos, name_of))
    photos.mark(
        "final", ((same.key(output), number) for number, _, output in _outputs(photos, out))
    )
    _refuse_one_for_two(photos, out)
    _refuse_photos(photos, out)


def output_at(out: Location, source: Source, name: str) -> Location:
    """The place of an output, in the tree of its photo."""
    return out / source.relative.parent / name


def _outputs(photos: Catalogue, out: Location) -> Iterator[tuple[int, Source, Location]]:
    """The numbers, photos and outputs."""
    for number, source, name in photos.named():
        yield number, source, output_at(out, source, name)


def _with_suffixes(photos: Catalogue, name_of: Namer) -> Iterator[tuple[int, str]]:
    """New names of those that leave one that several want."""
    for numbers in photos.shared("name"):
        group = photos.at(numbers)
        suffixes = [source.path.suffix.lower() for source, _ in group]
        for number, (source, name), suffix in zip(numbers, group, suffixes, strict=True):
            # Its suffix must tell it from the others.
            if suffixes.count(suffix) == 1 and suffix != Path(name).suffix.lower():
                yield number, name_of(source.path, source.path.name)


def _refuse_one_for_two(photos: Catalogue, out: Location) -> None:
    count, first = 0, list[list[int]]()
    for numbers in photos.shared("final"):
        count += 1
        first = sorted([*first, numbers])[:_SHOWN_COLLISIONS]
    if not count:
        return
    shown = []
    for group in map(photos.at, first):
        names = " and ".join(printable(source.path) for source, _ in group)
        shown.append(f"{printable(output_at(out, *group[0]))} for {names}")
    hidden = count - _SHOWN_COLLISIONS
    more = f"; and {hidden} more" if hidden > 0 else ""
    raise UsageError(
        f"one output would be written for several photos: {'; '.join(shown)}{more}; rename them, "
        "or give them in separate runs with different -o"
    )


def _refuse_photos(photos: Catalogue, out: Location) -> None:
    """No output may be a photo of this run, whatever links of any kind lead to it."""
    photos.mark(
        "photo",
        (
            (identity, number)  # a photo without one fails when its turn comes
            for number, source, _ in photos.named()
            if (identity := _identity(source.path)) is not None
        ),
    )
    for _, _, output in _outputs(photos, out):
        identity = _identity(output)
        replaced = [] if identity is None else photos.marked("photo", identity)
        if replaced:
            ((photo, _),) = photos.at(replaced[-1:])
            raise UsageError(
                f"{printable(output)}: the output would replace the photo {printable(photo.path)}; "
                "choose another folder"
            )


def _identity(place: Location) -> str | None:
    """Equal for the names of one file; None for a file that is not there."""
    if isinstance(place, Address):
        return place
    identity = platforms.identity(place)
    return None if identity is None else repr(identity)
