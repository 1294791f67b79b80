"""Checkpoints: whole, verified, refused when they could run code, and never many."""

import hashlib
import io
import os
import pickle
from pathlib import Path

import pytest
import torch

from dcls_cli.errors import TrainingError
from dcls_cli.training.checkpoint import KEEP, KEYS, MAGIC, CheckpointFolder, read_checkpoint


def state(step: int) -> dict[str, object]:
    return {key: None for key in KEYS} | {"training": {"weight": torch.full((100,), float(step))}}


def saved(folder: Path, *steps: int) -> CheckpointFolder:
    checkpoints = CheckpointFolder(folder)
    for step in steps:
        checkpoints.save(step, state(step))
    return checkpoints


def wrap(payload: bytes) -> bytes:
    return MAGIC + hashlib.sha256(payload).digest() + payload


def test_keeps_the_newest(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path / "new" / "folder", 1, 2, 30, 4, 100)
    assert [path.name for path in checkpoints.files()] == [
        f"step-{step:08d}.ckpt" for step in (100, 30, 4)
    ]
    assert len(checkpoints.files()) == KEEP
    newest = checkpoints.newest(pytest.fail)
    assert newest is not None
    assert torch.equal(newest["training"]["weight"], torch.full((100,), 100.0))


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path / "nothing").newest(pytest.fail) is None


def damage(path: Path, kind: str) -> None:
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        del data[len(data) * 9 // 10 :]
    elif kind == "zeroed":
        data[:] = bytes(len(data))
    elif kind == "empty":
        data.clear()
    else:
        data[{"flipped in front": 3, "flipped": len(data) // 2, "flipped behind": -1}[kind]] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    "kind", ["truncated", "zeroed", "empty", "flipped in front", "flipped", "flipped behind"]
)
def test_a_damaged_one_is_told_and_passed_over(tmp_path: Path, kind: str) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    damage(checkpoints.files()[0], kind)
    warnings: list[str] = []
    newest = checkpoints.newest(warnings.append)
    assert newest is not None and float(newest["training"]["weight"][0]) == 1
    assert len(warnings) == 1 and "step-00000002.ckpt" in warnings[0]


def test_never_a_silent_start_from_zero(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    for path in checkpoints.files():
        damage(path, "truncated")
    with pytest.raises(TrainingError, match="all 2 checkpoints are damaged"):
        checkpoints.newest(lambda _: None)


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """What pickle calls on loading."""
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_is_refused_and_not_run(tmp_path: Path, writer: str) -> None:
    marker = tmp_path / "ran"
    bad = state(1) | {"losses": Payload(marker)}
    buffer = io.BytesIO()
    if writer == "torch":
        torch.save(bad, buffer)
    else:
        pickle.dump(bad, buffer)
    path = tmp_path / "step-00000001.ckpt"
    path.write_bytes(wrap(buffer.getvalue()))
    with pytest.raises(TrainingError) as caught:
        read_checkpoint(path)
    assert not marker.exists()
    assert "\n" not in str(caught.value) and "weights_only=False" not in str(caught.value)
    assert "refused" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text", [1, 2], {"model": "x"}])
def test_whole_files_of_another_kind_are_refused(tmp_path: Path, content: object) -> None:
    payload = content
    if not isinstance(content, bytes):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        payload = buffer.getvalue()
    assert isinstance(payload, bytes)
    path = tmp_path / "step-00000001.ckpt"
    path.write_bytes(wrap(payload))
    with pytest.raises(TrainingError, match="not a dcls checkpoint|refused") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_folder_of_that_name_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)
    (tmp_path / "step-00000002.ckpt").mkdir()
    warnings: list[str] = []
    assert checkpoints.newest(warnings.append) is not None
    assert len(warnings) == 1
