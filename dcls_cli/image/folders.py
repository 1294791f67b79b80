"""Photos in folders: what a name must end in, and the one way in which folders are walked.

Every command looks for pictures in this way: what `dcls batch` restores, `dcls eval` measures and
`dcls train` learns from.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath

from dcls_cli.errors import ImageError
from dcls_cli.files import platforms, temporaries
from dcls_cli.files.addresses import Address
from dcls_cli.files.atomic import printable
from dcls_cli.files.platforms import identity

#: Names of files that claim to be photos end so, by the format that is read.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "HEIF": (".heic", ".heif", ".hif"),
}


def format_by_name(path: PurePath | Address) -> str | None:
    """The format that a name claims, by Pillow's name; None for one of no format that is read."""
    suffix = path.suffix.lower()
    return next((name for name, suffixes in SUFFIXES.items() if suffix in suffixes), None)


def is_claimed(path: PurePath | Address) -> bool:
    """Whether a name claims to be a photo of a format that is read."""
    return format_by_name(path) is not None


def images_in(folder: Path, *, recursive: bool) -> list[Path]:
    """The files of a folder whose names claim to be photos, without hidden ones, by path.

    Args:
        folder: where to look.
        recursive: whether folders within it count.

    Raises:
        ImageError: a folder cannot be read; nothing is left out without a word.
    """
    walk = Walk(folder, recursive=recursive, out=None)
    found = sorted(path for path in walk.files() if is_claimed(path))
    if walk.problems:
        place, reason = walk.problems[0]
        raise ImageError(f"{printable(place)}: {reason}")
    return found


class Walk:
    """Walks through a folder in the order of names, real folders before links to folders.

    A folder that was entered already, as a link in a loop leads to, is not entered again. Hidden
    files and folders are left out; see `platforms.is_hidden`.

    Attributes:
        problems: folders that cannot be read, with the reason.
        notes: what was met and is no photo, a sentence each.
        left_out: number of files by reason.
    """

    def __init__(self, top: Path, *, recursive: bool, out: Path | None) -> None:
        """Walk below `top`, but not into `out`."""
        self.problems: list[tuple[Path, str]] = []
        self.notes: list[str] = []
        self.left_out: Counter[str] = Counter()
        self._top = top
        self._recursive = recursive
        self._out = identity(out) if out is not None else None
        self._entered: set[object] = set()
        self._links: list[Path] = []

    def files(self) -> Iterator[Path]:
        """Everything that is no folder, FIFOs and dangling links too."""
        yield from self._enter(self._top)
        while self._links:
            link = self._links.pop(0)
            if identity(link) in self._entered:
                self.notes.append(f"{link}: leads to a folder that is done already; not followed")
            else:
                yield from self._enter(link)

    def _enter(self, folder: Path) -> Iterator[Path]:
        pending = [folder]
        while pending:
            here = pending.pop()
            this = identity(here)
            if this is None or this in self._entered:
                continue
            self._entered.add(this)
            try:
                with os.scandir(here) as entries:
                    ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
            except OSError as error:
                self.problems.append((here, f"cannot be read: {error.strerror}"))
                continue
            folders: list[Path] = []
            for entry in ordered:
                yield from self._sort(entry, folders)
            pending += reversed(folders)

    def _sort(self, entry: "os.DirEntry[str]", folders: list[Path]) -> Iterator[Path]:
        """Yield a file; put a folder where it belongs."""
        path = Path(entry.path)
        if temporaries.is_temporary(entry.name):
            return
        if not _is_folder(entry):
            if platforms.is_hidden(entry):
                self.left_out["hidden"] += 1
            else:
                yield path
            return
        if not self._recursive or platforms.is_hidden(entry) or identity(path) == self._out:
            return
        if is_claimed(path):
            self.notes.append(f"{printable(path)}: a folder, not an image; its photos count")
        if platforms.is_link(entry):
            self._links.append(path)
        else:
            folders.append(path)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
