"""The photos that a folder, a pattern or a list names, and what was left out and why."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dcls_cli.errors import UsageError
from dcls_cli.files import platforms
from dcls_cli.files.addresses import Address, Location, location
from dcls_cli.files.atomic import printable
from dcls_cli.image.folders import Walk, is_claimed
from dcls_cli.image.recognition import recognise
from dcls_cli.jobs.catalogue import Catalogue, Source
from dcls_cli.jobs.existing_outputs import measure
from dcls_cli.jobs.stored_sources import LIST_SUFFIX, Listed, find_stored, read_list


@dataclass
class Found:
    """What a command line names.

    Attributes:
        sources: in the order of their names, each once.
        problems: what cannot be looked into, with the reason.
        notes: what was met and is no photo, a sentence each.
        left_out: number of files by reason.
    """

    sources: Catalogue = field(default_factory=Catalogue)
    problems: list[tuple[Location, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def find(inputs: Iterable[str], *, recursive: bool, out: Location | None) -> Found:
    """Find every file that the inputs name; which of them are photos is not asked here.

    Args:
        inputs: folders, files, patterns such as `scans/**/*.tif`, and lists: files that end in
            `.txt` and name one file a line. All of them may be addresses of objects, `s3://...`,
            and a list may name some.
        recursive: whether folders within folders count.
        out: the folder of the outputs; it is not entered, unless it is itself an input.

    Raises:
        UsageError: an input that does not exist, or a pattern that fits nothing.
        DclsError: a store cannot be asked.
    """
    found = Found()
    for text in inputs:
        for source in _sources(text, found, recursive=recursive, out=out):
            if not found.sources.add(source):
                found.left_out["named twice"] += 1
    return found


def _sources(text: str, found: Found, *, recursive: bool, out: Location | None) -> Iterator[Source]:
    path = location(text)
    if isinstance(path, Address):
        yield from _stored(path, found, recursive=recursive, out=out)
        return
    folder = None if isinstance(out, Address) else out
    if path.is_dir():
        walk = Walk(path, recursive=recursive, out=folder)
        for entry in walk.files():
            yield Source(entry, entry.relative_to(path))
        found.problems += walk.problems
        found.notes += walk.notes
        found.left_out += walk.left_out
    elif path.suffix.lower() == LIST_SUFFIX and path.is_file():
        yield from _below_common(read_list(path))
    elif os.path.lexists(path):
        yield Source(path, Path(path.name))
    elif glob.has_magic(text):
        yield from _matches(os.fspath(path), found, folder)
    else:
        # cmd takes the backslash of "C:\\my photos\\" for one that belongs to the quotation mark.
        hint = "; leave out the backslash before the closing quotation mark" if '"' in text else ""
        raise UsageError(f"{printable(path)}: no such file or folder{hint}")


def _stored(
    address: Address, found: Found, *, recursive: bool, out: Location | None
) -> Iterator[Source]:
    """The objects that an address names; see `find_stored`."""
    for each in find_stored(address, recursive=recursive, out=out):
        if isinstance(each, Listed):
            yield from _below_common(each.names)
        elif isinstance(each.relative, Path):
            yield Source(each.address, each.relative, each.named, each.length)
        elif each.problem is not None:
            found.problems.append((each.address, each.problem))
        else:
            found.left_out[each.reason] += 1


def _matches(pattern: str, found: Found, out: Path | None) -> Iterator[Source]:
    """What a pattern fits, below its part without wildcards, but for what lies in `out`."""
    names = sorted(glob.glob(pattern, recursive=True), key=os.fsencode)  # noqa: PTH207
    files = [Path(name) for name in names if not Path(name).is_dir()]
    if not files:
        raise UsageError(f"{printable(Path(pattern))}: no file fits this pattern")
    fixed: list[str] = []
    anchor = Path(pattern).anchor  # the ? of Windows' long paths is no wildcard
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part) and part != anchor:
            break
        fixed.append(part)
    base = Path(*fixed)
    if ".." in Path(pattern).parts[len(fixed) :]:
        raise UsageError(f"{printable(pattern)}: '..' must stand before the first wildcard")
    outputs = out.resolve() if out is not None else None
    if outputs == base.resolve():  # photos and outputs side by side: names tell them apart
        outputs = None
    for path in files:
        if outputs is not None and path.resolve().is_relative_to(outputs):
            found.left_out["outputs"] += 1
        else:
            yield Source(path, path.relative_to(base))


def _below_common(places: Sequence[Location]) -> Iterator[Source]:
    """The files and objects of a list, each kind below the folder that it shares."""
    stored = [place for place in places if isinstance(place, Address)]
    paths = [place for place in places if not isinstance(place, Address)]
    shared = os.path.commonprefix([address.parts[:-1] for address in stored])  # whole parts
    for address in stored:
        yield Source(address, Path(*address.parts[len(shared) :]), named=True)
    yield from _below_common_folder(paths)


def _below_common_folder(paths: Sequence[Path]) -> Iterator[Source]:
    # Only dots are resolved: a link to a photo has its own place in the tree.
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100
    try:
        base = os.path.commonpath([place.parent for place in absolute]) if paths else ""
    except ValueError:  # several drives of Windows: no tree to keep
        return (Source(path, Path(path.name), named=not os.path.lexists(path)) for path in paths)
    # What is not there is taken for a photo, whatever its name, so that it is missed.
    return (
        Source(path, place.relative_to(base), named=not os.path.lexists(path))
        for path, place in zip(paths, absolute, strict=True)
    )


#: Raw files of cameras are TIFF by their first bytes, and what TIFF decoders see is a preview.
_RAW = frozenset(
    f".{name}"
    for name in (
        *("3fr", "arw", "cr2", "dcr", "dng", "erf", "iiq", "kdc", "mef", "mos"),
        *("nef", "nrw", "orf", "pef", "rw2", "rwl", "sr2", "srf", "srw"),
    )
)


def why_not(path: Location) -> str | None:
    """Say why a file is no input; None if it is one.

    A file is one if its name claims so, when errors in it are reported, or if its content can be
    opened as a format that is read. An object is not opened: its name counts.
    """
    if is_claimed(path):
        return None
    if path.suffix.lower() in _RAW:
        return "camera raw"
    if isinstance(path, Address):
        return "not a photo"
    if path.is_file():
        status = path.stat()
        if status.st_size == 0:  # files of /proc, which may wait when read
            return "not a photo"
        if platforms.is_placeholder(status):
            return "not downloaded from the cloud"
    return "not a photo" if recognise(path) is None or measure(path) is None else None
