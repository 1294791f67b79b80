"""`dcls kernel`: the blur of photos, without restoring them."""

import math
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import console, options
from dcls_cli.errors import DclsError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from dcls_cli.backends import Backend
    from dcls_cli.cli.photo_views import PhotoView
    from dcls_cli.config import KernelSpace
    from dcls_cli.jobs.networks import Networks
    from dcls_cli.kernels import KernelShape
    from dcls_cli.upscaling import FoundBlur


#: From nothing to the largest tap; the second for terminals without UTF-8.
SHADES = " ░▒▓█"
ASCII_SHADES = " .:-=+*#%@"

#: Rounder kernels have no direction to speak of.
ROUND = 0.05

#: Whose pixels the taps are, in words.
PIXELS: "dict[KernelSpace, str]" = {"hr": "output", "lr": "input"}


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
    from dcls_cli.jobs.events import Failed
    from dcls_cli.jobs.networks import Networks
    from dcls_cli.jobs.report import Tally
    from dcls_cli.jobs.request import Request
    from dcls_cli.kernels.user_kernel import check_new_file

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
            show(photo, targets, networks, view, overwrite=overwrite, json=json)
            tally.done += 1
        except DclsError as error:
            fail(photo, error)
    raise typer.Exit(conclude(tally, json=json))


def plan_files(photos: list[Path], output: str | None) -> list[list[Path]]:
    """Name the files of each photo and make the folder that they go to.

    Raises:
        UsageError: one file for several photos, another suffix, one name for two photos, or an
            output that is one of the photos.
        DclsError: the folder cannot be made.
    """
    from dcls_cli.jobs.plan import make_folder
    from dcls_cli.kernels.user_kernel import WRITABLE_KERNELS

    if output is None:
        return [[] for _ in photos]
    path = Path(output)
    if path.suffix.lower() in WRITABLE_KERNELS and not path.is_dir() and not output.endswith("/"):
        if len(photos) > 1:
            raise UsageError(f"{console.visible(path)}: several photos need a folder as --output")
        files = [[path]]
    elif path.is_file() or (path.suffix and not path.exists() and not output.endswith("/")):
        raise UsageError(
            f"{console.visible(path)}: expected a file that ends in "
            f"{' or '.join(WRITABLE_KERNELS)}, or a folder (with a slash at its end, if it is new)"
        )
    else:
        make_folder(path)
        files = [
            [path / f"{photo.stem}_kernel{suffix}" for suffix in WRITABLE_KERNELS]
            for photo in photos
        ]
    _refuse_collisions(photos, files)
    return files


def _refuse_collisions(photos: list[Path], files: list[list[Path]]) -> None:
    """No file may be written twice, and none over a photo."""
    sources = {photo.resolve() for photo in photos}
    seen: set[Path] = set()
    for photo, targets in zip(photos, files, strict=True):
        for target in targets:
            place = target.resolve()
            if place in sources:
                raise UsageError(f"{console.visible(target)}: the output would replace a photo")
            if place in seen:
                raise UsageError(
                    f"{console.visible(target)}: would be written for {console.visible(photo)} "
                    "and another photo of that name; use different folders"
                )
            seen.add(place)


def show(
    photo: Path,
    targets: list[Path],
    networks: "Networks",
    view: "PhotoView",
    *,
    overwrite: bool,
    json: bool,
) -> None:
    """Estimate the blur of one photo, write it, and tell about it.

    Raises:
        DclsError: there is no estimate, or a file cannot be written.
    """
    from dcls_cli.image import read
    from dcls_cli.kernels.user_kernel import write_kernel
    from dcls_cli.upscaling import find_blur

    picture = read(photo)
    named = networks.choose(picture, networks.factor)
    backend = networks.load(named)
    found = find_blur(picture.colour, backend, tiled=False)
    blur = found.blur
    space = backend.config.kernel_space
    for target in targets:
        write_kernel(blur.kernel, space, target, overwrite=overwrite)
    for text in picture.notes:
        console.note(f"{photo}: {text}")
    if not json:
        view.explain(photo, named)
    if found.warning is not None:
        console.note(f"{photo}: {found.warning}")
    print_blur(photo, targets, named.name, backend, found, json=json)


def print_blur(
    photo: Path,
    targets: list[Path],
    model: str,
    backend: "Backend",
    found: "FoundBlur",
    *,
    json: bool,
) -> None:
    """Print the blur: a drawing with its measures, or one event."""
    from dcls_cli.kernels import shape_of

    blur = found.blur
    shape, space = shape_of(blur.kernel), backend.config.kernel_space
    noise = None if blur.noise is None else float(blur.noise)
    if json:
        console.event(
            "kernel",
            input=photo,
            files=targets,
            model=model,
            scale=backend.config.scale,
            kernel_space=space,
            **{name: round(value, 4) for name, value in asdict(shape).items()},
            confidence=found.confidence,
            estimated_px=round(found.estimated_px, 4),
            noise=noise,
            taps=blur.kernel.tolist(),
        )
        return
    console.say(photo)
    taps = drawing(blur.kernel, ascii_only=console.out.options.ascii_only)
    for line in beside(taps, measures(blur.kernel, space, shape, noise)):
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
    kernel: "np.ndarray", space: "KernelSpace", shape: "KernelShape", noise: float | None
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
