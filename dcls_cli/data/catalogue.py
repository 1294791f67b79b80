"""The data sets that the paper trains on: archives, mirrors, checksums, names of the images.

Sizes and SHA-256 of DIV2K are those of TensorFlow Datasets (url_checksums/div2k.txt), the MD5 of
Flickr2K.tar is that of torchSR and of Catalyst. For Flickr2K.zip, which has the sharp images alone,
nobody publishes a digest: what the server states is recorded beside the file when it is downloaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

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
