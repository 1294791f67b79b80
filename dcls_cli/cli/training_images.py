"""The images that `dcls train` takes where no `--hr` names any: the paper's, in the data home."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from dcls_cli.cli import console
from dcls_cli.cli.data import download_into
from dcls_cli.cli.training_view import loading_bar
from dcls_cli.data.catalogue import HOME_VARIABLE, TRAINING_SETS, data_home, find_images, pack_of
from dcls_cli.data.preparing import prepare
from dcls_cli.errors import UsageError

#: Of archive and pack in GB, about: what is downloaded, and what it becomes on the disk.
_SIZES = {"div2k": (3.5, 7), "flickr2k": (20, 22)}

_TITLES = {"div2k": "DIV2K", "flickr2k": "Flickr2K"}


def default_images() -> tuple[Path, ...]:
    """DIV2K and Flickr2K as training opens them; asks, in a terminal, before they are downloaded.

    Raises:
        UsageError: they are not here, and nobody has agreed to a download.
        DataError: one is damaged, or the data home cannot be written.
    """
    home = data_home()
    missing = [name for name in TRAINING_SETS if find_images(name, home) is None]
    if missing:
        if not _agreed(missing, home):
            raise UsageError(
                f"no --hr, and no {' or '.join(_TITLES[name] for name in missing)} in {home}: "
                f"dcls data download {' '.join(missing)}"
            )
        download_into(home, missing)
    return tuple(_opened_at_once(name, home) for name in TRAINING_SETS)


def _agreed(missing: Sequence[str], home: Path) -> bool:
    """Ask whether to download; without a terminal the answer is no."""
    if not (sys.stdin.isatty() and console.err.is_terminal):
        return False
    sets = " and ".join(f"{_TITLES[name]} ({_SIZES[name][0]} GB)" for name in missing)
    needed = sum(sum(_SIZES[name]) for name in missing)
    existing = next(place for place in (home, *home.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free / 1e9
    console.fault(f"training needs {sets}, photographs for research use only (see their terms)")
    console.fault(f"folder: {home}, {needed:.0f} GB needed in all, {free:.0f} GB free")
    console.fault(f"another folder: {HOME_VARIABLE}=FOLDER; your own images: --hr FOLDER")
    return typer.confirm("Download them now?", default=False, err=True)


def _opened_at_once(name: str, home: Path) -> Path:
    """A data set as a folder or a pack; an archive is packed beside itself, once."""
    path = find_images(name, home)
    assert path is not None
    if path.is_dir() or path == pack_of(name, home):
        return path
    if "RANK" in os.environ:  # several processes would write one file
        raise UsageError(f"{path}: prepare it first: dcls data prepare {path} -o {name}.pack")
    console.note(f"{path}: packed once, for training to open it at once")
    pack = pack_of(name, home)
    with loading_bar(True) as progress:
        prepared = prepare([path], pack, overwrite=False, progress=progress, note=console.note)
    for fault in prepared.faults:
        console.fault(f"{fault.name}: {fault.reason}; left out")
    return pack
