"""Options that several commands share, each defined once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from dcls_cli.image import Encoding
    from dcls_cli.image.resizing import TargetSize

DEFAULT_NAME = "{stem}_x{scale}"

DEFAULT_MAX_PIXELS = 178_956_970

Scale = Annotated[
    int | None, typer.Option("-s", "--scale", help="Up-scaling factor: 2, 3 or 4; default 4.")
]

Model = Annotated[
    str | None,
    typer.Option("-m", "--model", metavar="NAME", help="Model, hf:OWNER/REPO, or auto (default)."),
]

Weights = Annotated[
    Path | None, typer.Option("-w", "--weights", metavar="FILE", help="Your own weights.")
]

Kernel = Annotated[
    Path | None,
    typer.Option("--kernel", metavar="FILE", help="The blur, if known: .npy, grey PNG or TIFF."),
]

KernelSpace = Annotated[
    Literal["hr", "lr"] | None,
    typer.Option("--kernel-space", help="Its taps are output (hr, default) or input (lr) pixels."),
]

Format = Annotated[
    Literal["keep", "png", "jpg", "webp", "tiff", "avif"],
    typer.Option("-f", "--format", help="Of the outputs; keep: that of OUT, else of the photo."),
]

Quality = Annotated[int, typer.Option("--quality", min=1, max=100, help="Of JPEG, WebP and AVIF.")]

Lossless = Annotated[bool, typer.Option("--lossless", help="WebP without loss.")]

BitDepth = Annotated[
    Literal["auto", "8", "16"],
    typer.Option("--bit-depth", help="Bits a sample; auto: as the photo, where the format can."),
]

Metadata = Annotated[
    Literal["keep", "minimal", "strip"],
    typer.Option(
        "--metadata",
        help="keep all; minimal: colour profile and resolution; strip: none, colours as sRGB.",
    ),
]

MaxPixels = Annotated[
    float,
    typer.Option(
        "--max-pixels", min=1, metavar="N", help="Larger photos are refused before decoding."
    ),
]

Width = Annotated[
    int | None,
    typer.Option("--width", min=1, help="Of the outputs, pixels; they are resized at the end."),
]

Height = Annotated[int | None, typer.Option("--height", min=1, help="Of the outputs, pixels.")]

LongestSide = Annotated[
    int | None,
    typer.Option("--max-side", min=1, help="Of the outputs: the longer side, pixels."),
]

Name = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="TEMPLATE",
        help="Of outputs that have no name yet; fields: {stem} {scale} {model} {ext}.",
    ),
]


def tile_of(text: str) -> int | None:
    """Read the value of `--tile`.

    Raises:
        UsageError: neither auto nor a number that tiles can have.
    """
    from dcls_cli.upscaling.sizes import MINIMUM_TILE_PX

    if text == "auto":
        return None
    if not text.isdecimal() or 0 < int(text) < MINIMUM_TILE_PX:
        raise UsageError(
            f"--tile {text}: expected auto, 0 (the whole photo at once) or at least "
            f"{MINIMUM_TILE_PX} pixels"
        )
    return int(text)


Tile = Annotated[
    str,
    typer.Option(
        "--tile", metavar="N", help="Pixels; 0: the whole photo at once; auto: as memory allows."
    ),
]

KernelMode = Annotated[
    Literal["global", "tile"],
    typer.Option("--kernel-mode", help="tile: a blur for each tile, for photos whose blur varies."),
]

Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16", "int8"],
    typer.Option("--precision", help="Of the convolutions; int8: ONNX Runtime."),
]

Device = Annotated[
    str, typer.Option("-d", "--device", help="auto, cpu, cuda[:N], tensorrt, directml, coreml.")
]

Engine = Annotated[
    Literal["auto", "torch", "onnx"],
    typer.Option("--backend", help="auto: PyTorch where it is installed; graphs run on ONNX."),
]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]

Json = Annotated[bool, typer.Option("--json", help="Print NDJSON on stdout.")]


def encoding_of(form: str, quality: int, lossless: bool, bit_depth: str) -> "Encoding":
    """Gather the options of the encoders.

    Raises:
        UsageError: options that contradict each other.
    """
    from dcls_cli.image import Encoding

    return Encoding(
        format=None if form == "keep" else form,
        quality=quality,
        lossless=lossless,
        bit_depth=None if bit_depth == "auto" else int(bit_depth),
    )


def size_of(width: int | None, height: int | None, longest: int | None) -> "TargetSize | None":
    """Gather the options of the outputs' size; None if there are none.

    Raises:
        UsageError: options that exclude each other.
    """
    from dcls_cli.image.resizing import TargetSize

    if longest is not None and (width is not None or height is not None):
        raise UsageError("--max-side excludes --width and --height")
    if width is None and height is None and longest is None:
        return None
    return TargetSize(width=width, height=height, longest_side=longest)
