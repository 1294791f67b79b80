"""`dcls data`: images to train on: get them, pack them, check them."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import commands, console, options
from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from dcls_cli.data.preparing import Prepared

data = typer.Typer(
    cls=commands.Group, help="Get, prepare and check images to train on.", rich_markup_mode=None
)

#: How many missing images are named.
LISTED = 20

#: Of archive and pack in GB, about: what is downloaded, and what it becomes on the disk.
_SIZES = {"div2k": (3.5, 7), "flickr2k": (20, 22)}


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

    An interrupted download resumes; archives are compared with
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
            obtained = obtain(item, folder, local=local, mirror=mirror, listener=listener)
        console.note(f"{item.name}: {obtained.path} {obtained.origin}")
        console.say(obtained.path)


@data.command(cls=commands.Command, epilog="dcls data prepare photos/ scans.zip -o photos.pack")
def prepare(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="Folders of images, ZIP and TAR archives."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="FILE.pack", help="File to write, for `dcls train --hr`."
        ),
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.pack.")] = False,
) -> None:
    """Decode and check images, and write them into one file that training opens at once.

    A training run maps the file into memory: it starts within a second instead of decoding
    thousands of PNG files, needs no memory of its own for them, and gives the same weights. The
    file has 3 bytes for each pixel: about 7 GB for DIV2K, 22 GB for Flickr2K. Damaged images are
    named and left out.
    """
    from dcls_cli.data.packs import SUFFIX

    if out.suffix != SUFFIX:
        raise UsageError(f"{out}: -o must end in {SUFFIX}")
    prepared = _pack([Path(name) for name in options.expanded(sources)], out, overwrite=overwrite)
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
    """Count and decode images, compare digests, and name damaged and missing files."""
    from dcls_cli.cli.training_view import loading_bar
    from dcls_cli.data.catalogue import dataset
    from dcls_cli.data.preparing import check as look

    known = None if name is None else dataset(name)
    whole = True
    for path in map(Path, options.expanded(paths)):
        with loading_bar() as progress:
            checked = look(path, known, progress)
        for fault in checked.faults:
            console.say(f"{path}: damaged: {fault.name}: {fault.reason}")
        for image in checked.missing[:LISTED]:
            console.say(f"{path}: missing: {image}")
        if len(checked.missing) > LISTED:
            console.say(f"{path}: missing: {len(checked.missing) - LISTED} more")
        of = f" of {len(checked.dataset.images)}" if checked.dataset is not None else ""
        damaged, missing = len(checked.faults), len(checked.missing)
        if not (checked.images or damaged or missing):
            console.say(f"{path}: contains no images")
            whole = False
            continue
        verdict = "all whole" if checked.whole else f"{damaged} damaged, {missing} missing"
        console.say(f"{path}  {checked.images}{of} images, {verdict}")
        whole &= checked.whole
    raise typer.Exit(0 if whole else console.EXIT_FAILED)


def training_images() -> tuple[Path, ...]:
    """The images of `dcls train` without `--hr`; asks, in a terminal, before they are downloaded.

    Raises:
        UsageError: they are missing, and a download was declined.
        DataError: one is damaged, or the data home cannot be written.
    """
    from dcls_cli.training.images import default_images

    def download(home: Path, missing: Sequence[str]) -> bool:
        agreed = _agreed(missing, home)
        if agreed:
            download_into(home, missing)
        return agreed

    def pack(archive: Path, packed: Path) -> None:
        console.note(f"{archive}: packed once, for training to open it at once")
        _pack([archive], packed, overwrite=False)

    return default_images(download, pack)


def _agreed(missing: Sequence[str], home: Path) -> bool:
    """Ask whether to download; without a terminal the answer is no."""
    from dcls_cli.data.catalogue import HOME_VARIABLE
    from dcls_cli.training.images import TITLES

    if not (sys.stdin.isatty() and console.err.is_terminal):
        return False
    sets = " and ".join(f"{TITLES[name]} ({_SIZES[name][0]} GB)" for name in missing)
    needed = sum(sum(_SIZES[name]) for name in missing)
    existing = next(place for place in (home, *home.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free / 1e9
    console.fault(f"training needs {sets}, photographs for research use only (see their terms)")
    console.fault(f"folder: {home}, {needed:.0f} GB needed in all, {free:.0f} GB free")
    console.fault(f"another folder: {HOME_VARIABLE}=FOLDER; your own images: --hr FOLDER")
    return typer.confirm("Download them now?", default=False, err=True)


def _pack(sources: Sequence[Path], out: Path, *, overwrite: bool) -> "Prepared":
    """Pack images, showing how far that is, and name those that are damaged."""
    from dcls_cli.cli.training_view import loading_bar
    from dcls_cli.data.preparing import prepare as pack

    with loading_bar() as progress:
        prepared = pack(sources, out, overwrite=overwrite, progress=progress, note=console.note)
    for fault in prepared.faults:
        console.fault(f"{fault.name}: {fault.reason}; left out")
    return prepared
