"""Put files into a repository of the Hub."""

from collections.abc import Mapping
from pathlib import Path

from dcls_cli.errors import DclsError
from dcls_cli.hub import transfer
from dcls_cli.hub.failures import reason

#: For everything that an upload takes; a connection that hangs ends there.
UPLOAD_LIMIT_S = 1800.0


def push(repo: str, files: Mapping[str, Path | bytes], message: str, *, private: bool) -> str:
    """Make a repository if there is none, and commit files to its main branch in one commit.

    Args:
        repo: `owner/name`.
        files: path in the repository and content, or the file that has it.
        message: of the commit.
        private: whether a new repository is private; an existing one stays as it is.

    Returns:
        The commit, 40 hexadecimal digits: the revision to pin.

    Raises:
        DclsError: the Hub refuses, or cannot be reached.
    """
    import httpx2
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined] # lazy

    disable_progress_bars()
    api = HfApi()
    operations = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
        for name, content in files.items()
    ]
    try:
        with transfer.without_telemetry():
            transfer.ask(lambda: api.create_repo(repo, private=private, exist_ok=True))
            done = transfer.within(
                UPLOAD_LIMIT_S,
                lambda: api.create_commit(repo, operations, commit_message=message),
            )
    except (transfer.StalledError, OSError, ValueError, RuntimeError, httpx2.HTTPError) as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) else error  # of one file
        known = cause if isinstance(cause, Exception) else error
        told = reason(known, advice="check the connection and HF_ENDPOINT")
        raise DclsError(f"{repo}: not published: {told}") from error
    return done.oid
