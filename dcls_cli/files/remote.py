"""Objects under addresses: listed, read in part, fetched, and written whole or not at all.

The only place that knows fsspec, the file systems of which take their endpoints and credentials
from their own variables and files (`AWS_ENDPOINT_URL`, `~/.aws`, `FSSPEC_S3_ANON` and the like).

An object gets its name when it is whole. Object stores promise that of a put and of a multipart
upload, which is aborted when it fails; in other file systems, such as `sftp://`, an object is
written under a hidden name beside its own first and then renamed.
"""

import io
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar

from dcls_cli.errors import (
    BackendError,
    DclsError,
    ImageError,
    UsageError,
    first_line,
    nearest,
)
from dcls_cli.files import temporaries
from dcls_cli.files.addresses import Address, Location
from dcls_cli.files.atomic import printable
from dcls_cli.installation import install_command

Answer = TypeVar("Answer")

#: The first question to a store waits for its answer no longer, seconds.
FIRST_ANSWER_S = 30.0

#: What is fetched at a time to look into an object, bytes; headers and ends are shorter.
_BLOCK_BYTES = 2**16

#: Objects that are listed at a time; S3 gives no more.
PAGE = 1000

#: Blocks of an object that are held.
_BLOCKS = 16

_S3 = ("s3", "s3a")

#: Schemes whose objects appear when an upload is complete.
_WHOLE = (*_S3, "gs", "gcs", "hf", "az", "abfs", "abfss")

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


class NoObjectError(ImageError):
    """There is no such object, or none any more."""


@dataclass(frozen=True)
class Stored:
    """An object below a prefix.

    Attributes:
        name: below the prefix.
        length: bytes.
    """

    name: str
    length: int


def open_store(address: Address) -> tuple[Any, str]:
    """The file system of an address, and what it calls the object.

    Raises:
        BackendError: a package is missing that it needs.
        UsageError: there is no such scheme.
    """
    import fsspec

    scheme = address.scheme
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        how = install_command(extra) if extra else first_line(error)
        raise BackendError(f"{scheme}:// needs a package that is not installed: {how}") from error
    except ValueError as error:
        hint = nearest(scheme, fsspec.available_protocols())
        raise UsageError(
            f"{printable(address)}: {scheme}:// is not known{hint or '; expected s3://, gs://, hf://'}"
        ) from error
    with _clear(address, "opened"):
        # Other processes write too: what was listed once is asked for again.
        store, name = fsspec.url_to_fs(address, use_listings_cache=False)
    return store, name


def check_listable(prefix: Address) -> None:
    """Find out soon whether a store answers and lets the objects below a prefix be listed.

    Raises:
        UsageError: there is no such bucket.
        DclsError: it does not answer within 30 seconds, or not to this user.
    """
    store, name = open_store(prefix)

    def look() -> None:
        with _clear(prefix, "listed", missing=UsageError):
            if prefix.scheme in _S3:
                bucket, below = _split(store, name)
                store.call_s3(
                    "list_objects_v2", Bucket=bucket, Prefix=below, MaxKeys=1, **store.req_kw
                )
            else:
                store.exists(name)

    _soon(look, prefix)


def _split(store: Any, name: str) -> tuple[str, str]:  # noqa: ANN401 - no types
    """The bucket and what the names of all objects below a prefix begin with."""
    bucket, key, _ = store.split_path(name)
    return bucket, f"{key.rstrip('/')}/" if key else ""


def check_writable(address: Address) -> None:
    """Find out soon whether a store takes an object of this name, without making one.

    S3 is asked for a multipart upload, which is aborted: that needs the rights of a put and leaves
    nothing. Other stores are asked whether they answer.

    Raises:
        UsageError: there is no such bucket.
        DclsError: it does not answer within 30 seconds, or this user may not write.
    """
    store, name = open_store(address)
    if address.scheme not in _S3:
        check_listable(address.parent)
        return

    def begin() -> None:
        with _clear(address, "written", missing=UsageError):
            bucket, key, _ = store.split_path(name)
            begun = store.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
            store.call_s3(
                "abort_multipart_upload",
                Bucket=bucket,
                Key=key,
                UploadId=begun["UploadId"],
            )

    _soon(begin, address)


