"""From a request to tasks: every output is named and every conflict is found before any work."""

import functools
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.errors import DclsError, UsageError
from dcls_cli.files import platforms, remote, temporaries
from dcls_cli.files.addresses import Address, Location, local, location
from dcls_cli.files.atomic import printable
from dcls_cli.image import WRITABLE
from dcls_cli.jobs.catalogue import Catalogue, Source
from dcls_cli.jobs.events import Failed, Left, Noted, Task
from dcls_cli.jobs.naming import (
    Naming,
    Places,
    name_all,
    output_at,
    outputs_of_others,
    part,
    sameness,
)
from dcls_cli.jobs.output_folders import nearest, output_folder
from dcls_cli.jobs.resuming import left_of, measured, sized
from dcls_cli.jobs.selection import earlier_outputs, fits
from dcls_cli.jobs.sources import Found, find, why_not
from dcls_cli.jobs.streams import STREAM

if TYPE_CHECKING:
    from dcls_cli.image.resizing import OutputSize
    from dcls_cli.jobs.events import Emit
    from dcls_cli.jobs.networks import Networks
    from dcls_cli.jobs.records import Records
    from dcls_cli.jobs.request import Request

KERNEL_SUFFIXES = (".npy", ".png")

REPORT_SUFFIXES = (".html", ".htm")


#: What becomes of the photos in a catalogue; those without a state are not worked on.
_CHOSEN, _REPLACED = 1, 2


class Tasks:
    """The tasks of a batch in order, of the photos in a catalogue that have a state."""

    def __init__(self, photos: Catalogue, out: Location, size: "OutputSize", count: int) -> None:
        """Take the photos of a catalogue, whose outputs get a size, and how many have a state."""
        self._photos = photos
        self._out = out
        self._size = size
        self._count = count

    def __len__(self) -> int:
        """How many."""
        return self._count

    def __iter__(self) -> Iterator[Task]:
        """Each of them, a few read at a time."""
        for source, name, renamed, size, state in self._photos.chosen():
            task = _task(source, output_at(self._out, source, name), renamed=renamed)
            yield replace(sized(task, self._size, size), replace=state == _REPLACED)


@dataclass(frozen=True)
class Plan:
    """What has to be done.

    Attributes:
        tasks: in order.
        left_out: number of files that are no inputs, by reason.
    """

    tasks: Tasks
    left_out: Counter[str] = field(default_factory=Counter)


def naming_of(request: "Request", networks: "Networks") -> Naming:
    """How the outputs of a request are named that have no name yet.

    Raises:
        UsageError: the template cannot be filled.
    """
    return Naming(
        template=request.name,
        size=request.size(networks.factor),
        model=networks.fixed_name,
        format=request.encoding.format,
    )


# Photos that are named one by one, each failing for itself.


def plan_photos(request: "Request", naming: Naming) -> list[Task]:
    """Name the outputs of photos that are given by name, and refuse what would lose a file.

    The output of the request is a file for one photo; a folder for several, or where it ends in a
    slash or exists; None for a name beside each photo; `-` for stdout.

    Raises:
        UsageError: one output for several photos, a name that is none, or an output that is one of
            the inputs.
    """
    for text in (*request.inputs, request.output or ""):
        if isinstance(location(text), Address):
            raise UsageError(f"{printable(text)}: addresses are for batches; dcls batch takes them")
    photos = [Path(text) for text in request.inputs]
    if request.output is None:
        _refuse_output_as_photo(photos)
    _check_file("--save-kernel takes the kernel", request.save_kernel, KERNEL_SUFFIXES, photos)
    _check_file("--report takes the evidence", request.evidence, REPORT_SUFFIXES, photos)
    folder = output_folder(request)
    tasks = []
    for text, photo in zip(request.inputs, photos, strict=True):
        if request.output is not None and folder is None:
            target = Path(request.output)
        else:
            target = (folder or photo.parent) / naming.name(photo)
        task = Task(
            source=photo,
            output=target,
            kernel=request.save_kernel,
            evidence=request.evidence,
            from_stdin=text == STREAM,
            to_stdout=request.output == STREAM,
            replace=request.overwrite,
        )
        tasks.append(task)
    _refuse_collisions(tasks)
    return tasks


def _refuse_output_as_photo(photos: Sequence[Path]) -> None:
    """Refuse `in.jpg out.jpg`, as other programs have it."""
    if len(photos) != 2:
        return
    first, second = photos
    if first.exists() and second.suffix.lower() in WRITABLE and not os.path.lexists(second):
        raise UsageError(
            f"{printable(second)}: no such photo; if it is the output: dcls upscale "
            f"{printable(first)} -o {printable(second)}"
        )


def _check_file(
    takes: str, path: Path | None, suffixes: tuple[str, ...], photos: list[Path]
) -> None:
    """Refuse an option that names one file for several photos, or a file of another kind."""
    if path is None:
        return
    if len(photos) > 1:
        raise UsageError(f"{takes} of one photo; give one photo")
    if path.suffix.lower() not in suffixes:
        option = takes.partition(" ")[0]
        raise UsageError(f"{printable(path)}: {option} writes {' or '.join(suffixes)}")


def _refuse_collisions(tasks: list[Task]) -> None:
    """Compare all outputs with each other and with all inputs."""
    places = Places()
    for task in tasks:
        output = None if task.to_stdout else local(task.output)
        files = (output, task.kernel, task.evidence)
        for target in filter(None, files):
            taken = places.take(target, task.source)
            if taken is not None:
                raise UsageError(
                    f"{printable(target)}: would be written for both {printable(taken)} and "
                    f"{printable(task.source)}; up-scale them into different folders"
                )
            for other in tasks:
                if not other.from_stdin and _same_file(target, local(other.source)):
                    raise UsageError(
                        f"{printable(target)}: the output would replace the input "
                        f"{printable(other.source)}; choose another name"
                    )


