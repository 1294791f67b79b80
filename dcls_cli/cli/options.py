"""Options that several commands share, each defined once."""

import glob
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

from dcls_cli.cli.commands import ENGINE, KERNEL, OUTPUT, RESTORATION, SELECTION
from dcls_cli.files import platforms
from dcls_cli.jobs import DEFAULT_MAX_PIXELS, DEFAULT_NAME

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "DEFAULT_NAME",
    "ENGINE",
    "KERNEL",
    "OUTPUT",
    "RESTORATION",
    "SELECTION",
]

Scale = Annotated[
    float | None,
    typer.Option(
        "-s",
        "--scale",
        metavar="N",
        help="Enlarge N times, from 1 to 4; fractions such as 1.5 work too. [default: 4]",
        rich_help_panel=RESTORATION,
    ),
]

Model = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        metavar="NAME",
        help="Network: a name of `dcls models list`, hf:OWNER/REPO, or auto, which chooses by the "
        "photo. [default: auto]",
        rich_help_panel=RESTORATION,
    ),
]

Weights = Annotated[
    Path | None,
    typer.Option(
        "-w",
        "--weights",
        metavar="FILE",
        help="Use your own weights.",
        rich_help_panel=RESTORATION,
    ),
]

Kernel = Annotated[
    Path | None,
    typer.Option(
        "--kernel",
        metavar="FILE",
        help="Invert this blur instead of the estimated one: .npy, grey PNG or TIFF.",
        rich_help_panel=KERNEL,
    ),
]

KernelSpace = Annotated[
    Literal["lr", "hr"] | None,  # in the order of KernelSpace, which Python takes for the same
    typer.Option(
        "--kernel-space",
        help="The taps of --kernel are output pixels (hr) or input pixels (lr). [default: hr]",
        rich_help_panel=KERNEL,
    ),
]

Format = Annotated[
    Literal["keep", "png", "jpg", "webp", "tiff", "avif"],
    typer.Option(
        "-f",
        "--format",
        help="Format of the output; keep takes it from the name of OUT, else from the photo.",
        rich_help_panel=OUTPUT,
    ),
]

Quality = Annotated[
    int | None,
    typer.Option(
        "--quality",
        min=1,
        max=100,
        metavar="N",
        help="Quality of JPEG, WebP and AVIF. [default: 95; a lossless WebP stays one]",
        rich_help_panel=OUTPUT,
    ),
]

Lossless = Annotated[
    bool, typer.Option("--lossless", help="Write WebP without loss.", rich_help_panel=OUTPUT)
]

BitDepth = Annotated[
    Literal["auto", "8", "16"],
    typer.Option(
        "--bit-depth",
        help="Bits per sample; auto keeps those of the photo where the format can.",
        rich_help_panel=OUTPUT,
    ),
]

Metadata = Annotated[
    Literal["keep", "minimal", "strip"],
    typer.Option(
        "--metadata",
        help="Keep all metadata, only colour profile and resolution (minimal), or nothing (strip "
        "also converts to sRGB).",
        rich_help_panel=OUTPUT,
    ),
]

MaxPixels = Annotated[
    float,
    typer.Option(
        "--max-pixels",
        min=1,
        metavar="N",
        help="Refuse larger photos before they are decoded.",
        rich_help_panel=SELECTION,
    ),
]

Width = Annotated[
    int | None,
    typer.Option(
        "--width",
        min=1,
        metavar="N",
        help="Width of the result in pixels; with --height it fits into both.",
        rich_help_panel=OUTPUT,
    ),
]

Height = Annotated[
    int | None,
    typer.Option(
        "--height",
        min=1,
        metavar="N",
        help="Height of the result in pixels.",
        rich_help_panel=OUTPUT,
    ),
]

LongestSide = Annotated[
    int | None,
    typer.Option(
        "--max-side",
        min=1,
        metavar="N",
        help="Longer side of the result in pixels.",
        rich_help_panel=OUTPUT,
    ),
]

