"""What a batch has to do: which photos, which outputs, and what is done already."""

import errno
import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli import temporaries
from dcls_cli.batching import naming as names
from dcls_cli.batching.done import Size, State, look, measure
from dcls_cli.batching.kinds import why_not
from dcls_cli.batching.selection import Shard, earlier_outputs, fits
from dcls_cli.batching.sources import Found, Source, find
from dcls_cli.cli import console
from dcls_cli.cli.console import visible
from dcls_cli.errors import DclsError, ImageError, UsageError

if TYPE_CHECKING:
    from dcls_cli.cli.batch_tally import BatchTally
    from dcls_cli.cli.naming import Naming
    from dcls_cli.image.resizing import OutputSize


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for; see the options of `dcls batch`.

    Attributes:
        dry_run: nothing may change: no folder is made, no leftovers are removed.
    """

    inputs: tuple[str, ...]
    out: Path
    recursive: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    shard: Shard | None
    limit: int | None
    overwrite: bool
    dry_run: bool = False


@dataclass(frozen=True)
class Item:
    """A photo that has to be restored.

    Attributes:
        source: the photo.
        output: the file that it becomes.
        size: of the photo, as it is stored, pixels; None if it does not tell.
        sizes: what the output may have, pixels; empty if the photo does not tell.
        replace: whether the output may be replaced.
        renamed: whether its suffix tells its output from that of another photo.
    """

    source: Path
    output: Path
    size: Size | None
    sizes: frozenset[Size]
    replace: bool = False
    renamed: bool = False

    @property
    def pixels(self) -> int:
        """Of the photo; 0 if it does not tell."""
        return self.size[0] * self.size[1] if self.size is not None else 0

    def is_done(self) -> bool:
        """Whether the output is there, whole, and of the right size."""
        return look(self.output, set(self.sizes)).state is State.WHOLE


def folder_beside(inputs: Sequence[str], size: "OutputSize") -> Path:
    """The folder that outputs go to where none is named: `photos_x4` beside `photos`.

    Raises:
        UsageError: there is more than one input, or it is no folder, or the root of a disk.
    """
    first = Path(inputs[0])
    if len(inputs) > 1:
        raise UsageError("several inputs need -o FOLDER, the folder for the outputs")
    if not first.exists() and not glob.has_magic(inputs[0]):
        raise UsageError(f"{visible(first)}: no such file or folder")
    if not first.is_dir():
        raise UsageError(f"{visible(first)}: not a folder; -o FOLDER names the one for the outputs")
    # `.` and `..` have no name of their own; a link keeps its name.
    named = first if first.name not in ("", "..") else Path(os.path.abspath(first))  # noqa: PTH100
    if not named.name:
        raise UsageError(f"{visible(first)}: nothing lies beside it; -o FOLDER is needed")
    return named.with_name(f"{named.name}_{size.label}")


def prepare_folder(out: Path, *, dry_run: bool) -> None:
    """Make the folder of the outputs and find out whether it can be written.

    Args:
        out: the folder.
        dry_run: make none; find out whether one could be made.

    Raises:
        UsageError: it is a file.
        DclsError: it cannot be made or written.
    """
    from dcls_cli.atomic import check_writable

    if out.exists() and not out.is_dir():
        raise UsageError(f"{visible(out)}: is a file, expected a folder for the outputs")
    try:
        if not dry_run:
            out.mkdir(parents=True, exist_ok=True)
        check_writable(nearest(out) / "output.png")
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise UsageError(f"{visible(out)}: cannot be made: {reason}") from error
        raise DclsError(f"{visible(out)}: cannot be written: {reason}") from error


def nearest(out: Path) -> Path:
    """The folder itself, or the one in which it will be made."""
    return next(folder for folder in (out, *out.absolute().parents) if folder.exists())


def plan(wanted: Wanted, naming: "Naming", size: "OutputSize", tally: "BatchTally") -> list[Item]:
    """Find the photos, name their outputs, and leave out what is done.

    Args:
        wanted: what the command line asks for.
        naming: names the outputs.
        size: of the outputs.
        tally: counts photos that have failed already, are done, or are left.

    Raises:
        UsageError: nothing fits the inputs, or two photos would get one output.
    """
    found = find(wanted.inputs, recursive=wanted.recursive, out=wanted.out)
    photos = _photos(found, wanted, naming)
    for text in found.notes:
        console.note(text)
    for folder, reason in found.problems:
        tally.fail(folder, None, DclsError(reason))
    tally.left_out = dict(found.left_out)
    same = names.sameness(nearest(wanted.out))
    assignments = names.assign(photos, wanted.out, naming.name, same)
    if not wanted.dry_run:
        _clean({each.output.parent for each in assignments})
    items = []
    for each in assignments:
        if wanted.shard is None or wanted.shard.has(each.source):
            item = _item(each.source.path, each.output, naming, size)
            todo = replace(item, replace=True) if wanted.overwrite else _unsettled(item, tally)
            items += [todo] if todo is not None else []
    chosen = items[: wanted.limit]
    for left in items[len(chosen) :]:
        tally.leave(left.source, left.output)
    return chosen


def _clean(folders: Iterable[Path]) -> None:
    """Remove what a run that was killed has left, also where nothing is left to do."""
    for folder in folders:
        if folder.is_dir():
            temporaries.remove_stale(folder)


def _photos(found: Found, wanted: Wanted, naming: "Naming") -> list[Source]:
    """Keep what is a photo, wanted, and no output of an earlier run; count the rest."""
    photos: list[Source] = []
    for source in found.sources:
        reason = None
        if not fits(source.relative, wanted.include, wanted.exclude):
            reason = "not wanted"
        reason = reason or why_not(source.path)
        if reason is None:
            photos.append(source)
        else:
            found.left_out[reason] += 1
    outputs = earlier_outputs(photos)
    kept = [source for source in photos if source.path not in outputs]
    kept = names.without_outputs(kept, wanted.out, naming.name)
    if len(kept) < len(photos):
        found.left_out["outputs"] += len(photos) - len(kept)
    return kept


def _item(source: Path, output: Path, naming: "Naming", wanted: "OutputSize") -> Item:
    """Measure a photo, and what it becomes: its orientation may turn it."""
    renamed = output.name != naming.name(source)
    size = measure(source) if source.is_file() else None
    if size is None:
        return Item(source, output, None, frozenset(), renamed=renamed)
    fitted = (wanted.of(*each) for each in (size, size[::-1]))
    return Item(source, output, size, frozenset(fitted), renamed=renamed)


def _unsettled(item: Item, tally: "BatchTally") -> Item | None:
    """What is left to do for a photo; nothing, and a report, if it is done or cannot be."""
    seen = look(item.output, set(item.sizes))
    if seen.state is State.WHOLE:
        tally.skip(item.source, item.output)
        return None
    if seen.state is State.OTHER and item.sizes:
        tally.fail(item.source, item.output, _not_ours(item.output, seen.size, item.sizes))
        return None
    if seen.state is State.DAMAGED:
        console.note(f"{item.output}: is there but damaged; made again")
        return replace(item, replace=True)
    return item


def _not_ours(output: Path, size: Size | None, sizes: Iterable[Size]) -> ImageError:
    has = f"{size[0]}x{size[1]} pixels" if size else "no image"
    expected = " or ".join(f"{width}x{height}" for width, height in sorted(sizes))
    return ImageError(
        f"{visible(output)}: exists already and is not the output of this photo: {has}, expected "
        f"{expected}; choose another folder or replace it with --overwrite"
    )
