"""What the bytes of an archive must be."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from dcls_cli.data.catalogue import Archive

#: Beside an archive whose digest nobody publishes: what it was when it was downloaded.
RECORD_SUFFIX = ".sha256"

_BLOCK = 1 << 22
_RECORD = re.compile(r"([0-9a-f]{64})  \S.*\n?")


@dataclass(frozen=True)
class Promise:
    """Size and digests that a file must have, as far as they are known."""

    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @classmethod
    def published(cls, archive: Archive) -> Self:
        """What the catalogue says of an archive."""
        return cls(archive.size, archive.sha256, archive.md5)

    @property
    def checks_content(self) -> bool:
        """Whether a digest is known."""
        return (self.sha256 or self.md5) is not None

    def with_record(self, path: Path) -> Self:
        """The same, or what was recorded beside a file of which nothing is published."""
        record = record_of(path)
        if self.checks_content or not record.is_file():
            return self
        match = _RECORD.fullmatch(record.read_text(encoding="utf-8", errors="replace"))
        return replace(self, sha256=match[1]) if match else self

    def damage(self, path: Path, progress: Callable[[int, int], None] | None = None) -> str | None:
        """Say in what a file differs, or None.

        Args:
            path: of the file.
            progress: called with (bytes read, bytes).

        Raises:
            OSError: it cannot be read.
        """
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"it has {size} bytes, expected {self.size}"
        if not self.checks_content:
            return None
        name, wanted = ("sha256", self.sha256) if self.sha256 else ("md5", self.md5)
        found = digest(path, name, progress)
        if found == wanted:
            return None
        return f"its {name.upper()} is {found[:12]}..., expected {str(wanted)[:12]}..."


def digest(path: Path, name: str, progress: Callable[[int, int], None] | None = None) -> str:
    """Hexadecimal digest of a file by the hash of a name.

    Raises:
        OSError: it cannot be read.
    """
    state, size = hashlib.new(name, usedforsecurity=False), path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
            if progress is not None:
                progress(file.tell(), size)
    return state.hexdigest()


def record_of(path: Path) -> Path:
    """Where the digest of an archive is recorded, as `sha256sum -c` reads it."""
    return path.with_name(path.name + RECORD_SUFFIX)
