"""The work that remains for a photo whose output may exist already."""

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from dcls_cli.errors import ImageError
from dcls_cli.files.addresses import Location
from dcls_cli.files.atomic import printable
from dcls_cli.jobs.events import Noted, Skipped, Task
from dcls_cli.jobs.existing_outputs import Size, State, look, measure

if TYPE_CHECKING:
    from dcls_cli.image.resizing import OutputSize
    from dcls_cli.jobs.events import Emit
    from dcls_cli.jobs.records import Records
    from dcls_cli.jobs.request import Request


def measured(task: Task, wanted: "OutputSize") -> Task:
    """A task with the size of its photo, and those of its output: its orientation may turn it.

    Raises:
        DclsError: an object's store cannot be asked.
    """
    return sized(task, wanted, measure(task.source))


def sized(task: Task, wanted: "OutputSize", size: Size | None) -> Task:
    """A task whose photo has a size, if it is known."""
    size, sizes = _sizes(wanted, size)
    return replace(task, size=size, sizes=sizes)


@functools.lru_cache(maxsize=4096)
def _sizes(wanted: "OutputSize", size: Size | None) -> tuple[Size | None, frozenset[Size]]:
    """The size of a photo, and those that its output may have; one object for many photos."""
    turned = () if size is None else (size, size[::-1])
    return size, frozenset(wanted.of(*each) for each in turned)


def left_of(task: Task, records: "Records", request: "Request", emit: "Emit") -> Task | None:
    """The task that remains for a photo; None, and an event, if it is done.

    Raises:
        ImageError: what lies there is not the output of this photo.
        DclsError: an object's store cannot be asked.
    """
    seen = look(task.output, set(task.sizes))
    if seen.state is State.WHOLE:
        earlier = records.earlier(task.output)
        is_changed = bool(earlier.differing) and request.redo_changed
        if is_changed or (request.redo_older and not earlier.current):
            return replace(task, replace=True)
        emit(Skipped(task, earlier.differing, earlier.outdated))
        return None
    if seen.state is State.OTHER and task.sizes:
        raise _not_ours(task.output, seen.size, task.sizes)
    if seen.state is State.DAMAGED:
        emit(Noted(f"{task.output}: the existing file is damaged; it is replaced"))
        return replace(task, replace=True)
    return task


def _not_ours(output: Location, size: Size | None, sizes: Iterable[Size]) -> ImageError:
    has = f"{size[0]}x{size[1]} pixels" if size else "no image"
    expected = " or ".join(f"{width}x{height}" for width, height in sorted(sizes))
    return ImageError(
        f"{printable(output)}: exists already and is not the output of this photo: {has}, expected "
        f"{expected}; choose another folder or replace it with --overwrite"
    )
