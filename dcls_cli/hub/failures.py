"""Say in one line why the Hub did not give a file."""

import os

from dcls_cli.errors import DclsError, UsageError, WeightsError
from dcls_cli.hub import cache
from dcls_cli.hub.names import HubFile
from dcls_cli.hub.transfer import RefusedError, StalledError

_BY_HAND = "download the file elsewhere and give it with --weights FILE"


def explained(error: Exception, file: HubFile) -> DclsError:
    """Our error for whatever went wrong, with the file's name and with what to do."""
    if isinstance(error, DclsError):
        return error
    from huggingface_hub.errors import HFValidationError

    if isinstance(error, HFValidationError):
        return UsageError(f"{file}: {_first_line(error)}")
    return WeightsError(f"{file}: {reason(error)}")


def reason(error: Exception) -> str:
    """What went wrong and what to do, without the name of what was wanted."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    endpoint = constants.ENDPOINT
    if isinstance(error, HfHubHTTPError):
        return _status(error.response.status_code, error)
    if isinstance(error, OfflineModeIsEnabled):
        said = f"must be downloaded, but HF_HUB_OFFLINE forbids that; {_BY_HAND}"
    elif isinstance(error, StalledError):
        said = f"{endpoint}: {error}; try again, or {_BY_HAND}"
    elif isinstance(error, RefusedError):
        said = f"{endpoint}: {error}; nothing was kept"
    elif isinstance(error, OSError):
        said = error.strerror or _first_line(error)
        said = f"{said}: {cache.root()} cannot be written; set HF_HOME to another folder"
    else:
        said = _connection(error, endpoint)
    return said


def _connection(error: Exception, endpoint: str) -> str:
    import httpx2

    said = _first_line(error) or type(error).__name__
    if isinstance(error, httpx2.TimeoutException):
        return f"{endpoint} does not answer; try again, or {_BY_HAND}"
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError):
        return f"{endpoint} broke the connection off: {said}; try again, or {_BY_HAND}"
    if isinstance(error, httpx2.HTTPError):
        return f"{endpoint} cannot be reached: {said}; {_BY_HAND}"
    return f"{endpoint}: unexpected answer: {said}"


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


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
