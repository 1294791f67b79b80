"""The objects that an address, a pattern of addresses or a list names, as stores list them."""

import codecs
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dcls_cli.errors import UsageError
from dcls_cli.files import platforms
from dcls_cli.files.addresses import Address, Location, location
from dcls_cli.files.atomic import printable
from dcls_cli.files.remote import check_listable, is_object, listed, matcher, opened

#: Files that name photos, one a line.
LIST_SUFFIX = ".txt"


@dataclass(frozen=True)
class Candidate:
    """An object that was met.

    Attributes:
        address: of it.
        relative: its place in the tree that is kept; None for an object that is left out.
        reason: why it is left out and only counted, in two words.
        problem: why it is left out and reported.
        named: whether it was given by its own name.
        length: bytes; None where it was not listed.
    """

    address: Address
    relative: Path | None = None
    reason: str = ""
    problem: str | None = None
    named: bool = False
    length: int | None = None


@dataclass(frozen=True)
class Listed:
    """What a list names."""

    names: tuple[Location, ...]


def find_stored(
    address: Address, *, recursive: bool, out: Location | None
) -> Iterator[Candidate | Listed]:
    """Find every object that an address names; which of them are photos is not asked here.

    Args:
        address: a prefix, an object, a pattern such as `s3://bucket/scans/**/*.tif`, or a list.
            An object counts before a pattern or a prefix of the same name.
        recursive: whether names with further slashes count.
        out: the prefix of the outputs; what lies below it is left out, unless it is the input.

    Raises:
        UsageError: nothing is there, or fits the pattern.
        DclsError: the store cannot be asked.
    """
    if glob.has_magic(address.parts[1]):
        raise UsageError(f"{printable(address)}: the bucket must have no wildcard")
    if is_object(address):
        if address.suffix.lower() == LIST_SUFFIX:
            yield Listed(tuple(read_list(address)))
        else:
            yield Candidate(address, Path(address.name), named=True)
    elif glob.has_magic(address):
        yield from _matches(address, out)
    else:
        found = False
        outputs = None if _is_same(out, address) else out
        for each in _below(address, outputs, recursive=recursive):
            found = True
            yield each
        if not found:
            raise UsageError(f"{printable(address)}: no such object, and nothing below it")


def _matches(pattern: Address, out: Location | None) -> Iterator[Candidate]:
    """What a pattern fits, below its part without wildcards, but for what lies in `out`."""
    fixed: list[str] = []
    for part in pattern.split("/")[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    base = Address("/".join(fixed))
    wanted = pattern[len(base) + 1 :]
    fits = matcher(wanted)
    outputs = None if _is_same(out, base) else out  # side by side: names tell them apart
    found = False
    for each in _below(base, outputs, recursive="/" in wanted or wanted == "**"):
        if fits(each.address[len(base) + 1 :]):
            found = True
            yield each
    if not found:
        raise UsageError(f"{printable(pattern)}: no object fits this pattern")


def _below(prefix: Address, out: Location | None, *, recursive: bool) -> Iterator[Candidate]:
    """The objects below a prefix, including those that are left out."""
    check_listable(prefix)
    for stored in listed(prefix, recursive=recursive):
        address = Address(f"{prefix.rstrip('/')}/{stored.name}")
        parts = [part for part in stored.name.split("/") if part]
        if address.is_below(out):
            yield Candidate(address, reason="outputs")
        elif not all(map(_is_plain, parts)):
            yield Candidate(address, problem="its name leads out of the folder of the outputs")
        elif any(part.startswith(".") for part in parts):
            yield Candidate(address, reason="hidden")
        else:
            yield Candidate(address, Path(*parts), length=stored.length)


def _is_same(out: Location | None, prefix: Address) -> bool:
    return isinstance(out, Address) and out.rstrip("/") == prefix.rstrip("/")


def _is_plain(part: str) -> bool:
    """Whether a part of an object's name is the name of a file or folder, and leads nowhere."""
    return part not in (".", "..") and "\0" not in part and Path(part).parts == (part,)


#: What programs of Windows write without saying so, besides UTF-8: cmd, and the older ones.
_CODE_PAGES = ("oem", "mbcs")

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def _names_in(content: bytes) -> list[str]:
    """The names of a list in the encoding that it states; else bytes, as names are on Linux.

    Raises:
        ValueError: a line cannot be decoded, or is no text.
    """
    names = []
    for number, line in enumerate(_lines_of(content), start=1):
        if "\0" in line:
            raise ValueError(f"line {number} is no name of a file")
        # Windows' Explorer copies paths in quotation marks, which no name has there.
        name = line.strip('"') if platforms.ON_WINDOWS else line
        if name.strip() and not name.startswith("#"):
            names.append(name)
    return names


def _lines_of(content: bytes) -> list[str]:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            text = content[len(mark) :].decode(
                encoding, "surrogateescape" if mark == codecs.BOM_UTF8 else "strict"
            )
            return _parted(text)
    if not platforms.ON_WINDOWS:
        return list(map(os.fsdecode, content.splitlines()))
    return [_of_windows(line, number) for number, line in enumerate(content.splitlines(), start=1)]


def _of_windows(line: bytes, number: int) -> str:
    """A line in UTF-8, or else in the code page in which it names a file, or in the last one."""
    text = None
    for encoding in ("utf-8", *_CODE_PAGES):
        try:
            text = line.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if encoding == "utf-8" or os.path.lexists(text):
            return text
    if text is None:
        raise ValueError(f"line {number} is in no encoding that is known here")
    return text


def _parted(text: str) -> list[str]:
    """Lines as the bytes of a text have them: a name may hold what Unicode calls a line's end."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_list(place: Location) -> list[Location]:
    """Read the names in a list; empty lines and those that begin with # do not count.

    Raises:
        UsageError: it cannot be read, or is empty.
        DclsError: its store cannot be asked.
    """
    try:
        with opened(place) as file:
            content = file.read()
    except OSError as error:
        raise UsageError(f"{printable(place)}: cannot be read: {error.strerror}") from error
    try:
        names = _names_in(content)
    except ValueError as error:
        raise UsageError(f"{printable(place)}: {error}; save the list as text in UTF-8") from error
    if not names:
        raise UsageError(f"{printable(place)}: an empty list; expected the name of a photo a line")
    places = [location(name) for name in names]
    for named in places:
        if isinstance(named, Address) and not all(map(_is_plain, named.parts)):
            raise UsageError(
                f"{printable(named)}: this name leads out of the folder of the outputs"
            )
    return places
