"""A data set's archive: found on this machine, or else from the first mirror that works.

A download that an earlier run has begun is finished in this one.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from dcls_cli.data.catalogue import Archive, Dataset, Promise, digest, record_of
from dcls_cli.errors import DataError, first_line
from dcls_cli.files import platforms
from dcls_cli.files.atomic import atomic_write, finish
from dcls_cli.files.locking import held
from dcls_cli.models.hub import transfer
from dcls_cli.models.hub.transfer import Listener, RefusedError, StalledError

PART_SUFFIX = ".part"

_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')
_WEB_PAGE = (b"<!doctype", b"<html")
_RANGE_NOT_SATISFIABLE = 416


def part_of(path: Path) -> Path:
    """Where the bytes are kept that have arrived of a file."""
    return path.with_name(path.name + PART_SUFFIX)


def download(url: str, path: Path, promise: Promise, listener: Listener) -> Promise:
    """Bring a file here, going on with what an earlier run has left.

    Nothing is kept of a file that proves to be wrong. What cannot be checked is not resumed.

    Returns:
        What the file was compared with: the promise, or what the server states.

    Raises:
        RefusedError: the server sends something else.
        StalledError: it says too little.
        OSError: the disk does not take it.
        Exception: of the HTTP client.
    """
    if not promise.checks_content:
        promise = _promise_of_server(url, promise)
    part = part_of(path)
    resumed = part.exists() and part.stat().st_size > 0 and promise.checks_content
    if not resumed or part.stat().st_size > (promise.size or part.stat().st_size):
        platforms.unlink(part, missing_ok=True)
        resumed = False
    _append(url, part, promise, listener)
    damage = promise.damage(part)
    if damage is not None and resumed:
        listener.note(f"{part.name}: what an earlier run has left does not fit; from the start")
        platforms.unlink(part)
        _append(url, part, promise, listener)
        damage = promise.damage(part)
    if damage is not None:
        platforms.unlink(part)
        raise RefusedError(f"the server sends wrong bytes: {damage}")
    finish(part, path)
    return promise


def _append(url: str, part: Path, promise: Promise, listener: Listener) -> None:
    """Add to the part what is missing."""
    from huggingface_hub.errors import HfHubHTTPError

    start = part.stat().st_size if part.exists() else 0
    if start and start == promise.size:
        return
    try:
        with part.open("ab") as file:
            for chunk in transfer.stream(url, {}, promise.size, listener, start):
                if file.tell() == 0 and chunk.lstrip().lower().startswith(_WEB_PAGE):
                    raise RefusedError("the server sends a web page instead of the file")
                file.write(chunk)
    except HfHubHTTPError as error:
        # An earlier run has got all of it and could not look at it any more.
        if not (start and error.response.status_code == _RANGE_NOT_SATISFIABLE):
            raise
    finally:
        if part.stat().st_size == 0:
            platforms.unlink(part)
    if not part.exists():
        raise RefusedError("the server sends nothing")


def _promise_of_server(url: str, promise: Promise) -> Promise:
    """What a server like the Hugging Face Hub says of a file: its SHA-256 and size."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined] # lazy

    patience = transfer.patience_s()

    def head() -> dict[str, str]:
        response = get_session().head(url, timeout=patience, follow_redirects=False)
        if not response.is_redirect:
            hf_raise_for_status(response)
        return {name.lower(): value for name, value in response.headers.items()}

    headers = transfer.ask(head)
    etag = _SHA256.fullmatch(headers.get("x-linked-etag", ""))
    size = headers.get("x-linked-size", "")
    return Promise(
        size=int(size) if size.isdigit() else promise.size,
        sha256=etag[1] if etag else None,
    )


def mirror_failure(error: Exception, url: str) -> str:
    """Why a mirror did not give a file, in one line."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    host = urlsplit(url).netloc or url
    said = first_line(error)
    if isinstance(error, HfHubHTTPError):
        return f"{host} answers {error.response.status_code}"
    if isinstance(error, StalledError | RefusedError):
        return f"{host}: {said}"
    if isinstance(error, httpx2.TimeoutException):
        return f"{host} does not answer"
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError):
        return f"{host} broke the connection off"
    return f"{host} cannot be reached: {said}"


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

    The `local` folders are looked into first, for archives or unpacked images; `mirror`, the
    address of a folder or of a file, is asked before all others.

    Raises:
        DataError: no place has it, a file that is here is damaged, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with held(folder / f".{dataset.name}.lock"):
            return (
                _in_folder(dataset, folder)
                or _in_other_folders(dataset, folder, local)
                or _from_mirrors(dataset, folder, mirror, listener)
            )
    except BlockingIOError as error:
        raise DataError(
            f"{folder}: {error.strerror} is downloading {dataset.name} into this folder; wait for "
            "its end, or choose another folder"
        ) from error
    except OSError as error:
        raise DataError(_unwritable(error, folder)) from error


def _in_folder(dataset: Dataset, folder: Path) -> Obtained | None:
    """An archive that is in the folder already, if it is whole."""
    for archive in dataset.archives:
        path = folder / archive.name
        if path.is_file():
            _check(path, archive)
            return Obtained(path, "was here already, whole")
    return None


def _in_other_folders(dataset: Dataset, folder: Path, places: Sequence[Path]) -> Obtained | None:
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
                with source.open("rb") as content:
                    atomic_write(path, partial(shutil.copyfileobj, content), overwrite=False)
                return Obtained(path, f"was copied from {source}")
        for images in (place, *(place / name for name in dataset.folders)):
            if (images / dataset.images[0]).is_file():
                return Obtained(images, "has the images unpacked")
    return None


def _from_mirrors(
    dataset: Dataset, folder: Path, mirror: str | None, listener: Listener
) -> Obtained:
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
                    checked = download(url, path, promise, listener)
            except (
                RefusedError,
                StalledError,
                ValueError,
                httpx2.HTTPError,
                httpx2.InvalidURL,
                HfHubHTTPError,
                OfflineModeIsEnabled,
            ) as error:
                failures.append(mirror_failure(error, url))
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
    """Refuse a damaged archive."""
    damage = Promise.published(archive).with_record(path).damage(path)
    if damage is not None:
        raise DataError(
            f"{path}: damaged: {damage}; delete it, or, if it is the beginning of a download, "
            f"rename it to {part_of(path).name} to go on with it"
        )


def _record(path: Path, listener: Listener, *, stated: bool) -> None:
    """Remember what a file without a published digest is."""
    found = digest(path, "sha256")
    line = f"{found}  {path.name}\n".encode()
    atomic_write(record_of(path), lambda out: out.write(line), overwrite=True)
    compared = "as its server states" if stated else "which nothing could be compared with"
    listener.note(f"{path.name}: its SHA-256 is {found[:12]}..., {compared}; recorded")


def _unwritable(error: OSError, folder: Path) -> str:
    """What is wrong with the disk, and what to do."""
    path = os.fsdecode(error.filename) if error.filename is not None else str(folder)
    said = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{path}: {said}; free some space and run the same command again; it resumes"
    return f"{path}: cannot be written: {said}; choose another folder, by --to or DCLS_DATA"