def is_object(address: Address) -> bool:
    """Find out soon whether an address is that of an object, not of a prefix.

    Raises:
        DclsError: the store does not answer within 30 seconds, or not to this user.
    """
    return not address.endswith("/") and _soon(lambda: length(address), address) is not None


def length(address: Address) -> int | None:
    """The length of an object, bytes; None if there is none.

    Raises:
        DclsError: the store cannot be asked.
    """
    store, name = open_store(address)
    with _clear(address, "read"):
        try:
            if address.scheme in _S3:  # one request, where `info` goes on to list the prefix
                bucket, key, _ = store.split_path(name)
                if not key:
                    return None
                found = store.call_s3("head_object", Bucket=bucket, Key=key, **store.req_kw)
                return int(found["ContentLength"])
            found = store.info(name)
        except FileNotFoundError:
            return None
    return None if found["type"] == "directory" else int(found["size"])


def is_there(place: Location) -> bool:
    """Whether a file or an object exists, also a link to nowhere.

    Raises:
        DclsError: the store cannot be asked.
    """
    if isinstance(place, Address):
        return length(place) is not None
    return os.path.lexists(place)


def listed(prefix: Address, *, recursive: bool = True) -> Iterator[Stored]:
    """The objects below a prefix, while the store lists them: S3 in pages, others by folders.

    What comes or goes meanwhile may be listed or not.

    Args:
        prefix: with or without a slash at its end.
        recursive: also those with a slash in their name below the prefix.

    Raises:
        UsageError: there is no such bucket or folder.
        DclsError: it cannot be listed.
    """
    store, name = open_store(prefix)
    with _clear(prefix, "listed", missing=UsageError):
        if prefix.scheme in _S3:
            yield from _pages(store, name, recursive=recursive)
            return
        top = name.rstrip("/")
        depth = None if recursive else 1
        for folder, _, files in store.walk(top, maxdepth=depth, detail=True, on_error="raise"):
            for each, found in files.items():
                below = f"{folder.rstrip('/')}/{each}"[len(top) :].lstrip("/")
                if below:  # not the prefix itself, which some stores keep as an object
                    yield Stored(below, int(found["size"]))


def listed_if_any(prefix: Address) -> Iterator[Stored]:
    """As `listed`, where a prefix that does not exist (yet) has nothing below it."""
    try:
        yield from listed(prefix)
    except UsageError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise


def _pages(store: Any, name: str, *, recursive: bool) -> Iterator[Stored]:  # noqa: ANN401 - no types
    """What S3 lists, page by page."""
    bucket, prefix = _split(store, name)
    asked = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": PAGE, **store.req_kw}
    if not recursive:
        asked["Delimiter"] = "/"
    while True:
        page = store.call_s3("list_objects_v2", **asked)
        for found in page.get("Contents", ()):
            if not found["Key"].endswith("/"):  # those stand for folders
                yield Stored(found["Key"][len(prefix) :], found["Size"])
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


@contextmanager
def opened(place: Location) -> Iterator[BinaryIO]:
    """Open a file, or an object of which only those parts are fetched that are read.

    Raises:
        OSError: a file cannot be opened.
        NoObjectError: there is no such object.
        DclsError: an object cannot be read; that is no OSError, which decoders take for damage.
    """
    if not isinstance(place, Address):
        with place.open("rb") as file:
            yield file
        return
    store, name = open_store(place)
    with _clear(place, "read"):
        parts = store.open(
            name,
            "rb",
            block_size=_BLOCK_BYTES,
            cache_type="blockcache",
            cache_options={"maxblocks": _BLOCKS},
        )
    with parts:
        yield _Parts(place, parts)  # type: ignore[misc] # a RawIOBase reads as a BinaryIO does


