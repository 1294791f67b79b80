"""`--precision auto` takes half precision only where it changes nothing that can be seen."""

from pathlib import Path

import pytest
import torch

from dcls_cli.backends import devices
from dcls_cli.backends.pytorch import PyTorchBackend, half_precision_db
from dcls_cli.config import ModelConfig
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS

CPU = torch.device("cpu")
TINY = {"features": 16, "groups": 1, "blocks": 1, "latent": 8, "estimator_features": 16}
LIGHT = ModelConfig.light(2, **TINY, estimator_blocks=1)
SHIPPED = sorted((Path(__file__).resolve().parents[2] / "weights").glob("*.safetensors"))


@pytest.fixture(autouse=True)
def fast_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor that has it."""
    monkeypatch.setattr("dcls_cli.backends.devices.has_fast_bf16", lambda *_: True)
    assert devices.select_precision("auto", CPU) == "bf16"


def paper(epsilon: float) -> DCLS:
    torch.manual_seed(0)
    config = ModelConfig.paper(2, **TINY, kernel_size=21, kernel_channels=4, cls_epsilon=epsilon)
    return DCLS(config).eval()


def test_a_denominator_without_a_floor_needs_fp32() -> None:
    """The same weights, whose P is as good as zero: the rounding of the features is taken up."""
    assert half_precision_db(paper(0.0), "bf16", CPU) < 40
    assert half_precision_db(paper(1e-2), "bf16", CPU) > 60


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_weights_pass(path: Path) -> None:
    assert half_precision_db(weights.load(path).eval(), "bf16", CPU) > 60
    backend = PyTorchBackend.load(path, "cpu", "auto")
    assert (backend.precision, backend.take_notes()) == ("bf16", [])


def test_own_weights_get_what_they_can_do_and_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    weights.write(paper(0.0), path)
    backend = PyTorchBackend.load(path, "cpu", "auto")
    assert backend.precision == "fp32"
    (note,) = backend.take_notes()
    assert note.startswith("own.safetensors: fp32 is used, as bf16 is too far from it")
    assert PyTorchBackend.load(path, "cpu", "bf16").precision == "bf16"
    torch.manual_seed(0)
    weights.write(DCLS(LIGHT), path)
    backend = PyTorchBackend.load(path, "cpu", "auto")
    assert (backend.precision, backend.take_notes()) == ("bf16", [])
