"""Which file each photo becomes; every conflict is found before any work."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dcls_cli.cli.console import visible
from dcls_cli.cli.naming import Naming
from dcls_cli.cli.piping import STREAM
from dcls_cli.errors import DclsError, UsageError

KERNEL_SUFFIXES = (".npy", ".png")

REPORT_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class Job:
    """A photo, the file that it becomes, and the files of its kernel and its report.

    Attributes:
        source: the photo; `-` for stdin.
        output: the file that it becomes; `-` for stdout.
        kernel: where its blur goes, if it is wanted.
        report: where the page about it goes, if it is wanted.
        from_stdin: whether the photo comes from stdin.
        to_stdout: whether the result goes to stdout.
    """

    source: Path
    output: Path
    kernel: Path | None = None
    report: Path | None = None
    from_stdin: bool = False
    to_stdout: bool = False


def plan_jobs(
    inputs: list[str],
    output: str | None,
    kernel: Path | None,
    report: Path | None,
    naming: Naming,
) -> list[Job]:
    """Name the outputs and refuse requests that would lose a file.

    Args:
        inputs: the photos; `-` for stdin.
        output: a file for one photo; a folder for several, or where it ends in a slash or exists;
            None for a name beside each photo; `-` for stdout.
        kernel: where the kernel of the only photo goes.
        report: where the page about the only photo goes.
        naming: names the outputs that have none.

    Raises:
        UsageError: one output for several photos, a name that is none, or an output that is one of
            the inputs.
    """
    photos = [Path(text) for text in inputs]
    if output is None:
        _refuse_output_as_photo(photos)
    _check_extra("--save-kernel takes the kernel", kernel, KERNEL_SUFFIXES, photos)
    _check_extra("--report takes the evidence", report, REPORT_SUFFIXES, photos)
    folder = _folder(output, several=len(photos) > 1)
    jobs = []
    for text, photo in zip(inputs, photos, strict=True):
        if output is not None and folder is None:
            target = Path(output)
        else:
            target = (folder or photo.parent) / naming.name(photo)
        streams = text == STREAM, output == STREAM
        jobs.append(Job(photo, target, kernel, report, *streams))
    _refuse_collisions(jobs)
    return jobs


def _refuse_output_as_photo(photos: Sequence[Path]) -> None:
    """Refuse `in.jpg out.jpg`, as other programs have it."""
    from dcls_cli.image import WRITABLE

    if len(photos) != 2:
        return
    first, second = photos
    if first.exists() and second.suffix.lower() in WRITABLE and not os.path.lexists(second):
        raise UsageError(
            f"{visible(second)}: no such photo; if it is the output: dcls upscale {visible(first)} "
            f"-o {visible(second)}"
        )


def _check_extra(
    takes: str, path: Path | None, suffixes: tuple[str, ...], photos: list[Path]
) -> None:
    """Refuse an option that names one file for several photos, or a file of another kind."""
    if path is None:
        return
    if len(photos) > 1:
        raise UsageError(f"{takes} of one photo; give one photo")
    if path.suffix.lower() not in suffixes:
        option = takes.partition(" ")[0]
        raise UsageError(f"{visible(path)}: {option} writes {' or '.join(suffixes)}")


@contextmanager
def passing_folder(output: str | None, *, several: bool) -> Iterator[None]:
    """Make the folder that outputs would go to, and take away what was made.

    Raises:
        DclsError: it cannot be made.
    """
    folder = _folder(output, several=several)
    places = () if folder is None else (folder, *folder.parents)
    made = [place for place in places if not place.exists()]
    prepare_folder(output, several=several)
    try:
        yield
    finally:
        for place in made:
            place.rmdir()


def prepare_folder(output: str | None, *, several: bool) -> None:
    """Make the folder that the outputs go to.

    Raises:
        DclsError: it cannot be made.
    """
    folder = _folder(output, several=several)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DclsError(f"{visible(folder)}: cannot be made: {error.strerror}") from error


def _folder(output: str | None, *, several: bool) -> Path | None:
    """The folder that `--output` names, or None if it names a file or nothing."""
    from dcls_cli.image import WRITABLE

    if output in (None, STREAM):
        return None
    path = Path(output)
    ends_in_slash = output.endswith(("/", os.sep))
    if path.is_dir() or ends_in_slash:
        return path
    if not several:
        return None
    if path.exists() or path.suffix.lower() in WRITABLE:
        raise UsageError(f"{visible(output)}: several photos need a folder as --output")
    return path


def _refuse_collisions(jobs: list[Job]) -> None:
    """Compare all outputs with each other and with all inputs."""
    taken: dict[Path, Path] = {}
    for job in jobs:
        files = (None if job.to_stdout else job.output, job.kernel, job.report)
        for target in filter(None, files):
            place = target.resolve() if target.is_symlink() else _place(target)
            if place in taken:
                raise UsageError(
                    f"{visible(target)}: would be written for both {visible(taken[place])} and "
                    f"{visible(job.source)}; up-scale them into different folders"
                )
            taken[place] = job.source
            for other in jobs:
                if not other.from_stdin and _same_file(target, other.source):
                    raise UsageError(
                        f"{visible(target)}: the output would replace the input "
                        f"{visible(other.source)}; choose another name"
                    )


def _place(path: Path) -> Path:
    """Where a file that may not exist yet will be, whatever links lead to its folder."""
    return path.parent.resolve() / path.name


def _same_file(path: Path, other: Path) -> bool:
    """Whether two names lead to one file, through links of any kind or none."""
    try:
        return path.samefile(other)
    except OSError:  # one of them does not exist
        return _place(path) == _place(other)
