"""How the outputs of a batch were made: in their XMP data, or in a hidden file of their folder.

An output of other options, such as `--metadata keep` where `strip` is asked for now, is not what
the user wants, although it is whole and of the right size. An output without a record was made with
the usual options. The hidden file has a line for each output that may keep no metadata, and exists
only where there are such. In object stores there is none, so that nothing is known of outputs that
keep no metadata.
"""

import hashlib
import json
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcls_cli.errors import DclsError
from dcls_cli.files.addresses import Address, Location
from dcls_cli.files.atomic import printable
from dcls_cli.image.metadata.xmp import record_of, with_record
from dcls_cli.image.photo import Carried, Picture, SameSizePicture
from dcls_cli.jobs.existing_outputs import xmp_in
from dcls_cli.jobs.request import Request

if TYPE_CHECKING:
    import numpy as np

#: The file; lines that say which options a number stands for, and lines that say which output was
#: made with which.
NAME = ".dcls-outputs.jsonl"

#: Options that decide an output's pixels and metadata. Its name and size are seen without a record;
#: engine, device and tiles change no more than rounding does.
_DECISIVE = (
    "model",
    "weights",
    "kernel",
    "kernel_space",
    "kernel_mode",
    "precision",
    "quality",
    "lossless",
    "bit_depth",
    "metadata",
)

_DIGITS = 12


def recipe_of(request: Request) -> dict[str, Any]:
    """The decisive options of a request, JSON values; files by their content.

    Raises:
        DclsError: a file cannot be read.
    """
    recipe = {name: getattr(request, name) for name in _DECISIVE}
    recipe["model"] = request.model or (None if request.weights else "auto")
    for name in ("weights", "kernel"):
        if recipe[name] is not None:
            recipe[name] = _sha256(recipe[name])
    return recipe


def _number_of(recipe: Mapping[str, Any]) -> str:
    text = json.dumps(recipe, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


class Records:
    """The records of all folders that outputs go to.

    Several threads and processes may add to them: what one adds is written at once.
    """

    def __init__(self, recipe: Mapping[str, Any]) -> None:
        """`recipe`: the options of now; see `recipe_of`."""
        self._recipe = dict(recipe)
        self._number = _number_of(recipe)
        usual = recipe_of(Request(inputs=()))
        self._usual = _number_of(usual)
        self._unusual = {name: value for name, value in recipe.items() if value != usual[name]}
        self._known = {self._usual: usual, self._number: self._recipe}
        self._explained: set[Path] = set()
        self._folder: Path | None = None
        self._made: dict[str, str] = {}
        self._recipes: dict[str, dict[str, Any]] = {}

    def inside(self, picture: "Picture") -> "Picture":
        """A picture whose metadata have the record, where they are kept and need one."""
        if self._recipe["metadata"] != "keep" or not self._unusual:
            return picture
        packet = with_record(picture.carried.xmp, json.dumps(self._unusual, sort_keys=True))
        return picture if packet is None else _Recorded(picture, packet)

    def add(self, output: Path) -> None:
        """Note that an output has been made with the options of now, but for what it says itself.

        Raises:
            DclsError: the record cannot be written.
        """
        path = output.parent / NAME
        if not path.exists() and (not self._unusual or _said_by(output) == self._unusual):
            return
        line = json.dumps({"output": output.name, "options": self._number})
        if output.parent not in self._explained:
            what = json.dumps({"options": self._number, "are": self._recipe}, sort_keys=True)
            line = f"{what}\n{line}"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        try:
            descriptor = os.open(path, flags, 0o666)
            try:
                os.write(descriptor, f"{line}\n".encode("utf-8", "surrogateescape"))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DclsError(f"{printable(path)}: cannot be written: {error.strerror}") from error
        self._explained.add(output.parent)

    def differences(self, output: Location) -> tuple[str, ...]:
        """The options, by name, that an output was made with otherwise.

        Outputs are asked for folder by folder; the records of one are in memory.

        Raises:
            DclsError: an object's store cannot be asked.
        """
        said = _said_by(output)
        if said is not None:
            before = {**self._known[self._usual], **said}
        elif isinstance(output, Address):
            # Where metadata are kept now, an output of these options would speak of them.
            silent = self._recipe["metadata"] != "keep" or not self._unusual
            before = self._recipe if silent else self._known[self._usual]
        else:
            if output.parent != self._folder:
                self._read(output.parent)
            number = self._made.get(output.name, self._usual)
            before = self._recipes.get(number, {})
        return tuple(name for name in self._recipe if before.get(name) != self._recipe[name])

    def _read(self, folder: Path) -> None:
        self._folder, self._made, self._recipes = folder, {}, dict(self._known)
        try:
            with (folder / NAME).open(encoding="utf-8", errors="surrogateescape") as lines:
                for line in lines:
                    self._take(line)
        except OSError:  # none yet, or not ours to read
            return

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
            number = str(entry["options"])
            if "are" in entry:
                self._recipes[number] = dict(entry["are"])
            else:
                self._made[str(entry["output"])] = number
        except (ValueError, TypeError, KeyError, RecursionError):  # cut off, or somebody else's
            return


@dataclass(frozen=True, eq=False)
class _Recorded(SameSizePicture):
    """A picture with a record of how it was made in its XMP data.

    Attributes:
        packet: the data.
    """

    packet: bytes

    @property
    def carried(self) -> Carried:
        """The picture's metadata with the record."""
        return replace(self.picture.carried, xmp=self.packet)

    def bands(self, dtype: "np.dtype") -> "Generator[np.ndarray, None, None]":
        """The picture's rows."""
        return self.picture.bands(dtype)


def _said_by(output: Location) -> dict[str, Any] | None:
    """The unusual options that an output itself says it was made with; None if it says nothing."""
    packet = xmp_in(output)
    text = None if packet is None else record_of(packet)
    try:
        said = None if text is None else json.loads(text)
    except (ValueError, RecursionError):  # somebody else's
        return None
    return said if isinstance(said, dict) else None


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DclsError(f"{printable(path)}: cannot be read: {error.strerror}") from error
