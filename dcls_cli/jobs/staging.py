"""A photo whose file or output is an object: fetched, restored here, put, and removed again.

It runs wherever the worker does, which needs nothing but the task and the request: in a thread, in
another process, on another machine.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.errors import DclsError
from dcls_cli.files import temporaries
from dcls_cli.files.addresses import Address, local
from dcls_cli.files.atomic import printable
from dcls_cli.files.remote import fetch, is_there, put
from dcls_cli.image.folders import is_claimed
from dcls_cli.jobs.events import Event, Finished, Noted, Outcome, Skipped, Started, Stepped, Task
from dcls_cli.jobs.resuming import left_of, measured

if TYPE_CHECKING:
    from dcls_cli.image.resizing import OutputSize
    from dcls_cli.jobs.events import Emit
    from dcls_cli.jobs.records import Records
    from dcls_cli.jobs.request import Request

#: Restores a photo from a file into a file, with events; None if another process was faster.
Make = Callable[[Task, "Emit"], Outcome | None]


def work_staged(
    task: Task,
    emit: "Emit",
    make: Make,
    *,
    request: "Request",
    size: "OutputSize",
    records: "Records",
) -> Outcome | None:
    """Restore a photo by way of a temporary folder, unless its output is there and whole.

    The folder is gone afterwards, whatever happens. An object is put once, when it is whole.

    Args:
        task: the photo.
        emit: is given each event, about the photo and its output as the task has them.
        make: restores it here.
        request: the options, which are the same for every photo.
        size: of the outputs.
        records: of how outputs were made.

    Returns:
        None for a photo whose output exists.

    Raises:
        DclsError: the photo has no output.
    """
    if not task.replace and is_there(task.output):
        # Also where a task is given to a second worker after the first one died at its end.
        left = left_of(measured(task, size), records, request, emit)
        if left is None:
            return None
        task = left
    with temporaries.folder() as folder:
        staged = _staged(task, folder)
        started = time.perf_counter()
        if isinstance(task.source, Address):
            fetch(task.source, local(staged.source))
        transfer_s = time.perf_counter() - started
        try:
            made = make(measured(staged, size), _as_of(task, emit))
        except DclsError as error:
            # The class and the cause stay; only the names in the folder mean nothing to anybody.
            error.args = (_renamed(str(error), staged, task),)
            raise
        if made is None:
            emit(Skipped(task))
            return None
        started = time.perf_counter()
        if isinstance(task.output, Address):
            put(local(staged.output), task.output)
        else:
            records.add(task.output, made.weights_sha256)
        transfer_s += time.perf_counter() - started
    outcome = replace(
        made, input=task.source, output=task.output, seconds=made.seconds + transfer_s
    )
    emit(Finished(task, outcome))
    return outcome


def _staged(task: Task, folder: Path) -> Task:
    """A task of which all files are on this machine, with short names for objects."""
    source, output = task.source, task.output
    if isinstance(source, Address):
        source = folder / f"photo{source.suffix if is_claimed(source) else ''}"
    if isinstance(output, Address):
        output = folder / f"output{output.suffix}"
    return replace(task, source=source, output=output)


def _as_of(task: Task, emit: "Emit") -> "Emit":
    """Report events of the staged task as those of the task itself."""

    def report(event: Event) -> None:
        match event:
            case Started(_, network):
                emit(Started(task, network))
            case Stepped(_, done, total):
                emit(Stepped(task, done, total))
            case Noted(text, _):
                emit(Noted(text, task.source))
            case _:
                emit(event)

    return report


def _renamed(text: str, staged: Task, task: Task) -> str:
    """A message with the names of objects in place of those of their files."""
    for here, there in ((staged.source, task.source), (staged.output, task.output)):
        text = text.replace(printable(here), printable(there))
    return text
