"""One archive from one mirror, begun in any earlier run and finished in this one."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from dcls_cli.atomic import finish
from dcls_cli.data.digests import Promise
from dcls_cli.hub import transfer
from dcls_cli.hub.transfer import Listener, RefusedError, StalledError

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

    Args:
        url: of the file.
        path: gets the file, whole and checked.
        promise: what is published of it.
        listener: informed of how much has arrived.

    Returns:
        What the file was compared with: the promise, or what the server states.

    Raises:
        RefusedError: the server sends something else.
        StalledError: it says too little.
        OSError: the disk does not take it.
        Exception: of the HTTP client.
    """
    if not promise.checks_content:
        promise = _stated(url, promise)
    part = part_of(path)
    resumed = part.exists() and part.stat().st_size > 0 and promise.checks_content
    if not resumed or part.stat().st_size > (promise.size or part.stat().st_size):
        part.unlink(missing_ok=True)
        resumed = False
    _append(url, part, promise, listener)
    damage = promise.damage(part)
    if damage is not None and resumed:
        listener.note(f"{part.name}: what an earlier run has left does not fit; from the start")
        part.unlink()
        _append(url, part, promise, listener)
        damage = promise.damage(part)
    if damage is not None:
        part.unlink()
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
            part.unlink()
    if not part.exists():
        raise RefusedError("the server sends nothing")


def _stated(url: str, promise: Promise) -> Promise:
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


def reason(error: Exception, url: str) -> str:
    """Why a mirror did not give a file, in one line."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    host = urlsplit(url).netloc or url
    said = next(iter(str(error).splitlines()), "") or type(error).__name__
    if isinstance(error, HfHubHTTPError):
        return f"{host} answers {error.response.status_code}"
    if isinstance(error, StalledError | RefusedError):
        return f"{host}: {said}"
    if isinstance(error, httpx2.TimeoutException):
        return f"{host} does not answer"
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError):
        return f"{host} broke the connection off"
    return f"{host} cannot be reached: {said}"
