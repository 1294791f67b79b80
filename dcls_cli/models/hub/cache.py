"""Weights in the cache of huggingface_hub: names, look up, check, place, remove.

A name is `hf:owner/repo[@revision][/file]`. The cache, which other programs share, is laid out as
`models--OWNER--REPO/` with `blobs/ETAG` (the content), `snapshots/COMMIT/FILE` (links to blobs) and
`refs/REVISION` (the commit of a branch or tag). The ETag of a file in Git LFS is its SHA-256 and
that of a file in Git its Git object name, so a blob's own name tells what it must hold.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote

from dcls_cli.errors import UsageError, WeightsError
from dcls_cli.files import platforms
from dcls_cli.files.atomic import atomic_write
from dcls_cli.models import weights

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
        """The name that `parse_hub_name` takes."""
        at = "" if self.revision == DEFAULT_REVISION else f"@{quote(self.revision, safe='+')}"
        return f"{PREFIX}{self.repo}{at}{'' if self.file is None else f'/{self.file}'}"


def is_hub_name(text: str) -> bool:
    """Whether a model's name is meant to be one of the Hub."""
    return text.startswith(PREFIX)


def parse_hub_name(text: str) -> HubFile:
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


_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_SHA1 = _COMMIT

#: What a header of a weight file of ours contains, near its start.
_MARK = weights.CONFIG_KEY.encode()
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Cached:
    """A weight file in the cache.

    Attributes:
        path: in the snapshot of its commit.
        repo: `owner/name`.
        commit: 40 hexadecimal digits.
    """

    path: Path
    repo: str
    commit: str

    @property
    def content(self) -> Path:
        """The file that has the bytes, which deletion must hit."""
        return self.path.resolve()

    @property
    def name(self) -> str:
        """What names exactly this file."""
        return str(HubFile(self.repo, self.commit, _inside(self.path, self.commit)))


def cache_folder() -> Path:
    """The folder of the cache; the environment's HF_HUB_CACHE or HF_HOME."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def look_up(file: HubFile) -> Cached | None:
    """Find a file without any network call; of a file without a name, the only one that is here."""
    folder = _repo_folder(file.repo)
    commit = file.revision
    if not _COMMIT.fullmatch(commit):
        try:
            commit = (folder / "refs" / file.revision).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
    if not _COMMIT.fullmatch(commit):
        return None
    snapshot = folder / "snapshots" / commit
    if file.file is not None:
        path = snapshot / file.file
        return Cached(path, file.repo, commit) if path.is_file() else None
    found = [path for path in snapshot.rglob(f"*{SUFFIX}") if path.is_file()]
    return Cached(found[0], file.repo, commit) if len(found) == 1 else None


def cached_weights() -> list[Cached]:
    """Every file of the cache that claims to be weights of dcls, whole or damaged."""
    found = []
    for path in sorted(cache_folder().glob(f"models--*/snapshots/*/**/*{SUFFIX}")):
        commit = path.relative_to(cache_folder()).parts[2]
        owner, separator, name = path.relative_to(cache_folder()).parts[0][8:].partition("--")
        if not separator or not path.is_file():
            continue
        with contextlib.suppress(OSError), path.open("rb") as file:
            if _MARK in file.read(_HEAD_BYTES):
                found.append(Cached(path, f"{owner}/{name}", commit))
    return found


def damage_of(cached: Cached, sha256: str | None) -> str | None:
    """Say what is wrong with a cached file, or None."""
    try:
        with cached.path.open("rb") as file:
            reason = content_damage(file, sha256 or cached.content.name)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if reason is not None:
        return reason
    try:
        weights.check(cached.path)
    except WeightsError as error:
        return str(error).removeprefix(f"{cached.path}: ")
    return None


def content_damage(file: BinaryIO, expected: str) -> str | None:
    """Compare a whole file with what its SHA-256, or its Git object name, must be."""
    if _SHA256.fullmatch(expected):
        kind, digest = "SHA-256", hashlib.sha256()
    elif _GIT_SHA1.fullmatch(expected):
        size = file.seek(0, os.SEEK_END)
        kind, digest = "Git object", hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    else:
        return None
    file.seek(0)
    while block := file.read(1 << 20):
        digest.update(block)
    if digest.hexdigest() == expected:
        return None
    return f"its {kind} must be {expected[:12]}..., it is {digest.hexdigest()[:12]}..."


def is_digest(etag: str) -> bool:
    """Whether an ETag says what the content must be."""
    return bool(_SHA256.fullmatch(etag) or _GIT_SHA1.fullmatch(etag))


def place(
    file: HubFile, name: str, commit: str, etag: str, writer: Callable[[BinaryIO], object]
) -> Cached:
    """Write a file into the cache, whole or not at all, as huggingface_hub would.

    Its revision will stand for the commit. What the writer raises leaves the cache as it was.

    Raises:
        OSError: the cache cannot be written.
    """
    folder = _repo_folder(file.repo)
    blob, pointer = folder / "blobs" / etag, folder / "snapshots" / commit / name
    for parent in (blob.parent, pointer.parent):
        parent.mkdir(parents=True, exist_ok=True)
    atomic_write(blob, writer, overwrite=True)
    _point(pointer, blob)
    if file.revision != commit:
        reference = folder / "refs" / file.revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(reference, lambda out: out.write(commit.encode()), overwrite=True)
    return Cached(pointer, file.repo, commit)


def _point(pointer: Path, blob: Path) -> None:
    """Make the name of a file in a snapshot lead to its content."""
    target = os.path.relpath(blob, pointer.parent)
    if pointer.is_symlink() and os.fspath(pointer.readlink()) == target:
        return  # another process may be reading through it
    platforms.unlink(pointer, missing_ok=True)
    try:
        pointer.symlink_to(target)
    except FileExistsError:
        pass  # another process has just made the same link
    except OSError:  # a file system without links
        platforms.replace(blob, pointer)


def remove(cached: Cached) -> None:
    """Delete a file from the cache, with its content unless another commit has the same.

    Raises:
        OSError: it cannot be deleted.
    """
    folder, content = _repo_folder(cached.repo), cached.content
    platforms.unlink(cached.path)
    if not any(other.resolve() == content for other in folder.glob("snapshots/*/**/*")):
        platforms.unlink(content, missing_ok=True)
    _prune(folder / "snapshots")
    if not (folder / "snapshots" / cached.commit).exists():
        for reference in [path for path in folder.glob("refs/**/*") if path.is_file()]:
            if reference.read_text(encoding="utf-8").strip() == cached.commit:
                platforms.unlink(reference)
    _prune(folder)


def _prune(folder: Path) -> None:
    """Remove the empty folders in a folder, and itself if nothing is left."""
    for child in list(folder.iterdir()):
        if child.is_dir() and not child.is_symlink():
            _prune(child)
    if not any(folder.iterdir()):
        folder.rmdir()


def _repo_folder(repo: str) -> Path:
    from huggingface_hub.file_download import repo_folder_name

    return cache_folder() / repo_folder_name(repo_id=repo, repo_type="model")


def _inside(path: Path, commit: str) -> str:
    """The path of a file in its repository."""
    parts = path.parts
    return "/".join(parts[len(parts) - parts[::-1].index(commit) :])
