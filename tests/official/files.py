"""Files to be converted: ways to save them, and what a refusal must look like."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dcls_cli.errors import WeightsError
from dcls_cli.models import official


def save_new(state: Any, path: Path) -> None:  # noqa: ANN401
    torch.save(state, path)


def save_old(state: Any, path: Path) -> None:  # noqa: ANN401
    torch.save(state, path, _use_new_zipfile_serialization=False)


def refused(path: Path, match: str) -> str:
    """The one line that `convert` says; it writes nothing and repeats no dangerous advice."""
    output = path.with_name("out.safetensors")
    before = set(path.parent.iterdir())
    with pytest.raises(WeightsError, match=match) as raised:
        official.convert(path, output, overwrite=False)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "weights_only" not in message
    assert set(path.parent.iterdir()) == before
    return message
