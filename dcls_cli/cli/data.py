"""`dcls data`: images to train on: get them, pack them, check them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dcls_cli.cli import commands, console
from dcls_cli.errors import UsageError

data = typer.Typer(
    cls=commands.Group, help="Get, prepare and check images to train on.", rich_markup_mode=None
)

TOLD = 20


@data.command(cls=commands.Command, epilog="dcls data download div2k flickr2k")
def download(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="div2k, div2k-valid or flickr2k."),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FOLDER",
            help="Put the archives into this folder. [default: where `dcls train` looks for them, "
            "DCLS_DATA or the data folder of the user]",
        ),
    ] = None,
    local: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Look for archives or unpacked images in this folder first; may be repeated.",
        ),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Try this address of a folder or file before all others."),
    ] = None,
) -> None:
    """Get data sets of photographs: local folders first, then several mirrors.

    A download that was interrupted, or killed, goes on where it was; archives are compared with
    their published digests. DIV2K and Flickr2K are for research: see their terms.
    """
    from dcls_cli.data.catalogue import data_home

    download_into(to or data_home(), names, local=local or (), mirror=mirror)


def download_into(
    folder: Path, names: Sequence[str], *, local: Sequence[Path] = (), mirror: str | None = None
) -> None:
    """Have data sets in a folder, and print where each of them is.

    Raises:
        UsageError: an unknown data set.
        DataError: see `obtain`.
    """
    from dcls_cli.cli.downloads import shown_download
    from dcls_cli.data.catalogue import dataset
    from dcls_cli.data.obtaining import obtain

    for item in [dataset(name) for name in names]:
        with shown_download(item.name) as listener:
            found = obtain(item, folder, local=local, mirror=mirror, listener=listener)
        console.note(f"{item.name}: {found.path} {found.origin}")
        console.say(found.path)


@data.command(cls=commands.Command, epilog="dcls data prepare photos/ scans.zip -o photos.pack")
def prepare(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="Folders of images, ZIP and TAR archives."),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE.pack", help="For `dcls train --hr`.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.pack.")] = False,
) -> None:
    """Decode and check images, and write them into one file that training opens at once.

    A training run maps the file into memory: it starts within a second instead of decoding
    thousands of PNG files, needs no memory of its own for them, and gives the same weights. The
    file has 3 bytes for each pixel: about 7 GB for DIV2K, 22 GB for Flickr2K. Damaged images are
    named and left out.
    """
    from dcls_cli.cli.training_view import loading_bar
    from dcls_cli.data.packs import SUFFIX
    from dcls_cli.data.preparing import prepare as pack

    if out.suffix != SUFFIX:
        raise UsageError(f"{out}: -o must end in {SUFFIX}")
    with loading_bar(True) as progress:
        prepared = pack(sources, out, overwrite=overwrite, progress=progress, note=console.note)
    for fault in prepared.faults:
        console.fault(f"{fault.name}: {fault.reason}; left out")
    left_out = f", {len(prepared.faults)} left out" if prepared.faults else ""
    console.say(f"{out}  {prepared.images} images, {prepared.megapixels:.1f} megapixels{left_out}")
    raise typer.Exit(console.EXIT_FAILED if prepared.faults else 0)


@data.command(cls=commands.Command, epilog="dcls data check photos.pack")
def check(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Folders, archives, files of `dcls data prepare`."),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--dataset", metavar="NAME", help="Compare with this data set. [default: by its name]"
        ),
    ] = None,
) -> None:
    """Count images, decode each of them, compare digests; name what is damaged or missing."""
    from dcls_cli.cli.training_view import loading_bar
    from dcls_cli.data.catalogue import dataset
    from dcls_cli.data.preparing import check as look

    known = None if name is None else dataset(name)
    whole = True
    for path in paths:
        with loading_bar(True) as progress:
            found = look(path, known, progress)
        for fault in found.faults:
            console.say(f"{path}: damaged: {fault.name}: {fault.reason}")
        for image in found.missing[:TOLD]:
            console.say(f"{path}: missing: {image}")
        if len(found.missing) > TOLD:
            console.say(f"{path}: missing: {len(found.missing) - TOLD} more")
        of = f" of {len(found.dataset.images)}" if found.dataset is not None else ""
        damaged, missing = len(found.faults), len(found.missing)
        told = "all whole" if found.whole else f"{damaged} damaged, {missing} missing"
        console.say(f"{path}  {found.images}{of} images, {told}")
        whole &= found.whole
    raise typer.Exit(0 if whole else console.EXIT_FAILED)
