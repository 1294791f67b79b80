"""From the name of a model to a checked file: installation, cache, network, in this order."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dcls_cli.errors import DclsError, UsageError, WeightsError, first_line
from dcls_cli.models import weights
from dcls_cli.models.hub import cache, transfer
from dcls_cli.models.hub.cache import SUFFIX, Cached, HubFile, is_hub_name, parse_hub_name
from dcls_cli.models.hub.transfer import SILENT, Listener, RefusedError, StalledError
from dcls_cli.models.releases import location, release

if TYPE_CHECKING:
    from huggingface_hub.file_download import HfFileMetadata

#: More than any weights of this method; ends a body without end.
MAXIMUM_BYTES = 2 << 30

_BY_HAND = "download the file elsewhere and give it with --weights FILE"

_SAFE_ETAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def find(model: str | int, listener: Listener = SILENT) -> Path:
    """The weight file of a model; the network is asked only for what is not on this machine.

    A model is the name of a release, `hf:owner/repo[@revision][/file]`, or a scale for the default
    release of that scale.

    Raises:
        UsageError: unknown or impossible name.
        WeightsError: no such weights, damaged ones, or the Hub does not give them.
    """
    local = _included(model)
    if local is not None:
        return local
    file, sha256 = hub_file(model)
    return fetch(file, sha256, listener).path


def find_local(model: str | int) -> Path | None:
    """The file of a model if it is on this machine; its content is not checked.

    Raises:
        UsageError: unknown or impossible name.
        WeightsError: no release has this scale.
    """
    local = _included(model)
    if local is not None:
        return local
    item = None if _is_hub(model) else release(model)
    if item is not None and item.repo is None:
        return None
    cached = cache.look_up(hub_file(model)[0])
    return None if cached is None else cached.path


def check_cached(cached: Cached, sha256: str | None = None) -> None:
    """Compare a cached file with every digest that is known of it.

    Raises:
        WeightsError: it is damaged.
    """
    reason = cache.damage_of(cached, sha256)
    if reason is not None:
        raise WeightsError(f"{cached.path}: damaged: {reason}; delete {cached.content}")


def hub_file(model: str | int) -> tuple[HubFile, str | None]:
    """Where the Hub has a model, and the SHA-256 that the registry pins.

    Raises:
        UsageError: unknown or impossible name.
        WeightsError: the release is not on the Hub.
    """
    if _is_hub(model):
        return parse_hub_name(str(model)), None
    item = release(model)
    if item.repo is None or item.revision is None:
        raise WeightsError(
            f"{location(item)}: the weights of {item.name} are missing; install dcls again"
        )
    return HubFile(item.repo, item.revision, item.file), item.sha256


def fetch(file: HubFile, sha256: str | None = None, listener: Listener = SILENT) -> Cached:
    """Find a file in the cache, or download it into the cache; in both cases check it.

    Raises:
        WeightsError: it is not to be had, or wrong; nothing wrong has got its final name.
    """
    cached = cache.look_up(file)
    reason = None if cached is None else cache.damage_of(cached, sha256)
    if cached is not None and reason is None:
        return cached
    try:
        fetched = download(file, sha256, listener)
    except WeightsError as error:
        if cached is None:
            raise
        raise WeightsError(
            f"{cached.path}: damaged: {reason}; delete {cached.content} "
            f"(it cannot be downloaded again now: {error})"
        ) from error
    if cached is not None:
        listener.note(f"{cached.path}: was damaged: {reason}; it was downloaded again")
    return fetched


def download(file: HubFile, sha256: str | None, listener: Listener) -> Cached:
    """Download a file into the cache, whatever is there already.

    Raises:
        WeightsError: it is not to be had, or wrong; nothing wrong has got its final name.
    """
    import httpx2

    try:
        with transfer.without_telemetry():
            name = file.file or _only_weights(file)
            about = _metadata(file, name)
            return _download(file, name, about, sha256, listener)
    except (RefusedError, StalledError, OSError, ValueError, httpx2.HTTPError) as error:
        raise explain_failure(error, file) from error


def _metadata(file: HubFile, name: str) -> "HfFileMetadata":
    """What the Hub states of a file."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(file.repo, name, revision=file.revision)
    patience = transfer.patience_s()
    about = transfer.ask(lambda: get_hf_file_metadata(url, timeout=patience))
    plain = _COMMIT.fullmatch(about.commit_hash or "") and _SAFE_ETAG.fullmatch(about.etag or "")
    if not plain:
        raise RefusedError("the server does not speak the Hub's protocol")
    if (about.size or 0) > MAXIMUM_BYTES:
        raise RefusedError(f"{about.size} bytes are too many for weights of dcls")
    return about