Stretch = Annotated[
    bool,
    typer.Option(
        "--stretch",
        help="Use --width and --height exactly, whatever the proportions.",
        rich_help_panel=OUTPUT,
    ),
]

Name = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="TEMPLATE",
        help="Name outputs by this template, with {stem}, {size} (x4 or w1920), {scale} (4), "
        "{model} and {ext}.",
        rich_help_panel=OUTPUT,
    ),
]


Tile = Annotated[
    str,
    typer.Option(
        "--tile",
        metavar="N",
        help="Restore in tiles of N pixels; 0: the whole photo at once; auto: as memory allows.",
        rich_help_panel=ENGINE,
    ),
]

KernelMode = Annotated[
    Literal["global", "tile"],
    typer.Option(
        "--kernel-mode",
        help="Estimate one blur for the whole photo, or one for each tile where it varies.",
        rich_help_panel=RESTORATION,
    ),
]

Fidelity = Annotated[
    float,
    typer.Option(
        "--fidelity",
        metavar="N",
        help="Give back what the network has cleaned away: 0 is the network alone, 1 explains the "
        "photo with its noise and JPEG damage.",
        rich_help_panel=RESTORATION,
    ),
]

Tta = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="Restore the photo in eight flips and rotations and take the mean: a little better, "
        "eight times as slow.",
        rich_help_panel=RESTORATION,
    ),
]

Noise = Annotated[
    str,
    typer.Option(
        "--noise",
        metavar="SIGMA|auto",
        help="Take the photo's noise to have this standard deviation, in levels of 255: less keeps "
        "grain, more smooths. For networks that estimate the noise, such as dcls-photo-x4.",
        rich_help_panel=RESTORATION,
    ),
]

Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16", "int8"],
    typer.Option(
        "--precision",
        envvar="DCLS_PRECISION",
        help="Precision of the convolutions; int8 needs ONNX Runtime. With --report, auto is fp32.",
        rich_help_panel=ENGINE,
    ),
]

Device = Annotated[
    str,
    typer.Option(
        "-d",
        "--device",
        metavar="NAME",
        help="Compute on auto, cpu, cuda[:N], tensorrt, directml or coreml.",
        rich_help_panel=ENGINE,
    ),
]

Engine = Annotated[
    Literal["auto", "torch", "onnx"],
    typer.Option(
        "--backend",
        help="Compute with PyTorch or ONNX Runtime; auto prefers PyTorch where it is installed.",
        rich_help_panel=ENGINE,
    ),
]

Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace existing outputs.", rich_help_panel=OUTPUT),
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line on stdout.")]

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print sizes, memory, disk space and time needed; restore nothing.",
        rich_help_panel=SELECTION,
    ),
]


def tile_of(text: str) -> int | None:
    """Read the value of `--tile`.

    Raises:
        UsageError: neither auto nor a number.
    """
    from dcls_cli.jobs.request import wrong_tile

    if text == "auto":
        return None
    if not text.isdecimal():
        raise wrong_tile(text)
    return int(text)


def format_of(text: str) -> str | None:
    """Read the value of `--format`."""
    return None if text == "keep" else text


def bit_depth_of(text: str) -> int | None:
    """Read the value of `--bit-depth`."""
    return None if text == "auto" else int(text)


def pixels_of(count: float) -> int:
    """Read the value of `--max-pixels`, which may be inf."""
    return sys.maxsize if count > sys.maxsize else int(count)


def expanded(names: Iterable[str | Path]) -> list[str]:
    """Names of files, with what patterns fit in their place: on Windows no shell does that.

    What exists is no pattern, and one that fits nothing stays, to be reported as a file that is
    not there.
    """
    texts = [os.fspath(name) for name in names]
    if not platforms.ON_WINDOWS:
        return texts
    found: list[str] = []
    for text in texts:
        is_pattern = glob.has_magic(text) and not os.path.lexists(text)
        found += (sorted(glob.glob(text)) if is_pattern else None) or [text]  # noqa: PTH207
    return found
