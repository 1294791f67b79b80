"""Say in one line why the Hub did not give a file."""

import os

from dcls_cli.errors import DclsError, UsageError, WeightsError
from dcls_cli.hub import cache
from dcls_cli.hub.names import HubFile
from dcls_cli.hub.transfer import RefusedError, StalledError

_BY_HAND = "download the file elsewhere and give it with --weights FILE"


def explained(error: Exception, file: HubFile) -> DclsError:
    """Our error for whatever ended a download, with the file's name and with what to do."""
    if isinstance(error, DclsError):
        return error
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if isinstance(error, HFValidationError):
        return UsageError(f"{file}: {_first_line(error)}")
    of_the_disk = isinstance(error, OSError) and not isinstance(
        error, HfHubHTTPError | OfflineModeIsEnabled
    )
    if of_the_disk:
        said = getattr(error, "strerror", None) or _first_line(error)
        return WeightsError(
            f"{file}: {said}: {cache.root()} cannot be written; set HF_HOME to another folder"
        )
    return WeightsError(f"{file}: {reason(error, advice=_BY_HAND)}")


def reason(error: Exception, *, advice: str) -> str:
    """What went wrong between us and the Hub, and what to do.

    Args:
        error: of huggingface_hub, of its HTTP client or of `transfer`.
        advice: for the case that the Hub cannot be used at all.
    """
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    endpoint, said = constants.ENDPOINT, _first_line(error) or type(error).__name__
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


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
