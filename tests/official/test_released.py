"""All five networks that the authors have released, from a `.pth` to a table of figures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.models import weights
from dcls_cli.models.official import official_names
from tests.goldens import CARRIED, golden
from tests.official.test_names import RELEASED

#: The smallest in every run, all with `pytest -m slow`; `test_names` looks at the shapes of all.
QUICK = "x2_anisotropic"
NAMES = [pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in RELEASED]


@pytest.mark.parametrize("name", NAMES)
def test_the_command_converts_every_released_network(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With their names and shapes; the values are random."""
    random = torch.Generator().manual_seed(0)
    shapes = RELEASED[name]["shapes"]
    state = {key: torch.randn(shape, generator=random) for key, shape in shapes.items()}
    torch.save(state, tmp_path / "theirs.pth")
    output = tmp_path / "ours.safetensors"
    assert run(["weights", "convert", str(tmp_path / "theirs.pth"), "-o", str(output)]) == 0
    config, tensors = weights.read(output)
    assert (config.scale, config.kernel_size) == (
        RELEASED[name]["scale"], RELEASED[name]["kernel_size"],
    )  # fmt: skip
    assert config.kernel_norm == ("softmax" if name == "x2_anisotropic" else "sum")
    assert (config.features, config.groups, config.blocks, config.latent) == (64, 5, 10, 256)
    assert sum(tensor.numel() for tensor in tensors.values()) == RELEASED[name]["parameters"]
    for ours, theirs in official_names(config).items():
        assert torch.equal(tensors[ours].flatten(), state[theirs].flatten()), ours
    assert capfd.readouterr().err.count("Traceback") == 0


def test_a_converted_network_is_evaluated(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.save(golden(CARRIED).weights, tmp_path / "theirs.pth")
    output = tmp_path / "ours.safetensors"
    assert run(["weights", "convert", str(tmp_path / "theirs.pth"), "-o", str(output)]) == 0
    (tmp_path / "hr").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 10, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((50, 46), Image.Resampling.BICUBIC)
    image.save(tmp_path / "hr" / "a.png")
    capfd.readouterr()
    arguments = ["eval", "--hr", str(tmp_path / "hr"), "-s", "2", "-w", str(output), "--json"]
    assert run([*arguments, "--device", "cpu"]) == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    rows = [event for event in events if event.get("psnr_y") is not None]
    assert len(rows) >= 8 and all(0 < row["psnr_y"] < 100 for row in rows)
    assert len({row["psnr_y"] for row in rows}) > 4
