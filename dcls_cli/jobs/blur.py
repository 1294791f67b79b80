"""The blur of photos, without restoring them: what `dcls kernel` does."""

import os
from dataclasses import dataclass
from pathlib import Path

from dcls_cli.errors import UsageError
from dcls_cli.files.atomic import printable
from dcls_cli.files.platforms import identity
from dcls_cli.image import read
from dcls_cli.jobs.events import Named
from dcls_cli.jobs.naming import Places
from dcls_cli.jobs.networks import Networks
from dcls_cli.jobs.output_folders import make_folder
from dcls_cli.kernels.user_kernel import WRITABLE_KERNELS, write_kernel
from dcls_cli.upscaling import FoundBlur, find_blur


@dataclass(frozen=True, eq=False)
class PhotoBlur:
    """The blur of a photo.

    Attributes:
        network: that estimated it.
        found: the estimate, and how far it is believed.
        space: `hr` or `lr`: whose pixels its taps are.
        scale: up-scaling factor of the network.
        notes: remarks about the photo and the estimate, a sentence each.
    """

    network: Named
    found: FoundBlur
    space: str
    scale: int
    notes: tuple[str, ...]


def estimate_blur(
    photo: Path, targets: list[Path], networks: Networks, *, overwrite: bool
) -> PhotoBlur:
    """Estimate the blur of one photo and write it.

    Args:
        photo: the file.
        targets: the files of the blur, .npy or .png.
        networks: chooses and loads the network.
        overwrite: whether existing files may be replaced.

    Raises:
        DclsError: there is no estimate, or a file cannot be written.
    """
    picture = read(photo)
    network = networks.choose(picture, networks.factor)
    backend = networks.load(network)
    found = find_blur(picture.colour, backend, tiled=False)
    space = backend.config.kernel_space
    for target in targets:
        write_kernel(found.blur.kernel, space, target, overwrite=overwrite)
    warnings = () if found.warning is None else (found.warning,)
    notes = (*picture.notes, *warnings)
    return PhotoBlur(network, found, space, backend.config.scale, notes)


def plan_files(photos: list[Path], output: str | None) -> list[list[Path]]:
    """Name the files of each photo and make the folder that they go to.

    Raises:
        UsageError: one file for several photos, another suffix, one name for two photos, or an
            output that is one of the photos.
        DclsError: the folder cannot be made.
    """
    if output is None:
        return [[] for _ in photos]
    path = Path(output)
    if path.suffix.lower() in WRITABLE_KERNELS and not path.is_dir() and not _is_folder(output):
        if len(photos) > 1:
            raise UsageError(f"{printable(path)}: several photos need a folder as --output")
        files = [[path]]
    elif path.is_file() or (path.suffix and not path.exists() and not _is_folder(output)):
        raise UsageError(
            f"{printable(path)}: expected a file that ends in "
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


def _is_folder(output: str) -> bool:
    """Whether it ends as the name of a folder does."""
    return output.endswith(("/", os.sep))


def _refuse_collisions(photos: list[Path], files: list[list[Path]]) -> None:
    """No file may be written twice, and none over a photo."""
    sources = {photo.resolve() for photo in photos} | {identity(photo) for photo in photos} - {None}
    places = Places()
    for photo, targets in zip(photos, files, strict=True):
        for target in targets:
            if target.resolve() in sources or identity(target) in sources:
                raise UsageError(f"{printable(target)}: the output would replace a photo")
            if places.take(target, photo) is not None:
                raise UsageError(
                    f"{printable(target)}: would be written for {printable(photo)} "
                    "and another photo of that name; use different folders"
                )
