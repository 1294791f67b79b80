"""Checkpoints that are whole or absent, and that notice damage."""

import contextlib
import hashlib
import io
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from dcls_cli.config import ModelConfig
from dcls_cli.degradation.draws import VERSION
from dcls_cli.errors import TrainingError
from dcls_cli.files import platforms
from dcls_cli.files.atomic import atomic_write
from dcls_cli.training.config import TrainConfig

MAGIC = b"DCLSCKP1"
KEEP = 3
#: What every checkpoint of a run holds.
KEYS = {"model", "config", "images", "training", "losses", "baseline", "best", "elapsed_s"}
#: Version of the photo damage in checkpoints that do not name it.
FIRST_DAMAGE = 1
#: How many differences an error message lists.
LISTED = 5
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

        target = self.path / f"step-{step:08d}.ckpt"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            atomic_write(target, lambda f: f.writelines((MAGIC, digest, payload)), overwrite=True)
        except OSError as error:
            raise TrainingError(
                f"{target}: the checkpoint cannot be written ({error.strerror or error}); "
                "older checkpoints are whole, free some space and resume"
            ) from error
        for old in self.files()[KEEP:]:
            with contextlib.suppress(PermissionError):  # open elsewhere; goes next time
                platforms.unlink(old, missing_ok=True)
        return target

    def newest(self, warn: Callable[[str], None]) -> dict[str, Any] | None:
        """The newest state that is whole; None when there is no checkpoint.

        Args:
            warn: called with a message for every damaged file that is passed over.

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
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror or error})") from error
    header = len(MAGIC) + hashlib.sha256().digest_size
    if len(data) <= header or not data.startswith(MAGIC):
        raise TrainingError(f"{path}: not a dcls checkpoint, or truncated")
    digest, payload = data[len(MAGIC) : header], data[header:]
    if hashlib.sha256(payload).digest() != digest:
        raise TrainingError(f"{path}: damaged checkpoint, its SHA-256 does not match")
    try:
        with warnings.catch_warnings(action="ignore"):  # all that matters is in the error
            state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise TrainingError(
            f"{path}: refused, it holds more than tensors and plain values and might run code"
        ) from error
    except Exception as error:  # the reader raises anything on bytes that are no checkpoint
        raise TrainingError(f"{path}: not a dcls checkpoint") from error
    missing = KEYS - set(state) if isinstance(state, dict) else KEYS
    if missing:
        raise TrainingError(f"{path}: not a dcls checkpoint, it lacks {', '.join(sorted(missing))}")
    return dict(state)


def check_same_run(
    saved: Mapping[str, Any], model: ModelConfig, config: TrainConfig, folder: Path
) -> None:
    """Refuse to continue a run with another network, other options or other damage of photos.

    Raises:
        TrainingError: naming what differs, with both values.
    """
    # Through the class, which knows the fields that a checkpoint is older than.
    then = asdict(ModelConfig.from_json(saved["model"]))
    now = asdict(model)
    differing = [name for name in now if then[name] != now[name]]
    if differing:
        raise TrainingError(
            f"{folder}: its checkpoints are of another network "
            f"({_listed(differing, then, now)}); "
            "resume with the same scale and preset, or choose another --out"
        )
    earlier = TrainConfig.from_json(saved["config"])
    differing = config.differences(earlier)
    if differing:
        raise TrainingError(
            f"{folder}: its run was started with other options "
            f"({_listed(differing, asdict(earlier), asdict(config))}); "
            "resume with the same options, or choose another --out"
        )
    begun = saved.get("damage", FIRST_DAMAGE)
    if config.degradation == "photo" and begun != VERSION:
        raise TrainingError(
            f"{folder}: its run learns from photo damage of version {begun}, this dcls makes "
            f"version {VERSION}; resume with the dcls that began it, or choose another --out and "
            "start from its weights (--init)"
        )


def _listed(names: list[str], then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first few differences."""
    shown = [f"{name} {then[name]}, now {now[name]}" for name in names[:LISTED]]
    more = len(names) - LISTED
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
