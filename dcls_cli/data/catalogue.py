"""The data sets that the paper trains on: archives, mirrors, checksums, and where they are kept.

Sizes and SHA-256 of DIV2K are those of TensorFlow Datasets (url_checksums/div2k.txt), the MD5 of
Flickr2K.tar is that of torchSR and of Catalyst. For Flickr2K.zip, which has the sharp images alone,
nobody publishes a digest: what the server states is recorded beside the file when it is downloaded.
The data home is the folder that keeps data sets, so that training finds them by itself.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import platformdirs

from dcls_cli.data.packs import SUFFIX
from dcls_cli.errors import UsageError, nearest

_ETH = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
_HUB = "https://huggingface.co/datasets"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file with images.

    Attributes:
        name: of the file.
        mirrors: addresses, the best first.
        size: bytes, if they are published.
        sha256, md5: hexadecimal digests, if they are published.
    """

    name: str
    mirrors: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Sharp images that belong together.

    Attributes:
        name: as the user gives it.
        archives: any one of them has all images; the first is the best to download.
        folders: what the folder of the images is called, in an archive or unpacked.
        first, last: numbers of the images.
        digits: of a number in the name of an image.
    """

    name: str
    archives: tuple[Archive, ...]
    folders: tuple[str, ...]
    first: int
    last: int
    digits: int

    @property
    def images(self) -> tuple[str, ...]:
        """Names of all images."""
        return tuple(f"{n:0{self.digits}}.png" for n in range(self.first, self.last + 1))


DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="div2k",
            archives=(
                Archive(
                    name="DIV2K_train_HR.zip",
                    mirrors=(
                        f"{_ETH}/DIV2K_train_HR.zip",
                        f"{_HUB}/eugenesiow/Div2k/resolve/main/data/DIV2K_train_HR.zip",
                        f"{_HUB}/goodfellowliu/DIV2K/resolve/main/DIV2K_train_HR.zip",
                    ),
                    size=3_530_603_713,
                    sha256="9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
                    md5="bdc2d9338d4e574fe81bf7d158758658",
                ),
            ),
            folders=("DIV2K_train_HR",),
            first=1,
            last=800,
            digits=4,
        ),
        Dataset(
            name="div2k-valid",
            archives=(
                Archive(
                    name="DIV2K_valid_HR.zip",
                    mirrors=(
                        f"{_ETH}/DIV2K_valid_HR.zip",
                        f"{_HUB}/eugenesiow/Div2k/resolve/main/data/DIV2K_valid_HR.zip",
                    ),
                    size=448_993_893,
                    sha256="20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
                    md5="9fcdda83005c5e5997799b69f955ff88",
                ),
            ),
            folders=("DIV2K_valid_HR",),
            first=801,
            last=900,
            digits=4,
        ),
        Dataset(
            name="flickr2k",
            archives=(
                Archive(
                    name="Flickr2K.tar",
                    mirrors=(
                        "https://cv.snu.ac.kr/research/EDSR/Flickr2K.tar",
                        "http://cv.snu.ac.kr/research/EDSR/Flickr2K.tar",
                    ),
                    md5="5d3f39443d5e9489bff8963f8f26cb03",
                ),
                Archive(
                    name="Flickr2K.zip",
                    mirrors=(
                        f"{_HUB}/goodfellowliu/Flickr2K/resolve/main/Flickr2K.zip",
                        f"{_HUB}/yangtao9009/Flickr2K/resolve/main/Flickr2K.zip",
                    ),
                ),
            ),
            folders=("Flickr2K_HR", "Flickr2K"),
            first=1,
            last=2650,
            digits=6,
        ),
    )
}


def dataset(name: str) -> Dataset:
    """The data set of a name.

    Raises:
        UsageError: unknown.
    """
    if name not in DATASETS:
        raise UsageError(
            f"{name}: no such data set; choose from {', '.join(DATASETS)}{nearest(name, DATASETS)}"
        )
    return DATASETS[name]


#: Beside an archive whose digest nobody publishes: what it was when it was downloaded.
RECORD_SUFFIX = ".sha256"

_BLOCK = 1 << 22
_RECORD = re.compile(r"([0-9a-f]{64})  \S.*\n?")


@dataclass(frozen=True)
class Promise:
    """Size and digests that a file must have, as far as they are known."""

    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @classmethod
    def published(cls, archive: Archive) -> Self:
        """What the catalogue says of an archive."""
        return cls(archive.size, archive.sha256, archive.md5)

    @property
    def checks_content(self) -> bool:
        """Whether a digest is known."""
        return (self.sha256 or self.md5) is not None

    def with_record(self, path: Path) -> Self:
        """The same, or what was recorded beside a file of which nothing is published."""
        record = record_of(path)
        if self.checks_content or not record.is_file():
            return self
        match = _RECORD.fullmatch(record.read_text(encoding="utf-8", errors="replace"))
        return replace(self, sha256=match[1]) if match else self

    def damage(self, path: Path, progress: Callable[[int, int], None] | None = None) -> str | None:
        """Say in what a file differs, or None.

        Raises:
            OSError: it cannot be read.
        """
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"it has {size} bytes, expected {self.size}"
        if not self.checks_content:
            return None
        name, wanted = ("sha256", self.sha256) if self.sha256 else ("md5", self.md5)
        found = digest(path, name, progress)
        if found == wanted:
            return None
        return f"its {name.upper()} is {found[:12]}..., expected {str(wanted)[:12]}..."


def digest(path: Path, name: str, progress: Callable[[int, int], None] | None = None) -> str:
    """Hexadecimal digest of a file by the hash of a name.

    Raises:
        OSError: it cannot be read.
    """
    state, size = hashlib.new(name, usedforsecurity=False), path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
            if progress is not None:
                progress(file.tell(), size)
    return state.hexdigest()


def record_of(path: Path) -> Path:
    """Where the digest of an archive is recorded, as `sha256sum -c` reads it."""
    return path.with_name(path.name + RECORD_SUFFIX)


#: Environment variable that names another folder.
HOME_VARIABLE = "DCLS_DATA"

#: What the paper trains on.
TRAINING_SETS = ("div2k", "flickr2k")


def data_home() -> Path:
    """The folder that `DCLS_DATA` names, else one in the user's data folder of the platform."""
    given = os.environ.get(HOME_VARIABLE)
    return Path(given).expanduser() if given else platformdirs.user_data_path("dcls", False)


def pack_of(name: str, home: Path) -> Path:
    """Where a data set is kept in the form that training opens at once."""
    return home / f"{name}{SUFFIX}"


def find_images(name: str, home: Path) -> Path | None:
    """The pack of a data set, else its folder of images, else its archive; None: it is not here.

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
