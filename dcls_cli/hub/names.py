"""Names of weights on the Hub: `hf:owner/repo[@revision][/file]`."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from dcls_cli.errors import UsageError

PREFIX = "hf:"
DEFAULT_REVISION = "main"
SUFFIX = ".safetensors"

_PART = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?"
_NAME = re.compile(
    rf"hf:(?P<repo>{_PART}/{_PART})(?:@(?P<revision>[^/@]+))?(?:/(?P<file>.+))?", re.ASCII
)
_REVISION = re.compile(r"[\w][\w./+-]*", re.ASCII)
_LONGEST_REPO = 96


@dataclass(frozen=True)
class HubFile:
    """A weight file of a repository.

    Attributes:
        repo: `owner/name`.
        revision: branch, tag or commit.
        file: path in the repository; None: its only safetensors file.
    """

    repo: str
    revision: str = DEFAULT_REVISION
    file: str | None = None

    def __str__(self) -> str:
        """The name that `parse` takes."""
        at = "" if self.revision == DEFAULT_REVISION else f"@{quote(self.revision, safe='+')}"
        return f"{PREFIX}{self.repo}{at}{'' if self.file is None else f'/{self.file}'}"


def is_hub_name(text: str) -> bool:
    """Whether a model's name is meant to be one of the Hub."""
    return text.startswith(PREFIX)


def parse(text: str) -> HubFile:
    """Read `hf:owner/repo[@revision][/file]`; a slash within a revision is written as %2F.

    Raises:
        UsageError: this is no such name.
    """
    match = _NAME.fullmatch(text)
    if match is None or len(match["repo"]) > _LONGEST_REPO or re.search(r"--|\.\.", match["repo"]):
        raise UsageError(
            f"{text!r}: expected hf:OWNER/REPO, hf:OWNER/REPO@REVISION or "
            "hf:OWNER/REPO@REVISION/FILE.safetensors"
        )
    revision = unquote(match["revision"] or DEFAULT_REVISION)
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise UsageError(f"{text!r}: {revision!r} is no branch, tag or commit")
    file: str | None = match["file"]
    if file is not None and not _is_weight_file(file):
        raise UsageError(f"{text!r}: {file!r} is not the path of a {SUFFIX} file in a repository")
    return HubFile(match["repo"], revision, file)


def _is_weight_file(path: str) -> bool:
    """Whether a path stays within its repository, on every system, and ends as weights do."""
    parts = path.split("/")
    plain = path.isprintable() and not re.search(r'[\\:*?"<>|]', path)
    return plain and path.endswith(SUFFIX) and not {"", ".", ".."} & set(parts)
