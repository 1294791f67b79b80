"""Folders and archives of images: checked, or made one file that training maps into memory."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dcls_cli.data.catalogue import Dataset, Promise
from dcls_cli.data.packs import SUFFIX, Pack, Packing
from dcls_cli.data.sources import StoredImage, dataset_of, images_of
from dcls_cli.errors import DataError, ImageError
from dcls_cli.files.atomic import atomic_write, printable


@dataclass(frozen=True)
class Fault:
    """An image that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """What was written: images and their megapixels; what was left out."""

    images: int
    megapixels: float
    faults: tuple[Fault, ...]


def prepare(
    sources: Sequence[Path],
    out: Path,
    *,
    overwrite: bool,
    progress: Callable[[int, int], None],
    note: Callable[[str], None],
) -> Prepared:
    """Decode and check all images, and write those that are whole.

    Raises:
        DataError: a source cannot be read or is no longer what was published, there is no image,
            or the file cannot be written.
    """
    if out.exists() and not overwrite:
        raise DataError(f"{out}: exists already; delete it, or give --overwrite")
    for source in sources:
        _check_archive(source, note)
    with ExitStack() as stack:
        found: list[tuple[Path, StoredImage]] = []
        for source in sources:
            images = stack.enter_context(images_of(source))
            if not images:
                raise DataError(f"{printable(source)}: contains no images")
            found += [(source, image) for image in images]
        faults: list[Fault] = []
        packing: list[Packing] = []

        def write(file: BinaryIO) -> None:
            packing.append(Packing(file))
            for done, (source, image) in enumerate(found, start=1):
                name = f"{printable(source)}: {image.name}"
                try:
                    packing[0].add(f"{source.name}/{image.name}", image.pixels())
                except ImageError as error:
                    faults.append(Fault(name, str(error)))
                progress(done, len(found))
            if not packing[0].images:
                raise DataError(f"none of the {len(found)} images can be read; nothing is written")
            packing[0].finish()

        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(out, write, overwrite=overwrite)
        except OSError as error:
            raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
    pixels = sum(image.height * image.width for image in packing[0].images)
    return Prepared(len(packing[0].images), pixels / 1e6, tuple(faults))


def _promise_of(path: Path, known: Dataset | None) -> Promise | None:
    """What an archive of a known name must be."""
    archives = () if known is None or not path.is_file() else known.archives
    promises = (Promise.published(item) for item in archives if item.name == path.name)
    return next((promise.with_record(path) for promise in promises), None)


def _check_archive(source: Path, note: Callable[[str], None]) -> None:
    """Compare an archive of a known name with its published digest."""
    promise = _promise_of(source, dataset_of(source))
    if promise is not None and promise.checks_content:
        note(f"{source}: comparing with its digest")
        damage = promise.damage(source)
        if damage is not None:
            raise DataError(f"{source}: damaged: {damage}; download it again")


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
        """Whether there are images, and nothing is missing or damaged."""
        return self.images > 0 and not (self.faults or self.missing)


def check(path: Path, known: Dataset | None, progress: Callable[[int, int], None]) -> Checked:
    """Decode every image, compare digests, and count.

    Raises:
        DataError: it cannot be read at all.
    """
    if path.suffix == SUFFIX and path.is_file():
        return _check_pack(path)
    known = known or dataset_of(path)
    promise = _promise_of(path, known)
    damage = None if promise is None else promise.damage(path)
    faults = [] if damage is None else [Fault(path.name, damage)]
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
