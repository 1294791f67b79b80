"""Checkpoints that are whole or absent, and that notice their own damage."""

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from dcls_cli.atomic import atomic_write
from dcls_cli.errors import TrainingError

MAGIC = b"DCLSCKP1"
KEEP = 3
_NAME = re.compile(r"step-(\d{8})\.ckpt")


@dataclass(frozen=True)
class CheckpointFolder:
    """The last few states of a run, `step-NNNNNNNN.ckpt`.

    A file is a magic word, the SHA-256 of the rest, and what `torch.save` wrote; it is read back
    with `weights_only=True`.
    """

    path: Path

    def files(self) -> list[Path]:
        """Checkpoints, newest first."""
        if not self.path.is_dir():
            return []
        return sorted((p for p in self.path.iterdir() if _NAME.fullmatch(p.name)), reverse=True)

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write a state atomically, then drop all but the newest `KEEP`.

        Raises:
            TrainingError: the file cannot be written; older checkpoints are untouched.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        digest = hashlib.sha256(payload).digest()

        def write(file: BinaryIO) -> None:
            for part in (MAGIC, digest, payload):
                file.write(part)

        target = self.path / f"step-{step:08d}.ckpt"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            atomic_write(target, write, overwrite=True)
        except OSError as error:
            raise TrainingError(
                f"{target}: the checkpoint cannot be written ({error.strerror or error}); "
                "older checkpoints are whole, make room and resume"
            ) from error
        for old in self.files()[KEEP:]:
            old.unlink(missing_ok=True)
        return target

    def newest(self, warn: Callable[[str], None]) -> dict[str, Any] | None:
        """The newest state that is whole; None when there is no checkpoint.

        Args:
            warn: told about every damaged file that is passed over.

        Raises:
            TrainingError: there are checkpoints and all of them are damaged.
        """
        files = self.files()
        for file in files:
            try:
                return read_checkpoint(file)
            except TrainingError as error:
                warn(f"{error}; trying the one before")
        if files:
            raise TrainingError(
                f"{self.path}: all {len(files)} checkpoints are damaged; "
                "delete them to start again from step 0"
            )
        return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read and verify one checkpoint.

    Raises:
        TrainingError: it is no checkpoint, truncated, or its digest does not match.
    """
    data = path.read_bytes()
    header = len(MAGIC) + hashlib.sha256().digest_size
    if len(data) <= header or not data.startswith(MAGIC):
        raise TrainingError(f"{path}: not a dcls checkpoint, or truncated")
    digest, payload = data[len(MAGIC) : header], data[header:]
    if hashlib.sha256(payload).digest() != digest:
        raise TrainingError(f"{path}: damaged checkpoint, its SHA-256 does not match")
    state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return state