def _place(path: Path) -> Path:
    """Where a file that may not exist yet will be, whatever links lead to its folder."""
    return path.parent.resolve() / path.name


def _same_file(path: Path, other: Path) -> bool:
    """Whether two names lead to one file, through links of any kind or none."""
    return platforms.is_same_file(path, other) or _place(path) == _place(other)


# Photos of folders, patterns and lists, of which those that are done are skipped.


def plan_batch(
    request: "Request", out: Location, naming: Naming, records: "Records", emit: "Emit"
) -> Plan:
    """Find the photos, name their outputs, and leave out those that are done.

    Photos and outputs in object stores are not looked into here, where there may be millions: the
    worker of such a photo finds out whether it is done.

    Args:
        request: its inputs are folders, photos, patterns and lists, also of objects.
        out: folder or prefix of the outputs, which keeps the tree of the inputs.
        naming: names the outputs.
        records: of how outputs were made.
        emit: is given what has failed already, is done, or is left, and remarks.

    Raises:
        UsageError: nothing fits the inputs, or two photos would get one output.
        DclsError: a store cannot be asked.
    """
    found = find(request.inputs, recursive=request.recursive, out=out)
    photos = found.sources
    _leave_out(found, request, out, naming)
    for text in found.notes:
        emit(Noted(text))
    for folder, reason in found.problems:
        emit(Failed(folder, DclsError(reason)))
    part(photos, out, naming.name, sameness(out if isinstance(out, Address) else nearest(out)))
    if not request.dry_run:
        _clean(photos, out)
    left = functools.partial(_left, records=records, request=request, emit=emit)
    waiting = _limited(_waiting(photos, out, naming.size, request, left), request, emit)
    count = photos.choose(
        (number, task.size, _REPLACED if task.replace else _CHOSEN) for number, task in waiting
    )
    return Plan(Tasks(photos, out, naming.size, count), found.left_out)


def _waiting(
    photos: Catalogue,
    out: Location,
    size: "OutputSize",
    request: "Request",
    left_of_task: Callable[[Task], Task | None],
) -> Iterator[tuple[int, Task, bool]]:
    """The photos that are not done, and whether each is probably done: its output is an object."""
    exists = _existing(photos, out, request)
    for number, source, name in photos.named():
        if request.shard is not None and not request.shard.has(source):
            continue
        task = _task(source, output_at(out, source, name))
        if not task.is_remote:
            task = _measured(task, size)
        there = task.is_remote and exists(task.output)
        left: Task | None = task
        if request.overwrite:
            left = replace(task, replace=True)
        elif not task.is_remote:
            left = left_of_task(task)
        elif there and request.dry_run:  # what its worker would find out
            left = left_of_task(_measured(task, size))
        if left is not None:
            yield number, left, there and not request.dry_run


def _limited(
    waiting: Iterable[tuple[int, Task, bool]], request: "Request", emit: "Emit"
) -> Iterator[tuple[int, Task]]:
    """As many tasks as are wanted this time, and those that are probably done."""
    room = math.inf if request.limit is None else request.limit
    for number, task, is_probably_done in waiting:
        if is_probably_done:
            yield number, task
        elif room:
            room -= 1
            yield number, task
        else:
            emit(Left(task))


def _existing(photos: Catalogue, out: Location, request: "Request") -> Callable[[Location], bool]:
    """Whether the output of a remote task is there, whole or not; a store is asked at once."""
    if request.overwrite or not (request.dry_run or request.limit is not None):
        return lambda _: False
    if not isinstance(out, Address):
        return remote.is_there
    photos.mark("stored", ((out / each.name, 0) for each in remote.listed_if_any(out)))
    return lambda output: bool(photos.marked("stored", os.fspath(output)))


def _clean(photos: Catalogue, out: Location) -> None:
    """Remove what a run that was killed has left, also where nothing is left to do."""
    if isinstance(out, Address):
        return

    @functools.lru_cache(maxsize=4096)
    def clean(folder: Path) -> None:
        if folder.is_dir():
            temporaries.remove_stale(folder)

    for source in photos:
        clean(out / source.relative.parent)


def _leave_out(found: Found, request: "Request", out: Location, naming: Naming) -> None:
    """Keep what is a photo, wanted, and no output of an earlier run; count the rest."""
    photos = found.sources

    def others() -> Iterator[int]:
        for number, source, _ in photos.named():
            reason = None
            if not fits(source.relative, request.include, request.exclude):
                reason = "not wanted"
            elif not source.named:
                reason = why_not(source.path)
            if reason is not None:
                found.left_out[reason] += 1
                yield number

    photos.remove(others())
    outputs = photos.remove(earlier_outputs(photos))
    name_all(photos, naming.name)
    outputs += photos.remove(outputs_of_others(photos, out))
    if outputs:
        found.left_out["outputs"] += outputs


def _task(source: Source, output: Location, *, renamed: bool = False) -> Task:
    return Task(
        source=source.path,
        output=output,
        renamed=renamed,
        makes_folder=True,
        length=source.length,
    )


def _measured(task: Task, wanted: "OutputSize") -> Task:
    """Read the header of a photo, unless opening it might block."""
    place = task.source
    if not isinstance(place, Address) and not place.is_file():
        return task
    return measured(task, wanted)


def _left(task: Task, records: "Records", request: "Request", emit: "Emit") -> Task | None:
    """The task that remains for a photo; None, and an event, if it is done or has failed."""
    try:
        return left_of(task, records, request, emit)
    except DclsError as error:
        emit(Failed(task.source, error, task))
        return None
