"""What happens to the photos of a request: read by progress bars, NDJSON, reports and callbacks."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dcls_cli.errors import DclsError, ImageError, UsageError
from dcls_cli.files.addresses import Address, Location
from dcls_cli.files.atomic import printable

if TYPE_CHECKING:
    import numpy as np

    from dcls_cli.jobs.existing_outputs import Size


#: About how many pixels a photo has for each byte of its object: a JPEG, or little else.
_PIXELS_PER_BYTE = 4


class Named(NamedTuple):
    """A network that a photo is to be restored with.

    Attributes:
        weights: its file.
        name: for people to read.
        reason: why the rule chose it; None where the user did.
    """

    weights: Path
    name: str
    reason: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A photo that has to be restored, and its files.

    Attributes:
        source: the photo; `-` for stdin.
        output: the file that it becomes; `-` for stdout.
        kernel: where its blur is written, if it is wanted.
        evidence: where the page about it is written, if it is wanted.
        from_stdin: whether the photo comes from stdin.
        to_stdout: whether the result goes to stdout.
        replace: whether existing outputs may be replaced.
        size: of the photo as it is stored, pixels; None if it is unknown.
        sizes: what an existing output may have if it is whole, pixels; empty if it must not exist.
        renamed: whether its suffix tells its output from that of another photo.
        makes_folder: whether the folder of the output is made where it is missing.
        length: of the photo's object, bytes; None for a file, or if it is unknown.
    """

    source: Location
    output: Location
    kernel: Path | None = None
    evidence: Path | None = None
    from_stdin: bool = False
    to_stdout: bool = False
    replace: bool = False
    size: "Size | None" = None
    sizes: "frozenset[Size]" = frozenset()
    renamed: bool = False
    makes_folder: bool = False
    length: int | None = None

    @property
    def pixels(self) -> int:
        """Of the photo; about, by its length, where its size is unknown; 0 without both."""
        if self.size is not None:
            return self.size[0] * self.size[1]
        return (self.length or 0) * _PIXELS_PER_BYTE

    @property
    def is_remote(self) -> bool:
        """Whether its photo or its output is an object."""
        return isinstance(self.source, Address) or isinstance(self.output, Address)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """A photo that has been restored and written.

    Attributes:
        input: the photo.
        output: the file that it became; `-` for stdout.
        width: of the output, pixels.
        height: of the output, pixels.
        seconds: that reading, restoring and writing took.
        model: name of the network.
        weights_sha256: of its weight file.
        reason: why the rule of `auto` chose it; None where the user did.
        device: that it ran on.
        precision: of the convolutions.
        scale: up-scaling factor of the network.
        tiles: in how many pieces the photo was restored.
        kernel: file of the estimated blur, if one was asked for.
        kernel_known: whether the user gave the blur.
        kernel_space: `hr` or `lr`: whose pixels the blur's taps are.
        kernel_width_px: width of the blur, in those pixels.
        kernel_confidence: share of the estimate in it, 0 to 1; None where the user gave the blur.
        kernel_estimated_px: width of the estimate.
        fidelity: 0 to 1, see `Request`.
        consistency_before_db: PSNR of the network's result, blurred and reduced, against the
            photo; None if they are equal.
        consistency_db: the same of the result, rounded to the photo's levels; see
            `upscaling.fidelity.Misfit`.
        report: page of the evidence, if one was asked for.
        notes: what could not be kept or was changed, a sentence each.
        taps: the blur that was inverted, (k, k) float32, sum 1.
    """

    input: Location
    output: Location
    width: int
    height: int
    seconds: float
    model: str
    weights_sha256: str
    reason: str | None
    device: str
    precision: str
    scale: int
    tiles: int
    kernel: Path | None
    kernel_known: bool
    kernel_space: str
    kernel_width_px: float
    kernel_confidence: float | None
    kernel_estimated_px: float
    fidelity: float
    consistency_before_db: float | None
    consistency_db: float | None
    report: Path | None
    notes: tuple[str, ...]
    taps: "np.ndarray"

    def record(self) -> dict[str, Any]:
        """The numbers as JSON has them, rounded."""
        fields = asdict(self)
        del fields["taps"]
        fields["seconds"] = round(self.seconds, 3)
        for name in ("kernel_width_px", "kernel_estimated_px"):
            fields[name] = round(fields[name], 4)
        for name in ("consistency_before_db", "consistency_db"):
            if fields[name] is not None:
                fields[name] = round(fields[name], 2)
        return fields

    def __repr__(self) -> str:
        """In one line, without the taps."""
        return (
            f"Outcome({str(self.input)!r} -> {str(self.output)!r}, {self.width}x{self.height}, "
            f"{self.model}, {self.device} {self.precision}, {self.seconds:.1f} s)"
        )


@dataclass(frozen=True)
class Noted:
    """A remark, about a photo or, without one, about the whole request."""

    text: str
    source: Location | None = None

    def __str__(self) -> str:
        """The remark, with the photo's name."""
        return self.text if self.source is None else f"{self.source}: {self.text}"


@dataclass(frozen=True)
class Started:
    """A photo has been read, its network is loaded."""

    task: Task
    network: Named


@dataclass(frozen=True)
class Stepped:
    """So many tiles of a photo are restored."""

    task: Task
    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """A photo is restored and written."""

    task: Task
    outcome: Outcome


@dataclass(frozen=True)
class Skipped:
    """The output of a photo exists already and is whole.

    Attributes:
        differing: the options, by name, that it was made with otherwise.
        outdated: whether it was made by other weights than those of now.
    """

    task: Task
    differing: tuple[str, ...] = ()
    outdated: bool = False


@dataclass(frozen=True)
class Left:
    """A photo was not reached this time."""

    task: Task


@dataclass(frozen=True)
class Failed:
    """A photo, or a folder that cannot be looked into, has no output."""

    source: Location
    error: DclsError
    task: Task | None = None

    @property
    def message(self) -> str:
        """Why, in one line that names the file."""
        text = str(self.error) or type(self.error).__name__
        # These two name their file themselves, which may be the output.
        named = isinstance(self.error, ImageError | UsageError)
        if named or text.startswith(f"{printable(self.source)}: "):
            return text
        return f"{self.source}: {text}"


Event = Noted | Started | Stepped | Finished | Skipped | Left | Failed

#: Is given each event.
Emit = Callable[[Event], None]
