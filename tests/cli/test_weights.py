"""`dcls weights`: what a file holds, in words and in JSON."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dcls_cli.backends.loading import load_backend
from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS

TINY = Path(__file__).resolve().parents[3] / "shared" / "official" / "tiny_x4_k21.safetensors"

Capture = pytest.CaptureFixture[str]

CONFIG = ModelConfig.light(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "w.safetensors"
    weights.write(DCLS(CONFIG), path, {"note": "one\ntwo"})
    return path


def test_show_lists_configuration_and_metadata(file: Path, capsys: Capture) -> None:
    assert run(["weights", "show", str(file)]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["scale"] == "2"
    assert lines["kernel_space"] == "hr"
    assert lines["note"] == r"one\ntwo"
    parameters = sum(tensor.numel() for tensor in DCLS(CONFIG).parameters())
    assert int(lines["parameters"].replace(",", "")) == parameters


def test_show_as_json_round_trips_the_configuration(file: Path, capsys: Capture) -> None:
    assert run(["weights", "show", str(file), "--json"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert ModelConfig.from_json(json.dumps(event["config"])) == CONFIG
    assert event["metadata"]["note"] == "one\ntwo"


def test_show_refuses_damage(file: Path, capsys: Capture) -> None:
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    assert run(["weights", "show", str(file)]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_convert_writes_safetensors_only(tmp_path: Path, capsys: Capture) -> None:
    arguments = ["weights", "convert", "a.pth", "-o", str(tmp_path / "b.onnx")]
    assert run(arguments) == 2
    assert "must end in .safetensors" in capsys.readouterr().err


def test_the_authors_weights_become_ours_and_upscale(tmp_path: Path, capsys: Capture) -> None:
    if not TINY.exists():
        pytest.skip(f"{TINY} with the authors' tensors is not here")
    stored = load_file(TINY)
    names = {name: name.removeprefix("weights.") for name in stored if name.startswith("weights.")}
    torch.save({ours: stored[name] for name, ours in names.items()}, tmp_path / "authors.pth")
    source, output = str(tmp_path / "authors.pth"), str(tmp_path / "ours.safetensors")
    assert run(["weights", "convert", source, "-o", output, "--kernel-norm", "sum"]) == 0
    assert capsys.readouterr().out.startswith(f"{output}: x4, kernel 21, ")
    assert weights.load(Path(output)).config.kernel_norm == "sum"
    assert run(["weights", "convert", source, "-o", output]) == 1
    assert "exists already" in capsys.readouterr().err
    photo = tmp_path / "photo.png"
    lr = stored["lr"][0].mul(255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(lr).save(photo)
    assert run(["upscale", str(photo), "-w", output, "--precision", "fp32"]) == 0
    with Image.open(tmp_path / "photo_x4.png") as restored:
        assert restored.size == (4 * lr.shape[1], 4 * lr.shape[0])
    # The network itself: its tiny, random kernel would not be believed by the command.
    backend = load_backend(Path(output), "cpu", "fp32")
    image = lr.transpose(2, 0, 1).astype(np.float32) / 255
    got = backend.restore(image[None], backend.estimate(image, tiled=False))[0].clip(0, 1) * 255
    expected = stored["sr"][0].clamp(0, 1).mul(255).numpy()
    assert np.abs(got - expected).mean() < 2  # the input was rounded to 8 bits


def test_convert_tells_what_a_file_is_not(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.pth").write_text("no weights")
    arguments = [
        "weights",
        "convert",
        str(tmp_path / "a.pth"),
        "-o",
        str(tmp_path / "b.safetensors"),
    ]
    assert run(arguments) == 3
    assert capsys.readouterr().err.startswith(f"dcls: {tmp_path / 'a.pth'}: ")
    assert not (tmp_path / "b.safetensors").exists()
