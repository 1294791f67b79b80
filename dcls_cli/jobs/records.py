"""How outputs were made: in their XMP data, or in a hidden file of their folder.

An output of other options, such as `--metadata keep` where `strip` is asked for now, is not what
the user wants, although it is whole and of the right size; nor may be one of earlier weights. An
output without a record was made with the usual options by weights that are not known. The hidden
file has a line for each output of a batch that may keep no metadata, and exists only where there
are such. Object stores have no such file, so nothing is known of outputs there that keep no
metadata. A record has no date: the same command writes the same bytes.
"""

import hashlib
import json
import os
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from dcls_cli import __version__
from dcls_cli.errors import DclsError
from dcls_cli.files.addresses import Address, Location
from dcls_cli.files.atomic import printable
from dcls_cli.image.metadata.xmp import record_of, with_record
from dcls_cli.image.photo import Carried, Picture, SameSizePicture
from dcls_cli.jobs.existing_outputs import xmp_in
from dcls_cli.jobs.networks import sha256_of
from dcls_cli.jobs.request import Request
from dcls_cli.upscaling.noise import noise_of

if TYPE_CHECKING:
    import numpy as np

    from dcls_cli.jobs.networks import Networks

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
    "fidelity",
    "tta",
    "noise",
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
    recipe["noise"] = noise_of(request.noise)
    recipe["model"] = request.model or (None if request.weights else "auto")
    for name in ("weights", "kernel"):
        if recipe[name] is not None:
            recipe[name] = sha256_of(recipe[name])
    return recipe


def _number_of(recipe: Mapping[str, Any]) -> str:
    text = json.dumps(recipe, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


class Made(NamedTuple):
    """What an output says about itself, beside the options; see `Outcome`."""

    model: str
    weights_sha256: str
    scale: int
    precision: str
    kernel_width_px: float


class Earlier(NamedTuple):
    """How an output was made that exists already.

    Attributes:
        differing: the options, by name, that were others.
        outdated: whether it is known to be of other weights than those of now.
        current: whether it is known to be of weights of now.
    """

    differing: tuple[str, ...]
    outdated: bool
    current: bool


class Records:
    """The records of all folders that outputs go to.

    Several threads and processes may add to them: what one adds is written at once.
    """

    def __init__(self, recipe: Mapping[str, Any], current: Collection[str] = ()) -> None:
        """Read nothing yet.

        Args:
            recipe: the options of now; see `recipe_of`.
            current: SHA-256 of the weight files that a photo may be restored with now.
        """
        self._current = frozenset(current)
        self._recipe = dict(recipe)
        self._number = _number_of(recipe)
        usual = recipe_of(Request(inputs=()))
        self._usual = _number_of(usual)
        self._unusual = {name: value for name, value in recipe.items() if value != usual[name]}
        self._known = {self._usual: usual, self._number: self._recipe}
        self._explained: set[Path] = set()
        self._folder: Path | None = None
        self._made: dict[str, tuple[str, str | None]] = {}
        self._recipes: dict[str, dict[str, Any]] = {}

    @classmethod
    def of(cls, request: Request, networks: "Networks") -> Self:
        """The records of a request.

        Raises:
            DclsError: a file of the user's cannot be read.
        """
        return cls(recipe_of(request), networks.current())

    @property
    def unusual(self) -> str:
        """The options that are not the default ones, as JSON; empty if all are."""
        return json.dumps(self._unusual, sort_keys=True) if self._unusual else ""

    def inside(self, picture: "Picture", made: Made) -> "Picture":
        """A picture whose metadata have the record, where they are kept."""
        if self._recipe["metadata"] != "keep":
            return picture
        record = {
            "version": __version__,
            "model": printable(made.model),
            "weights": made.weights_sha256,
            "scale": str(made.scale),
            "precision": made.precision,
            "blur_px": f"{made.kernel_width_px:.2f}",
        }
        if self._unusual:
            record["options"] = self.unusual
        packet = with_record(picture.carried.xmp, record)
        return picture if packet is None else _Recorded(picture, packet)

    def add(self, output: Path, weights_sha256: str) -> None:
        """Note how an output has been made, unless it says so itself.

        Raises:
            DclsError: the record cannot be written.
        """
        path = output.parent / NAME
        if _said_by(output) == (self._unusual, weights_sha256):
            return
        line = json.dumps(
            {"output": output.name, "options": self._number, "weights": weights_sha256}
        )
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

    def earlier(self, output: Location) -> Earlier:
        """How an output was made that exists already.

        Outputs are asked for folder by folder; the records of one are in memory.

        Raises:
            DclsError: an object's store cannot be asked.
        """
        said, weights = _said_by(output), None
        if said is not None:
            before, weights = {**self._known[self._usual], **said[0]}, said[1]
        elif isinstance(output, Address):
            # Where metadata are kept now, an output of these options would speak of them.
            silent = self._recipe["metadata"] != "keep" or not self._unusual
            before = self._recipe if silent else self._known[self._usual]
        else:
            if output.parent != self._folder:
                self._read(output.parent)
            number, weights = self._made.get(output.name, (self._usual, None))
            before = self._recipes.get(number, {})
        differing = tuple(name for name in self._recipe if before.get(name) != self._recipe[name])
        current = weights in self._current
        return Earlier(differing, outdated=weights is not None and not current, current=current)

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
                # A record of an earlier version lacks the options that came later.
                self._recipes[number] = {**self._known[self._usual], **entry["are"]}
            else:
                self._made[str(entry["output"])] = (number, entry.get("weights"))
        except (ValueError, TypeError, KeyError, RecursionError):  # cut off, or foreign
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


def _said_by(output: Location) -> tuple[dict[str, Any], str | None] | None:
    """The unusual options and the weights that an output itself states; None if it states none."""
    packet = xmp_in(output)
    record = {} if packet is None else record_of(packet)
    if not record:
        return None
    try:
        options = json.loads(record.get("options", "{}"))
    except (ValueError, RecursionError):  # of another program
        return None
    return (options, record.get("weights")) if isinstance(options, dict) else None