def _download(
    file: HubFile, name: str, about: "HfFileMetadata", sha256: str | None, listener: Listener
) -> Cached:
    """Bring a file into the cache if it is what was promised."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # lazy

    headers = build_hf_headers()
    if about.location.split("/")[:3] != constants.ENDPOINT.split("/")[:3]:
        headers.pop("authorization", None)  # meant for the Hub, not for its storage
    etag = str(about.etag)

    def writer(out: BinaryIO) -> None:
        for chunk in transfer.stream(about.location, headers, about.size, listener):
            if out.tell() == 0 and chunk.lstrip().lower().startswith((b"<!doctype", b"<html")):
                raise RefusedError("the server sends a web page instead of the file")
            if out.tell() > MAXIMUM_BYTES:
                raise RefusedError("the file has no end")
            out.write(chunk)
        _check_download(out, etag, sha256)

    return cache.place(file, name, str(about.commit_hash), etag, writer)


def _check_download(out: BinaryIO, etag: str, sha256: str | None) -> None:
    """Refuse what has arrived unless it is what was promised."""
    out.flush()
    path = Path(out.name)
    with path.open("rb") as file:
        for expected in filter(None, (sha256, etag)):
            reason = cache.content_damage(file, expected)
            if reason is not None:
                raise RefusedError(f"the server sends wrong bytes: {reason}")
    try:
        _, metadata = weights.check(path)
    except WeightsError as error:
        raise RefusedError(str(error).removeprefix(f"{path}: ")) from error
    if sha256 is None and not cache.is_digest(etag) and weights.DIGEST_KEY not in metadata:
        raise RefusedError("neither the server nor the file itself states its SHA-256")


def _only_weights(file: HubFile) -> str:
    """Ask the Hub for the only weight file of a revision."""
    from huggingface_hub import HfApi

    patience = transfer.patience_s()
    about = transfer.ask(
        lambda: HfApi().model_info(file.repo, revision=file.revision, timeout=patience)
    )
    names = sorted(item.rfilename for item in about.siblings or ())
    names = [name for name in names if name.endswith(SUFFIX)]
    if not names:
        raise WeightsError(f"{file}: the repository has no {SUFFIX} file")
    if len(names) > 1:
        raise WeightsError(
            f"{file}: the repository has several {SUFFIX} files; add one of them: /"
            + ", /".join(names[:10])
        )
    # Read again as a name of ours: what the Hub says becomes the name of a file here.
    try:
        return parse_hub_name(f"{HubFile(file.repo)}/{names[0]}").file or names[0]
    except UsageError as error:
        raise WeightsError(str(error)) from error


def _included(model: str | int) -> Path | None:
    """The file of a release in this installation."""
    if _is_hub(model):
        return None
    path = location(release(model))
    return path if path.is_file() else None


def _is_hub(model: str | int) -> bool:
    return isinstance(model, str) and is_hub_name(model)


def explain_failure(error: Exception, file: HubFile) -> DclsError:
    """Our error for whatever ended a download, with the file's name and with what to do."""
    if isinstance(error, DclsError):
        return error
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if isinstance(error, HFValidationError):
        return UsageError(f"{file}: {first_line(error)}")
    of_the_disk = isinstance(error, OSError) and not isinstance(
        error, HfHubHTTPError | OfflineModeIsEnabled
    )
    if of_the_disk:
        said = getattr(error, "strerror", None) or first_line(error)
        return WeightsError(
            f"{file}: {said}: {cache.cache_folder()} cannot be written; "
            "set HF_HOME to another folder"
        )
    return WeightsError(f"{file}: {transfer.failure_reason(error, advice=_BY_HAND)}")
