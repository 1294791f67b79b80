"""Which of the files that were found are worked on: patterns, earlier outputs, shards."""

import fnmatch
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Self

from dcls_cli.errors import UsageError
from dcls_cli.files import platforms
from dcls_cli.jobs.catalogue import Catalogue, Source

#: What ends the name of an output: `photo_x4.png`, `photo_w1920.png`.
_OUTPUT_STEM = re.compile(r"(?P<stem>.+)_(?:x[1-4](?:\.\d+)?|[wh]\d+|\d+x\d+|max\d+)", re.DOTALL)


#: Variables with the number of a task, how many there are, and the first number. Kubernetes sets
#: none for the count: the Job's template has to repeat its `completions`.
_SCHEDULERS = {
    "slurm": ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    "k8s": ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", ""),
}


@dataclass(frozen=True)
class Shard:
    """A part of a batch, for one of several machines.

    Attributes:
        index: of the part, from 1.
        count: of parts.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2/3`, or the environment for `slurm` and `k8s`.

        Raises:
            UsageError: it is something else.
        """
        if text in _SCHEDULERS:
            return cls._of_scheduler(text)
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(
                f"--shard {text:.40}: expected i/n, such as 1/3, 2/3 and 3/3, or slurm or k8s"
            )
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def _of_scheduler(cls, name: str) -> Self:
        """The part of this task of an array of Slurm, or of an Indexed Job of Kubernetes."""
        index_name, count_name, first_name = _SCHEDULERS[name]
        texts = [os.environ.get(each, "") for each in (index_name, count_name)]
        first = os.environ.get(first_name, "0") if first_name else "0"
        if not all(text.isdecimal() for text in (*texts, first)):
            raise UsageError(
                f"--shard {name} needs the numbers {index_name} and {count_name} in the environment"
            )
        index, count = int(texts[0]) - int(first) + 1, int(texts[1])
        if not 1 <= index <= count:
            raise UsageError(
                f"--shard {name}: {index_name}={texts[0]} is not one of {count} tasks from {first} "
                f"on ({count_name})"
            )
        return cls(index, count)

    def has(self, source: Source) -> bool:
        """Whether a photo belongs to this part: by its name alone, so that it always does."""
        digest = hashlib.sha256(source.key).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1


def fits(relative: Path, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a file is wanted.

    A pattern without a slash is compared with the name, one with a slash with the whole path below
    the folder; upper and lower case are the same. On Windows a backslash is a slash.

    Args:
        relative: path below the folder.
        include: it must fit one of these, if there are any.
        exclude: it must fit none of these.
    """

    def matches(pattern: str) -> bool:
        if platforms.ON_WINDOWS:
            pattern = pattern.replace("\\", "/")
        subject = relative.as_posix() if "/" in pattern else relative.name
        return fnmatch.fnmatchcase(_folded(subject), _folded(pattern))

    return (not include or any(map(matches, include))) and not any(map(matches, exclude))


def earlier_outputs(photos: Catalogue) -> Iterator[int]:
    """Find the files that look like outputs of other files here.

    `photo_x4.png` does if there is a `photo` of any suffix beside it, or where some levels of the
    path are taken out, as those of a folder of outputs: in `album` for
    `album/large/x4/photo_x4.png`, or in `album` for `album_x4/photo_x4.png`. `photo.bmp_x4.png`
    does if there is a `photo.bmp`.

    Yields:
        Their numbers.
    """
    if not any(_OUTPUT_STEM.fullmatch(source.relative.stem) for source in photos):
        return
    photos.mark(
        "stem",
        (
            (_stem_key(name), number)
            for number, source, _ in photos.named()
            for name in (source.relative.with_suffix(""), source.relative)
        ),
    )
    for number, source, _ in photos.named():
        match = _OUTPUT_STEM.fullmatch(source.relative.stem)
        if match and any(
            photos.marked("stem", _stem_key(folder / match["stem"]))
            for folder in _origins(source.relative)
        ):
            yield number


def _origins(relative: Path) -> list[PurePath]:
    """The folders that a file may be the output of.

    Its own, those where neighbouring levels of its path are taken out, and those beside a level
    that has its name from its inputs, `album` beside `album_x4`.
    """
    parts = relative.parts[:-1]
    ends = range(len(parts) + 1)
    folders = [PurePath(*parts[:end], *parts[start:]) for end in ends for start in ends[end:]]
    for level, part in enumerate(parts):
        match = _OUTPUT_STEM.fullmatch(part)
        if match:
            folders.append(PurePath(*parts[:level], match["stem"], *parts[level + 1 :]))
    return folders


def _stem_key(path: PurePath) -> str:
    return unicodedata.normalize("NFC", path.as_posix())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
