"""Talk to the Hub with bounded waits.

Timeouts of sockets are not enough: a name look-up cannot be given one, and a server that sends a
byte now and then resets them without end. Network calls therefore run in a thread of their own, and
the caller gives up when too little has come out of it.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from dcls_cli.errors import first_line

#: A download that brings fewer bytes in one patience has stalled (100 B/s by default).
LEAST_BYTES = 1000

#: How often a transfer that breaks off, or a busy server, is asked again.
ATTEMPTS = 3
PAUSE_S = 0.5

#: HTTP statuses that ask for patience.
_BUSY = (408, 429, 500, 502, 503, 504)

#: After so many bytes more, earlier breaks of the connection count no longer.
_PROGRESS_BYTES = 1 << 26

_QUEUED_CHUNKS = 16
_CHUNK_BYTES = 1 << 16

Answer = TypeVar("Answer")


class StalledError(Exception):
    """The other side says too little."""


class RefusedError(Exception):
    """The other side answers, but not with what was asked for."""


@dataclass(frozen=True)
class Listener:
    """Receives the progress of a transfer.

    Attributes:
        note: takes one line about something unusual.
        progress: takes the bytes that are here and, if it is known, how many there will be.
    """

    note: Callable[[str], None]
    progress: Callable[[int, int | None], None]


SILENT = Listener(note=lambda _text: None, progress=lambda _received, _total: None)


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Keep huggingface_hub from asking the Hub which program runs this one, and from telling it."""
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_TELEMETRY
    constants.HF_HUB_DISABLE_TELEMETRY = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = before


def patience_s() -> float:
    """Seconds to wait for a server; the environment's HF_HUB_DOWNLOAD_TIMEOUT, by default 10."""
    from huggingface_hub import constants

    return constants.HF_HUB_DOWNLOAD_TIMEOUT


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """Call, but wait no longer than so many seconds.

    Raises:
        StalledError: there was no answer in time; the thread that still waits for it is left alone.
        Exception: whatever the call raises.
    """
    answers: queue.SimpleQueue[tuple[Answer | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - raised again where it can be handled
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise StalledError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value] # None only if that is the answer


def ask(call: Callable[[], Answer]) -> Answer:
    """Call the Hub; ask again if the connection broke or the server was busy.

    Raises:
        StalledError: no answer.
        Exception: whatever the last call raises.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return within(patience_s(), call)
        except Exception as error:
            if attempt == ATTEMPTS or not _may_pass(error):
                raise
        time.sleep(PAUSE_S * attempt)
    raise AssertionError("the last attempt returns or raises")


def _may_pass(error: Exception) -> bool:
    """Whether the same request may well succeed in a moment."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _BUSY
    return isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError)


def stream(
    url: str, headers: Mapping[str, str], size: int | None, listener: Listener, start: int = 0
) -> Iterator[bytes]:
    """Yield the bytes of a file; go on where a broken connection ended.

    Raises:
        StalledError: the server has become too slow.
        RefusedError: the server sends more or fewer bytes than the file has.
        Exception: of the HTTP client.
    """
    received, attempt, mark = start, 0, start
    while attempt < ATTEMPTS:
        attempt += 1
        try:
            for chunk in _chunks(url, headers, received):
                received += len(chunk)
                if received - mark >= _PROGRESS_BYTES:
                    mark, attempt = received, 1
                if size is not None and received > size:
                    raise RefusedError(f"the server sends more than the {size} bytes of the file")
                listener.progress(received, size)
                yield chunk
        except Exception as error:
            if attempt == ATTEMPTS or not _may_pass(error):
                raise
        else:
            if size is None or received == size:
                return
        if attempt < ATTEMPTS:
            time.sleep(PAUSE_S * attempt)
    raise RefusedError(f"the server sends only {received} of the {size} bytes of the file")


def _chunks(url: str, headers: Mapping[str, str], start: int) -> Iterator[bytes]:
    """Yield what one request brings from byte `start` on."""
    patience = patience_s()
    chunks: queue.Queue[bytes | BaseException | None] = queue.Queue(_QUEUED_CHUNKS)
    given_up = threading.Event()

    def put(item: bytes | BaseException | None) -> None:
        while not given_up.is_set():
            with contextlib.suppress(queue.Full):
                chunks.put(item, timeout=0.2)
                return

    def work() -> None:
        try:
            for chunk in _request(url, headers, start, patience):
                put(chunk)
                if given_up.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where it can be handled
            put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        yield from _watched(chunks, patience)
    finally:
        given_up.set()


def _watched(
    chunks: "queue.Queue[bytes | BaseException | None]", patience: float
) -> Iterator[bytes]:
    deadline, came = time.monotonic() + patience, 0
    while True:
        try:
            item = chunks.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise StalledError(f"only {came} bytes came within {patience:g} s") from None
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        came += len(item)
        if came >= LEAST_BYTES:
            deadline, came = time.monotonic() + patience, 0
        yield item


def _request(url: str, headers: Mapping[str, str], start: int, patience: float) -> Iterator[bytes]:
    """Yield the body of one GET from byte `start` on, whether or not the server knows ranges."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined] # lazy

    asked = {**headers, "Accept-Encoding": "identity"}
    if start:
        asked["Range"] = f"bytes={start}-"
    with get_session().stream("GET", url, headers=asked, timeout=patience) as response:
        hf_raise_for_status(response)
        skip = start if response.status_code != 206 else 0
        for chunk in response.iter_raw():
            for begin in range(0, len(chunk), _CHUNK_BYTES):
                piece = chunk[begin : begin + _CHUNK_BYTES]
                kept = piece[skip:]
                skip -= len(piece) - len(kept)
                if kept:
                    yield kept


def failure_reason(error: Exception, *, advice: str) -> str:
    """What went wrong between us and the Hub, and what to do."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    endpoint, said = constants.ENDPOINT, first_line(error)
    if isinstance(error, HfHubHTTPError):
        return _status(error.response.status_code, error)
    if isinstance(error, OfflineModeIsEnabled):
        text = f"needs the network, which HF_HUB_OFFLINE forbids; {advice}"
    elif isinstance(error, StalledError):
        text = f"{endpoint}: {said}; try again, or {advice}"
    elif isinstance(error, RefusedError):
        text = f"{endpoint}: {said}; nothing was kept"
    elif isinstance(error, httpx2.TimeoutException):
        text = f"{endpoint} does not answer; try again, or {advice}"
    elif isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError):
        text = f"{endpoint} broke the connection off: {said}; try again, or {advice}"
    elif isinstance(error, httpx2.HTTPError):
        text = f"{endpoint} cannot be reached: {said}; {advice}"
    else:
        text = f"{endpoint}: unexpected answer: {said}"
    return text


def _status(status: int, error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import RemoteEntryNotFoundError, RevisionNotFoundError

    said = f"{constants.ENDPOINT} answers {status}"
    if isinstance(error, RevisionNotFoundError):
        return f"{said}: the repository has no such revision"
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{said}: the repository has no such file"
    if status in (401, 403):
        have = bool(os.environ.get("HF_TOKEN"))
        advice = "the token in HF_TOKEN is not enough" if have else "set HF_TOKEN to your token"
        return f"{said}: the repository does not exist or needs a permission; {advice}"
    if status == 404:
        return f"{said}: no such repository, revision or file"
    if status >= 500:
        return f"{said}: the server has a fault; try again later"
    return said