class _Parts(io.RawIOBase):
    """An object that is open, with errors of ours."""

    def __init__(self, address: Address, parts: IO[bytes]) -> None:
        self._address, self._parts = address, parts

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere; nothing is fetched."""
        return self._parts.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._parts.tell()

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever has the bytes
        """Read as much as there is room for."""
        with _clear(self._address, "read"):
            content = self._parts.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def fetch(address: Address, path: Path) -> None:
    """Bring an object into a file.

    Raises:
        NoObjectError: there is no such object.
        DclsError: it cannot be read, or the file not be written.
    """
    store, name = open_store(address)
    with _clear(address, "read"):
        store.get_file(name, os.fspath(path))


def put(path: Path, address: Address) -> None:
    """Make an object of a file, in place of one of its name, whole or not at all.

    Raises:
        DclsError: it cannot be written; an object of its name is as it was.
    """
    store, name = open_store(address)
    with _clear(address, "written", missing=UsageError):
        if address.scheme in _WHOLE:
            store.put_file(os.fspath(path), name)
            return
        folder, _, last = name.rpartition("/")
        partial = f"{folder}/.{last}.{secrets.token_hex(8)}{temporaries.SUFFIX}"
        try:
            store.put_file(os.fspath(path), partial)
            written, expected = store.info(partial)["size"], path.stat().st_size
            if written != expected:
                raise DclsError(
                    f"{printable(address)}: cannot be written: only {written} of {expected} bytes "
                    "arrived"
                )
            store.mv(partial, name)
        except BaseException:
            if store.exists(partial):
                store.rm_file(partial)
            raise


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a name below a prefix fits a pattern; `**` are any folders, `*` ends at a slash.

    Raises:
        UsageError: `**` is only a part of a name.
    """
    import re

    from fsspec.utils import glob_translate

    try:
        expression = re.compile(glob_translate(pattern))
    except ValueError as error:
        raise UsageError(f"{printable(pattern)}: {error}") from error
    return lambda name: expression.match(name) is not None


def _soon(ask: Callable[[], Answer], address: Address) -> Answer:
    """Ask a store, but not for longer than is bearable: libraries try again for minutes.

    Raises:
        DclsError: there is no answer, or it is an error of ours.
    """
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # given on below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="store of dcls")
    thread.start()
    thread.join(FIRST_ANSWER_S)
    if errors:
        raise errors[0]
    if not answers:
        raise DclsError(
            f"{printable(address)}: no answer within {FIRST_ANSWER_S:.0f} s; see whether the "
            "endpoint is right and can be reached"
        )
    return answers[0]


@contextmanager
def _clear(address: Address, done: str, missing: type[DclsError] = NoObjectError) -> Iterator[None]:
    """Make one line of what a store's library raises, whose classes are many.

    Args:
        address: what it is about.
        done: what could not be done: read, written.
        missing: the class of the error about something that is not there.

    Raises:
        DclsError: there was an error.
    """
    try:
        yield
    except DclsError:
        raise
    except FileNotFoundError as error:
        said = first_line(error)
        what = "no such bucket" if "bucket" in said.lower() else "no such object or prefix"
        raise missing(f"{printable(address)}: {what}") from error
    except Exception as error:
        reason = _reason(error)
        raise DclsError(f"{printable(address)}: cannot be {done}: {reason}") from error


def _reason(error: Exception) -> str:
    """Why a library could not do something, for people."""
    kind, said = type(error).__name__, printable(first_line(error))
    if isinstance(error, PermissionError):
        return f"no permission ({said})"
    if "Credential" in kind or "Credential" in said:
        return f"no credentials, or wrong ones ({said})"
    if isinstance(error, ConnectionError | TimeoutError) or "Connect" in kind or "Timeout" in kind:
        return f"the store cannot be reached ({said})"
    if isinstance(error, NotImplementedError):
        return f"{said}: not possible with this kind of address"
    return said if isinstance(error, OSError) else f"{kind}: {said}"
