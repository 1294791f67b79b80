"""The data home: the folder that keeps data sets, so that training finds them by itself."""

import os
from pathlib import Path

import platformdirs

from dcls_cli.data.catalogue import dataset
from dcls_cli.data.packs import SUFFIX

#: Environment variable that names another folder.
VARIABLE = "DCLS_DATA"

#: What the paper trains on.
TRAINING_SETS = ("div2k", "flickr2k")


def data_home() -> Path:
    """The folder that `DCLS_DATA` names, else one in the user's data folder of the platform."""
    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else platformdirs.user_data_path("dcls", False)


def pack_of(name: str, home: Path) -> Path:
    """Where a data set is kept in the form that training opens at once."""
    return home / f"{name}{SUFFIX}"


def find_images(name: str, home: Path) -> Path | None:
    """The pack of a data set, else its folder of images, else its archive; None: it is not here.

    Args:
        name: of the catalogue.
        home: see `data_home`.

    Raises:
        UsageError: an unknown name.
    """
    known = dataset(name)
    folders = (home / folder for folder in known.folders)
    places = (
        pack_of(name, home),
        *(folder for folder in folders if (folder / known.images[0]).is_file()),
        *(home / archive.name for archive in known.archives),
    )
    return next((place for place in places if place.exists()), None)
