"""The folders that outputs go to: which one is meant, whether it can be written, and making it."""

import errno
import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.errors import DclsError, UsageError
from dcls_cli.files import remote
from dcls_cli.files.addresses import Address, Location, location
from dcls_cli.files.atomic import check_writable, printable
from dcls_cli.image import WRITABLE
from dcls_cli.jobs.streams import STREAM

if TYPE_CHECKING:
    from dcls_cli.image.resizing import OutputSize
    from dcls_cli.jobs.naming import Naming
    from dcls_cli.jobs.request import Request


def output_folder(request: "Request") -> Path | None:
    """The folder that the output of named photos is, or None if it is a file or not given.

    Raises:
        UsageError: it is a file for several photos.
    """
    output = request.output
    if output in (None, STREAM):
        return None
    path = Path(output)
    ends_in_slash = output.endswith(("/", os.sep))
    if path.is_dir() or ends_in_slash:
        return path
    if len(request.inputs) == 1:
        return None
    if path.exists() or path.suffix.lower() in WRITABLE:
        raise UsageError(f"{printable(output)}: several photos need a folder as --output")
    return path


def make_folder(folder: Path | None) -> None:
    """Make the folder that outputs go to, if there is one.

    Raises:
        DclsError: it cannot be made.
    """
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DclsError(f"{printable(folder)}: cannot be made: {error.strerror}") from error


@contextmanager
def temporary_folder(folder: Path | None) -> Iterator[None]:
    """Make the folder that outputs would go to, and remove what was made.

    Raises:
        DclsError: it cannot be made.
    """
    places = () if folder is None else (folder, *folder.parents)
    made = [place for place in places if not place.exists()]
    make_folder(folder)
    try:
        yield
    finally:
        for place in made:
            place.rmdir()


def output_of(request: "Request", naming: "Naming") -> Location:
    """The folder or prefix that the outputs of a batch go to.

    Raises:
        UsageError: none is given, and there is none beside the inputs.
    """
    if not request.output:
        return folder_beside(request.inputs, naming.size)
    return location(request.output)


def folder_beside(inputs: Sequence[str], size: "OutputSize") -> Path:
    """The folder that outputs go to where none is named: `photos_x4` beside `photos`.

    Raises:
        UsageError: there is more than one input, or it is no folder, or the root of a disk.
    """
    first = location(inputs[0])
    if len(inputs) > 1:
        raise UsageError("several inputs need -o FOLDER, the folder for the outputs")
    if isinstance(first, Address):
        raise UsageError(f"{printable(first)}: needs -o, a folder or an address for the outputs")
    if not first.exists() and not glob.has_magic(inputs[0]):
        raise UsageError(f"{printable(first)}: no such file or folder")
    if not first.is_dir():
        raise UsageError(
            f"{printable(first)}: not a folder; -o FOLDER names the one for the outputs"
        )
    # `.` and `..` have no name of their own; a link keeps its name.
    named = first if first.name not in ("", "..") else Path(os.path.abspath(first))  # noqa: PTH100
    if not named.name:
        raise UsageError(f"{printable(first)}: nothing lies beside it; -o FOLDER is needed")
    return named.with_name(f"{named.name}_{size.label}")


def prepare_folder(out: Location, *, dry_run: bool) -> None:
    """Make the folder of a batch and find out whether it can be written.

    Args:
        out: the folder, or the prefix of objects, which need none.
        dry_run: make none; find out whether one could be made.

    Raises:
        UsageError: it is a file.
        DclsError: it cannot be made or written.
    """
    if isinstance(out, Address):
        if dry_run:
            remote.check_listable(out)
        else:
            remote.check_writable(out / "output.png")
        return
    if out.exists() and not out.is_dir():
        raise UsageError(f"{printable(out)}: is a file, expected a folder for the outputs")
    try:
        if not dry_run:
            out.mkdir(parents=True, exist_ok=True)
        check_writable(nearest(out) / "output.png")
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise UsageError(f"{printable(out)}: cannot be made: {reason}") from error
        raise DclsError(f"{printable(out)}: cannot be written: {reason}") from error


def nearest(out: Path) -> Path:
    """The folder itself, or the one in which it will be made."""
    return next(folder for folder in (out, *out.absolute().parents) if folder.exists())
