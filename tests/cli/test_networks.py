"""`-m auto`: which network restores which photo, and what is said about it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.cli.networks import Networks
from dcls_cli.config import ModelConfig
from dcls_cli.errors import UsageError
from dcls_cli.image import read
from dcls_cli.releases import RELEASES
from tests.image.test_traces import smooth

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """One clean picture, once without loss and once as a camera would write it."""
    monkeypatch.chdir(tmp_path)
    levels = np.round(smooth(48, 40).transpose(1, 2, 0) * 255).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(levels, (48, 40, 3)).copy())
    image.save("clean.png")
    image.save("camera.jpg", quality=90)
    return Path("clean.png"), Path("camera.jpg")


def networks(model: str | None, weights: Path | None = None) -> Networks:
    return Networks(model, weights, 4, device="cpu", precision="fp32")


@pytest.mark.parametrize("model", [None, "auto"])
def test_the_photo_decides_unless_the_user_does(
    model: str | None, photos: tuple[Path, Path]
) -> None:
    by_rule, by_name = networks(model), networks("dcls-light-x4")
    clean, camera = map(read, photos)
    assert by_rule.choose(clean).name == "dcls-light-x4"
    assert by_rule.choose(camera).name == "dcls-photo-x4"
    assert by_name.choose(camera).name == "dcls-light-x4"
    assert by_name.choose(camera).reason is None


def test_a_network_is_loaded_once(photos: tuple[Path, Path]) -> None:
    several = networks("auto")
    clean, camera = (several.choose(read(path)) for path in photos)
    assert several.load(camera) is several.load(camera)
    assert several.load(camera) is not several.load(clean)
    assert several.load(camera).config.noise == "estimated"


def test_auto_and_a_file_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        networks("auto", tmp_path / "own.safetensors")


def test_the_networks_of_a_scale_take_the_same_kernels() -> None:
    """So that a user's kernel fits whichever network the photo gets."""
    for scale in {item.scale for item in RELEASES}:
        presets = {item.preset for item in RELEASES if item.scale == scale}
        configs = [getattr(ModelConfig, preset)(scale) for preset in presets]
        assert len({(config.kernel_size, config.kernel_space) for config in configs}) == 1


def test_upscale_says_which_network_each_photo_got_and_why(
    photos: tuple[Path, Path], capsys: Capture
) -> None:
    assert run(["upscale", *map(str, photos), "-o", "out", "--precision", "fp32"]) == 0
    captured = capsys.readouterr()
    first, second = captured.out.splitlines()
    assert first.endswith("  dcls-light-x4")
    assert second.endswith("  dcls-photo-x4")
    assert captured.err.splitlines() == [
        "dcls: clean.png: dcls-light-x4, because it shows no noise and no compression",
        "dcls: camera.jpg: dcls-photo-x4, because JPEG compresses with loss",
    ]


@pytest.mark.parametrize("command", ["upscale", "batch"])
def test_the_reason_is_said_once_for_each_network(
    command: str, photos: tuple[Path, Path], capsys: Capture
) -> None:
    for path in photos:
        path.with_stem(f"z-{path.stem}").write_bytes(path.read_bytes())
    names = [str(path) for path in sorted(Path().glob("*.*"))]
    assert run([command, *names, "-o", "out", "--precision", "fp32"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "because" in line]
    assert sorted(line.partition(", ")[0].split()[-1] for line in said) == [
        "dcls-light-x4",
        "dcls-photo-x4",
    ]


def test_json_has_the_network_and_the_reason(photos: tuple[Path, Path], capsys: Capture) -> None:
    assert run(["upscale", str(photos[1]), "-s", "2", "--json", "--precision", "fp32"]) == 0
    start, *_, done, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert start["model"] == done["model"] == "dcls-light-x2"
    assert "no model for photographs at x2" in start["reason"]


def test_kernel_follows_the_same_rule(photos: tuple[Path, Path], capsys: Capture) -> None:
    assert run(["kernel", str(photos[1])]) == 0
    captured = capsys.readouterr()
    assert "camera.jpg: dcls-photo-x4, because JPEG" in captured.err
    assert "noise" in captured.out
