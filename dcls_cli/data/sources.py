"""Images in folders and archives, one after the other and without unpacking."""

import errno
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from lzma import LZMAError
from pathlib import Path, PurePosixPath

import numpy as np

from dcls_cli.data.catalogue import DATASETS, Dataset
from dcls_cli.errors import DataError, ImageError
from dcls_cli.files.atomic import printable
from dcls_cli.image import Photo
from dcls_cli.image.folders import images_in, is_claimed
from dcls_cli.image.reading import decode

#: No image of a data set is larger, and a damaged archive must not ask for all memory.
LARGEST_BYTES = 1 << 28


@dataclass(frozen=True)
class StoredImage:
    """An image somewhere.

    Attributes:
        name: in its folder or archive.
        read: its bytes.
    """

    name: str
    read: Callable[[], bytes]

    @property
    def file_name(self) -> str:
        """Without folders."""
        return PurePosixPath(self.name).name

    def pixels(self) -> np.ndarray:
        """Decode it: (H, W, 3) uint8.

        Raises:
            ImageError: it is damaged, or no image.
        """
        try:
            content = self.read()
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, LZMAError) as error:
            raise ImageError(f"damaged in its archive: {error}") from error
        except NotImplementedError as error:
            raise ImageError(f"compressed by a method that is not supported: {error}") from error
        except RuntimeError as error:  # as zipfile says that a password is needed
            raise ImageError(f"cannot be unpacked: {error}") from error
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror or error}") from error
        return rgb8(decode(BytesIO(content)))


def rgb8(photo: Photo) -> np.ndarray:
    """The colours of a photo as (H, W, 3) uint8, as they reach a network.

    Grey is repeated; 16 bits are rounded, v / 257 to the nearest level; alpha is left out, after
    colours that nobody sees were replaced by those beside them.

    Raises:
        ImageError: a value is not finite.
    """
    levels = photo.to_samples(8)
    colours = levels[..., :1].repeat(3, axis=2) if photo.grey else levels[..., :3]
    return np.ascontiguousarray(colours)


@contextmanager
def images_of(path: Path) -> Iterator[list[StoredImage]]:
    """The images of a folder, a ZIP or a TAR archive, in the order of their names.

    Files count by their names, hidden ones do not, in archives as in folders: see
    `dcls_cli.image.folders`. Of an archive with the folder of a data set's sharp images, only that
    folder.

    Raises:
        DataError: there is no such folder or archive, or it cannot be read.
        ImageError: a folder inside cannot be read.
    """
    if path.is_dir():
        yield [
            StoredImage(file.relative_to(path).as_posix(), partial(content_of, file))
            for file in images_in(path, recursive=True)
        ]
        return
    if not path.is_file():
        raise DataError(f"{printable(path)}: no such folder or archive")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _sharp(_in_zip(archive))
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                yield _sharp(_in_tar(archive))
        else:
            raise DataError(
                f"{printable(path)}: neither a folder nor a ZIP or TAR archive, or cut off"
            )
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(f"{printable(path)}: cannot be read as an archive: {error}") from error


def content_of(path: Path) -> bytes:
    """Read a file; opening a FIFO or a device would wait for ever.

    Raises:
        OSError: it is none, or cannot be read.
    """
    if not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return path.read_bytes()


def dataset_of(path: Path) -> Dataset | None:
    """The data set that a folder or an archive is of, going by its name."""
    for known in DATASETS.values():
        if path.name in (*known.folders, *(archive.name for archive in known.archives)):
            return known
    return None


def _in_zip(archive: zipfile.ZipFile) -> list[StoredImage]:
    def reader(member: zipfile.ZipInfo) -> Callable[[], bytes]:
        def read() -> bytes:
            _refuse_large(member.file_size)
            return archive.read(member)  # compares its CRC

        return read

    return [
        StoredImage(member.filename, reader(member))
        for member in archive.infolist()
        if not member.is_dir()
    ]


def _in_tar(archive: tarfile.TarFile) -> list[StoredImage]:
    def reader(member: tarfile.TarInfo) -> Callable[[], bytes]:
        def read() -> bytes:
            _refuse_large(member.size)
            content = archive.extractfile(member)
            assert content is not None, "only regular files are listed"
            return content.read()

        return read

    return [
        StoredImage(member.name, reader(member))
        for member in archive.getmembers()
        if member.isreg()
    ]


def _refuse_large(count: int) -> None:
    if count > LARGEST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {LARGEST_BYTES >> 20} MiB")


def _sharp(found: list[StoredImage]) -> list[StoredImage]:
    """The images of a known folder, if there is one; all images otherwise."""
    images = [item for item in found if _is_image(PurePosixPath(item.name))]
    for known in DATASETS.values():
        for folder in known.folders:
            inside = [item for item in images if PurePosixPath(item.name).parent.name == folder]
            if inside:
                return sorted(inside, key=lambda item: item.name)
    return sorted(images, key=lambda item: item.name)


def _is_image(member: PurePosixPath) -> bool:
    """Whether a member of an archive is named as images are, and neither it nor a folder hidden."""
    hidden = any(part.startswith(".") and part != ".." for part in member.parts)
    return is_claimed(member) and not hidden
