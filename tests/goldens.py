"""Three tiny networks in the authors' names, each with an input, its kernel and its picture.

They were made with the authors' code as it is published, fp32, random weights: the kernel is
divided by its sum in all of them, that of size 11 too.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

DATA = Path(__file__).resolve().parent / "data" / "official"
SHARED = Path(__file__).resolve().parents[2] / "shared"

NAMES = ("tiny_x2_k11", "tiny_x3_k21", "tiny_x4_k21")
#: The one that the repository carries.
CARRIED = "tiny_x2_k11"


@dataclass(frozen=True)
class Golden:
    """weights by the authors' names; lr (2, 3, H, W); kernel (2, 1, k, k); sr in [0, 1]."""

    weights: dict[str, Tensor]
    lr: Tensor
    kernel: Tensor
    sr: Tensor


def golden(name: str = CARRIED) -> Golden:
    """Read one, or skip the test where only the shared folder has it."""
    for folder in (DATA, SHARED / "official"):
        path = folder / f"{name}.safetensors"
        if path.is_file():
            break
    else:
        pytest.skip(f"{name} is not in this checkout: {SHARED / 'official'} is missing")
    # Copies, because views into the file are not aligned and round otherwise.
    tensors = {key: tensor.clone() for key, tensor in load_file(path).items()}
    prefix = "weights."
    return Golden(
        weights={k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)},
        lr=tensors["lr"],
        kernel=tensors["kernel"],
        sr=tensors["sr"],
    )
