"""Conversion: every way of saving, the command, the kernel's norm, outputs that exist already."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.errors import DclsError, UsageError
from dcls_cli.models import official, weights
from dcls_cli.network.dcls import DCLS
from tests.goldens import Golden
from tests.official.files import refused, save_new, save_old


@pytest.mark.parametrize(
    ("file_name", "save", "wrap"),
    [
        ("w.pth", save_new, lambda state: state),
        ("w.pth", save_old, lambda state: state),
        ("w.pth", save_new, lambda state: {"params": state}),
        ("w.pth", save_new, lambda state: {"epoch": 3, "state_dict": state}),
        ("w.pth", save_new, lambda state: {f"module.{k}": t for k, t in state.items()}),
        ("w.pth", save_new, lambda state: {k: torch.nn.Parameter(t) for k, t in state.items()}),
        ("w.safetensors", save_file, lambda state: state),
        ("w.pth", save_file, lambda state: state),
    ],
)
def test_every_way_of_saving_is_read(
    file_name: str,
    save: Callable[[Any, Path], None],
    wrap: Callable[[dict[str, Tensor]], Any],
    tiny: Golden,
    tmp_path: Path,
) -> None:
    path, output = tmp_path / file_name, tmp_path / "ours.safetensors"
    save(wrap(tiny.weights), path)
    official.convert(path, output, overwrite=False)
    renamed = official.rename(tiny.weights)
    for name, tensor in weights.load(output).state_dict().items():
        assert torch.equal(tensor, renamed[name]), name


def test_the_command_converts_a_pth_that_gives_the_same_picture(
    tiny: Golden, pth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "ours.safetensors"
    arguments = ["weights", "convert", str(pth), "-o", str(output), "--kernel-norm", "sum"]
    assert run(arguments) == 0, capsys.readouterr().err
    network = weights.load(output)
    with torch.no_grad():
        sr, kernel = network(tiny.lr)[:2]
    torch.testing.assert_close(kernel, tiny.kernel, atol=1e-5, rtol=0)
    torch.testing.assert_close(sr.clamp(0, 1), tiny.sr, atol=1e-5, rtol=0)
    _, metadata = weights.read_metadata(output)
    assert metadata["source_sha256"] == hashlib.sha256(pth.read_bytes()).hexdigest()
    assert metadata["source_file"] == "tiny.pth"
    assert "Luo" in metadata["authors"]


@pytest.mark.parametrize(("asked", "got"), [(None, "softmax"), ("sum", "sum")])
def test_the_norm_of_eleven_taps_is_softmax_unless_told_otherwise(
    asked: Any,  # noqa: ANN401
    got: str,
    pth: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "ours.safetensors"
    official.convert(pth, output, overwrite=False, kernel_norm=asked)
    assert weights.load(output).config.kernel_norm == got


def test_outputs_are_not_lost(pth: Path, tmp_path: Path) -> None:
    output = tmp_path / "ours.safetensors"
    output.write_bytes(b"mine")
    with pytest.raises(DclsError, match="exists already"):
        official.convert(pth, output, overwrite=False)
    assert output.read_bytes() == b"mine"
    official.convert(pth, output, overwrite=True)
    assert weights.load(output).config.scale == 2
    before = pth.read_bytes()
    with pytest.raises(UsageError, match="another file"):
        official.convert(pth, pth, overwrite=True)
    assert pth.read_bytes() == before


def test_our_own_weights_are_not_the_authors(tmp_path: Path) -> None:
    path = tmp_path / "ours.safetensors"
    config = ModelConfig.light(2, features=16, groups=1, blocks=1, latent=8)
    weights.write(DCLS(config), path)
    refused(path, "not the authors' weights")
