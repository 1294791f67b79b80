"""Whether training images are all there and whole."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dcls_cli.atomic import printable
from dcls_cli.data.catalogue import Dataset
from dcls_cli.data.digests import Promise
from dcls_cli.data.packs import SUFFIX, Pack
from dcls_cli.data.preparing import Fault
from dcls_cli.data.sources import dataset_of, images_of
from dcls_cli.errors import DataError, ImageError


@dataclass(frozen=True)
class Checked:
    """What a look at a folder, an archive or a pack has found.

    Attributes:
        path: of it.
        dataset: that it is of; None: unknown, so nothing can be missing.
        images: that are whole.
        faults: damaged images, and of the archive as a whole.
        missing: names of images that the data set has and this does not.
    """

    path: Path
    dataset: Dataset | None
    images: int
    faults: tuple[Fault, ...]
    missing: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not (self.faults or self.missing)


def check(path: Path, known: Dataset | None, progress: Callable[[int, int], None]) -> Checked:
    """Decode every image, compare digests, and count.

    Args:
        path: a folder, an archive, or a file of `dcls data prepare`.
        known: the data set that it should be; None: by its name.
        progress: called with (images done, images).

    Raises:
        DataError: it cannot be read at all.
    """
    if path.suffix == SUFFIX and path.is_file():
        return _check_pack(path)
    known = known or dataset_of(path)
    faults = _archive_faults(path, known)
    good: set[str] = set()
    bad: set[str] = set()
    with images_of(path) as images:
        for done, image in enumerate(images, start=1):
            try:
                image.pixels()
                good.add(image.file_name)
            except ImageError as error:
                faults.append(Fault(image.name, str(error)))
                bad.add(image.file_name)
            progress(done, len(images))
        count = len(images) - len(bad)
    missing = () if known is None else tuple(n for n in known.images if n not in good | bad)
    return Checked(path, known, count, tuple(faults), missing)


def _check_pack(path: Path) -> Checked:
    pack = Pack.open(path)
    try:
        damage = pack.damage()
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be read: {error.strerror}") from error
    faults = () if damage is None else (Fault(path.name, damage),)
    return Checked(path, None, len(pack.images), faults, ())


def _archive_faults(path: Path, known: Dataset | None) -> list[Fault]:
    """Whether an archive of a known name is what was published."""
    if known is None or not path.is_file():
        return []
    for archive in known.archives:
        if archive.name == path.name:
            damage = Promise.published(archive).with_record(path).damage(path)
            return [] if damage is None else [Fault(path.name, damage)]
    return []
