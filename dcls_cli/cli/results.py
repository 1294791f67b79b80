"""What is reported about a restored photo."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dcls_cli.cli import console
from dcls_cli.cli.piping import STREAM


@dataclass(frozen=True, kw_only=True)
class Result:
    """A photo that has been restored and written.

    Attributes:
        input: the photo.
        output: the file that it became; `-` for stdout.
        width: of the output, pixels.
        height: of the output, pixels.
        seconds: that reading, restoring and writing took.
        model: name of the network.
        reason: why the rule of `-m auto` chose it; None where the user did.
        device: that it ran on.
        precision: of the convolutions.
        scale: up-scaling factor.
        tiles: in how many pieces the photo was restored.
        kernel: file of the estimated blur, if one was asked for.
        kernel_known: whether the user gave the blur.
        kernel_space: `hr` or `lr`: whose pixels the blur's taps are.
        kernel_width_px: width of the blur, in those pixels.
        kernel_confidence: share of the estimate in it, 0 to 1; None where the user gave the blur.
        kernel_estimated_px: width of the estimate.
        report: page of the evidence, if one was asked for.
        notes: what could not be kept or was changed, a sentence each.
    """

    input: Path
    output: Path
    width: int
    height: int
    seconds: float
    model: str
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
    report: Path | None
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """The numbers as JSON has them, rounded."""
        fields = asdict(self)
        fields["seconds"] = round(self.seconds, 3)
        for name in ("kernel_width_px", "kernel_estimated_px"):
            fields[name] = round(fields[name], 4)
        return fields


def tell(result: Result, *, json: bool) -> None:
    """Print a result: notes on stderr, then one line or one event.

    If stdout has the photo itself, the line goes to stderr.
    """
    for text in result.notes:
        console.note(f"{result.input}: {text}")
    if json:
        console.event("done", **result.record())
        return
    tell_line = console.note if result.output == Path(STREAM) else console.written
    tell_line(line(result))


def line(result: Result) -> str:
    """A result in one line; all of it with `-v`."""
    short = (
        f"{result.output}  {result.width}x{result.height}  {result.seconds:.1f} s  {result.model}"
    )
    if not console.verbosity.verbose:
        return short
    pixels = {"hr": "output", "lr": "input"}[result.kernel_space]
    tiles = f"{result.tiles} tile{'s' * (result.tiles != 1)}"
    return (
        f"{short}  {result.device} {result.precision}  {tiles}  "
        f"blur {result.kernel_width_px:.2f} {pixels} px wide"
    )
