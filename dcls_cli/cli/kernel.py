"""`dcls kernel`: the blur of photos, without restoring them."""

import math
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import console, options
from dcls_cli.errors import DclsError

if TYPE_CHECKING:
    import numpy as np

    from dcls_cli.jobs.blur import PhotoBlur
    from dcls_cli.kernels import KernelShape


#: From nothing to the largest tap; the second for terminals without UTF-8.
SHADES = " ░▒▓█"
ASCII_SHADES = " .:-=+*#%@"

#: Rounder kernels have no direction to speak of.
ROUND = 0.05

#: Whose pixels the taps are, in words.
PIXELS: "dict[str, str]" = {"hr": "output", "lr": "input"}


def kernel(
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO...", help="Photos: JPEG, PNG, WebP, TIFF, AVIF, GIF, BMP or HEIC."
        ),
    ],
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Write the blur to this file, .npy or .png, or both into this folder.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    scale: options.Scale = None,
    model: options.Model = None,
    weights: options.Weights = None,
    device: options.Device = "auto",
    backend: options.Engine = "auto",
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Show the blur of photos, without restoring them."""
    from dcls_cli.cli.downloads import find_model
    from dcls_cli.cli.photo_views import PhotoView
    from dcls_cli.cli.upscale import conclude
    from dcls_cli.jobs.blur import estimate_blur, plan_files
    from dcls_cli.jobs.events import Failed
    from dcls_cli.jobs.networks import Networks
    from dcls_cli.jobs.report import Tally
    from dcls_cli.jobs.request import Request
    from dcls_cli.kernels.user_kernel import check_new_file

    photos = [Path(name) for name in options.expanded(photos)]
    request = Request(
        inputs=tuple(map(str, photos)),
        scale=scale,
        model=model,
        weights=weights,
        precision="fp32",
        backend=backend,
    )
    networks = Networks.of(request, device, find_model, console.note)
    files = plan_files(photos, output)
    tally, view = Tally(), PhotoView(None, json=json)

    def fail(photo: Path, error: DclsError) -> None:
        failed = Failed(photo, error)
        tally.take(failed)
        view.take(failed)

    ready = []
    for photo, targets in zip(photos, files, strict=True):
        try:
            for target in targets:
                check_new_file(target, overwrite=overwrite)
            ready.append((photo, targets))
        except DclsError as error:
            fail(photo, error)
    for photo, targets in ready:
        try:
            blur = estimate_blur(photo, targets, networks, overwrite=overwrite)
            for text in blur.notes:
                console.note(f"{photo}: {text}")
            if not json:
                view.explain(photo, blur.network)
            print_blur(photo, targets, blur, json=json)
            tally.done += 1
        except DclsError as error:
            fail(photo, error)
    raise typer.Exit(conclude(tally, json=json))


def print_blur(photo: Path, targets: list[Path], blur: "PhotoBlur", *, json: bool) -> None:
    """Print the blur: a drawing with its measures, or one event."""
    from dcls_cli.kernels import shape_of

    found = blur.found
    kernel = found.blur.kernel
    shape = shape_of(kernel)
    noise = None if found.blur.noise is None else float(found.blur.noise)
    if json:
        console.event(
            "kernel",
            input=photo,
            files=targets,
            model=blur.network.name,
            scale=blur.scale,
            kernel_space=blur.space,
            **{name: round(value, 4) for name, value in asdict(shape).items()},
            confidence=found.confidence,
            estimated_px=round(found.estimated_px, 4),
            noise=noise,
            taps=kernel.tolist(),
        )
        return
    console.say(photo)
    taps = drawing(kernel, ascii_only=console.out.options.ascii_only)
    for line in beside(taps, measures(kernel, blur.space, shape, noise)):
        console.say(line)
    for target in targets:
        console.say(target)


def drawing(kernel: "np.ndarray", *, ascii_only: bool) -> list[str]:
    """Draw the taps, two columns each, so that they look square.

    The shade grows with the root of the tap, so that the tails show.

    Args:
        kernel: (k, k).
        ascii_only: for terminals without UTF-8.

    Returns:
        k lines of 2 k characters.
    """
    import numpy as np

    shades = ASCII_SHADES if ascii_only else SHADES
    relative = np.sqrt(kernel.clip(0) / max(float(kernel.max()), 1e-12))
    levels = np.rint(relative * (len(shades) - 1)).astype(int)
    return ["".join(2 * shades[level] for level in row) for row in levels]


def measures(
    kernel: "np.ndarray", space: str, shape: "KernelShape", noise: float | None
) -> list[str]:
    """The numbers, a line each.

    Args:
        kernel: (k, k).
        space: whose pixels the taps are.
        shape: its measures.
        noise: power of noise over power of the photo; None where the network estimates none.
    """
    direction = "round" if shape.anisotropy < ROUND else f"widest at {shape.angle_deg:.0f} degrees"
    lines = [
        f"taps        {kernel.shape[1]}x{kernel.shape[0]} {PIXELS[space]} pixels",
        f"width       {shape.width_px:.2f} px",
        f"ellipse     {shape.major_px:.2f} x {shape.minor_px:.2f} px, {direction}",
        f"anisotropy  {shape.anisotropy:.2f}",
    ]
    if noise is not None:
        lines.append(f"noise       {decibels(noise):.1f} dB of the photo's power")
    return lines


def beside(left: list[str], right: list[str]) -> list[str]:
    """Join two columns; the right one is in the middle of the left one's height."""
    above = [""] * max((len(left) - len(right)) // 2, 0)
    width = max(map(len, left), default=0)
    rows = zip_longest(left, above + right, fillvalue="")
    return [f"{shown:<{width}}  {text}".rstrip() for shown, text in rows]


def decibels(ratio: float) -> float:
    """Of a ratio of powers above zero."""
    return 10 * math.log10(ratio)
