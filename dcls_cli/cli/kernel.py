"""`dcls kernel`: the blur of photos, without restoring them."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import console, options
from dcls_cli.cli.tally import Tally
from dcls_cli.errors import DclsError, UsageError

if TYPE_CHECKING:
    from dcls_cli.backends import Backend
    from dcls_cli.cli.networks import Networks
    from dcls_cli.upscaling import FoundBlur


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
    from dcls_cli.cli.kernels import check_kernel_output
    from dcls_cli.cli.networks import Networks
    from dcls_cli.cli.upscale import checked_factor

    networks = Networks(
        model, weights, checked_factor(scale), device=device, precision="fp32", engine=backend
    )
    files = plan_files(photos, output)
    tally = Tally(json=json)
    ready = []
    for photo, targets in zip(photos, files, strict=True):
        try:
            for target in targets:
                check_kernel_output(target, overwrite=overwrite)
            ready.append((photo, targets))
        except DclsError as error:
            tally.fail(photo, error)
    for photo, targets in ready:
        try:
            show(photo, targets, networks, overwrite=overwrite, json=json)
            tally.done += 1
        except DclsError as error:
            tally.fail(photo, error)
    raise typer.Exit(tally.exit_code())


def plan_files(photos: list[Path], output: str | None) -> list[list[Path]]:
    """Name the files of each photo and make the folder that they go to.

    Raises:
        UsageError: one file for several photos, another suffix, one name for two photos, or an
            output that is one of the photos.
        DclsError: the folder cannot be made.
    """
    from dcls_cli.cli.outputs import prepare_folder
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
        prepare_folder(f"{output}/", several=True)
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
    photo: Path, targets: list[Path], networks: "Networks", *, overwrite: bool, json: bool
) -> None:
    """Estimate the blur of one photo, write it, and tell about it.

    Raises:
        DclsError: there is no estimate, or a file cannot be written.
    """
    from dcls_cli.cli.kernels import write_kernel
    from dcls_cli.image import read
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
        networks.explain(photo, named)
    if found.warning is not None:
        console.note(f"{photo}: {found.warning}")
    tell(photo, targets, named.name, backend, found, json=json)


def tell(
    photo: Path,
    targets: list[Path],
    model: str,
    backend: "Backend",
    found: "FoundBlur",
    *,
    json: bool,
) -> None:
    """Print the blur: a drawing with its measures, or one event."""
    from dcls_cli.cli.kernel_view import beside, drawing, measures
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
