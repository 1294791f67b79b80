"""A data set's archive: found on this machine, or else from the first mirror that works."""

import contextlib
import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dcls_cli.atomic import atomic_write
from dcls_cli.data import mirrors
from dcls_cli.data.catalogue import Archive, Dataset
from dcls_cli.data.digests import Promise, digest, record_of
from dcls_cli.errors import DataError
from dcls_cli.hub import transfer
from dcls_cli.hub.transfer import Listener, RefusedError, StalledError
from dcls_cli.locking import held


@dataclass(frozen=True)
class Obtained:
    """An archive, or a folder of unpacked images.

    Attributes:
        path: where it is.
        origin: how it came there, for people to read.
    """

    path: Path
    origin: str


def obtain(
    dataset: Dataset,
    folder: Path,
    *,
    local: Sequence[Path],
    mirror: str | None,
    listener: Listener,
) -> Obtained:
    """Have a data set on this machine; the network comes last.

    Args:
        dataset: what is wanted.
        folder: gets the archive, unless unpacked images are found.
        local: folders in which archives or unpacked images are looked for first.
        mirror: address of a folder or of a file that is asked before all other mirrors.
        listener: informed of the progress.

    Raises:
        DataError: no place has it, a file that is here is damaged, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with held(folder / f".{dataset.name}.lock"):
            return (
                _here(dataset, folder)
                or _local(dataset, folder, local)
                or _downloaded(dataset, folder, mirror, listener)
            )
    except BlockingIOError as error:
        raise DataError(
            f"{folder}: {error.strerror} is downloading {dataset.name} into this folder; wait for "
            "its end, or choose another folder"
        ) from error
    except OSError as error:
        raise DataError(_unwritable(error, folder)) from error


def _here(dataset: Dataset, folder: Path) -> Obtained | None:
    """An archive that is in the folder already, if it is whole."""
    for archive in dataset.archives:
        path = folder / archive.name
        if path.is_file():
            _check(path, archive)
            return Obtained(path, "was here already, whole")
    return None


def _local(dataset: Dataset, folder: Path, places: Sequence[Path]) -> Obtained | None:
    """An archive, or unpacked images, of other folders; an archive is linked or copied."""
    for place in places:
        if not place.is_dir():
            raise DataError(f"{place}: no such folder")
        for archive in dataset.archives:
            source = place / archive.name
            if source.is_file():
                _check(source, archive)
                path = folder / archive.name
                with contextlib.suppress(OSError):  # another disk, or one without links
                    path.hardlink_to(source)
                    return Obtained(path, f"is a link to {source}")
                _copy(source, path)
                return Obtained(path, f"was copied from {source}")
        for images in (place, *(place / name for name in dataset.folders)):
            if (images / dataset.images[0]).is_file():
                return Obtained(images, "has the images unpacked")
    return None


def _downloaded(dataset: Dataset, folder: Path, mirror: str | None, listener: Listener) -> Obtained:
    """An archive from the first mirror that has it."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    failures = []
    for archive in dataset.archives:
        for url in _addresses(archive, mirror):
            path = folder / archive.name
            try:
                with transfer.without_telemetry():
                    promise = Promise.published(archive)
                    checked = mirrors.download(url, path, promise, listener)
            except (
                RefusedError,
                StalledError,
                ValueError,
                httpx2.HTTPError,
                httpx2.InvalidURL,
                HfHubHTTPError,
                OfflineModeIsEnabled,
            ) as error:
                failures.append(mirrors.reason(error, url))
                listener.note(f"{archive.name}: {failures[-1]}")
                continue
            if not promise.checks_content:
                _record(path, listener, stated=checked.checks_content)
            return Obtained(path, f"came from {url}")
    raise DataError(
        f"{dataset.name}: no mirror gives it: {'; '.join(dict.fromkeys(failures))}; get "
        f"{dataset.archives[0].name} by hand and name its folder with --from"
    )


def _addresses(archive: Archive, mirror: str | None) -> list[str]:
    """Where to ask, in order."""
    if mirror is None:
        return list(archive.mirrors)
    own = mirror if mirror.endswith(archive.name) else f"{mirror.rstrip('/')}/{archive.name}"
    return [own, *archive.mirrors]


def _check(path: Path, archive: Archive) -> None:
    """Refuse a damaged archive.

    Raises:
        DataError: it is damaged.
    """
    damage = Promise.published(archive).with_record(path).damage(path)
    if damage is not None:
        raise DataError(
            f"{path}: damaged: {damage}; delete it, or, if it is the beginning of a download, "
            f"rename it to {mirrors.part_of(path).name} to go on with it"
        )


def _record(path: Path, listener: Listener, *, stated: bool) -> None:
    """Remember what a file without a published digest is."""
    found = digest(path, "sha256")
    line = f"{found}  {path.name}\n".encode()
    atomic_write(record_of(path), lambda out: _write(out, line), overwrite=True)
    compared = "as its server states" if stated else "which nothing could be compared with"
    listener.note(f"{path.name}: its SHA-256 is {found[:12]}..., {compared}; recorded")


def _write(out: BinaryIO, content: bytes) -> None:
    out.write(content)


def _copy(source: Path, path: Path) -> None:
    with source.open("rb") as content:
        atomic_write(path, lambda out: shutil.copyfileobj(content, out), overwrite=False)


def _unwritable(error: OSError, folder: Path) -> str:
    """What is wrong with the disk, and what to do."""
    path = os.fsdecode(error.filename) if error.filename is not None else str(folder)
    said = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{path}: {said}; make room and run the same again, it goes on where it was"
    return f"{path}: cannot be written: {said}; choose another folder, by --to or DCLS_DATA"
