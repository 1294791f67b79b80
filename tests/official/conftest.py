"""The tiny network that the repository carries, as tensors and as the authors' kind of file."""

from pathlib import Path

import pytest
import torch

from tests.goldens import CARRIED, Golden, golden


@pytest.fixture(scope="session")
def tiny() -> Golden:
    return golden(CARRIED)


@pytest.fixture
def pth(tiny: Golden, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.pth"
    torch.save(tiny.weights, path)
    return path
