"""`-m auto`: which network restores which photo, and how the choice is reported."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.errors import UsageError
from dcls_cli.image import read
from dcls_cli.jobs.networks import Networks
from dcls_cli.models.releases import RELEASES
from tests.image.test_traces import small_and_busy

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """One clean picture, once without loss and once as a camera would write it."""
    monkeypatch.chdir(tmp_path)
    levels = np.rint(small_and_busy() * 255).astype(np.uint8).transpose(1, 2, 0)
    Image.fromarray(levels).crop((0, 0, 120, 144)).save("clean.png")
    Image.fromarray(levels).crop((40, 40, 80, 88)).save("camera.jpg", quality=60)
    return Path("clean.png"), Path("camera.jpg")


def networks(model: str | None, weights: Path | None = None) -> Networks:
    return Networks(model, weights, 4, device="cpu", precision="fp32")


@pytest.mark.parametrize("model", [None, "auto"])
def test_the_photo_decides_unless_the_user_does(
    model: str | None, photos: tuple[Path, Path]
) -> None:
    by_rule, by_name = networks(model), networks("dcls-light-x4")
    clean, camera = map(read, photos)
    assert by_rule.choose(clean, 4).name == "dcls-light-x4"
    assert by_rule.choose(camera, 4).name == "dcls-photo-x4"
    assert by_name.choose(camera, 4).name == "dcls-light-x4"
    assert by_name.choose(camera, 4).reason is None


def test_a_network_is_loaded_once(photos: tuple[Path, Path]) -> None:
    several = networks("auto")
    clean, camera = (several.choose(read(path), 4) for path in photos)
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
    lines = captured.err.splitlines()
    assert [line for line in lines if "because" in line] == [
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
    assert start["model"] == done["model"] == "dcls-photo-x4"
    assert start["reason"] == "JPEG compresses with loss (its x4 result is reduced)"
    assert (done["width"], done["height"]) == (80, 96)


@pytest.mark.parametrize(
    ("arguments", "scale", "size"),
    [
        (["-s", "1.5"], 2, (180, 216)),
        (["-s", "2.5"], 3, (300, 360)),
        (["--width", "200"], 2, (200, 240)),
        (["--max-side", "390"], 3, (325, 390)),
    ],
)
def test_a_clean_picture_gets_the_network_of_the_next_scale(
    arguments: list[str],
    scale: int,
    size: tuple[int, int],
    photos: tuple[Path, Path],
    capsys: Capture,
) -> None:
    assert run(["upscale", str(photos[0]), *arguments, "--json", "--precision", "fp32"]) == 0
    start, *_, done, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert (start["model"], done["scale"]) == (f"dcls-light-x{scale}", scale)
    assert (done["width"], done["height"]) == size


def test_a_kernel_of_the_user_is_for_networks_of_one_scale(
    photos: tuple[Path, Path], capsys: Capture
) -> None:
    np.save("psf.npy", np.ones((3, 3)))
    arguments = ["upscale", str(photos[1]), "-s", "2", "--kernel", "psf.npy", "--json"]
    assert run(arguments) == 0
    start = json.loads(capsys.readouterr().out.splitlines()[0])
    assert start["model"] == "dcls-light-x2"
    assert "no model for photographs at x2" in start["reason"]


def test_kernel_follows_the_same_rule(photos: tuple[Path, Path], capsys: Capture) -> None:
    assert run(["kernel", str(photos[1])]) == 0
    captured = capsys.readouterr()
    assert "camera.jpg: dcls-photo-x4, because JPEG" in captured.err
    assert "noise" in captured.out


def test_noise_is_for_networks_that_estimate_it(photos: tuple[Path, Path], capsys: Capture) -> None:
    clean, camera = map(str, photos)
    assert run(["upscale", camera, "--noise", "4"]) == 0
    capsys.readouterr()
    assert run(["upscale", clean, "--noise", "4"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "this one does not; give -m dcls-photo-x4" in said
    assert run(["upscale", clean, "--noise", "4", "-m", "dcls-photo-x4"]) == 0


def test_an_uncertain_blur_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from tests.upscaling.pictures import graphic, reduced

    monkeypatch.chdir(tmp_path)
    Image.fromarray(reduced(graphic("flags-france"), 4).to_samples(8)).save("flag.png")
    assert run(["upscale", "flag.png", "--json"]) == 0
    captured = capsys.readouterr()
    done = json.loads(captured.out.splitlines()[-2])
    assert 0 <= done["kernel_confidence"] < 1
    assert done["kernel_width_px"] < done["kernel_estimated_px"]
    message = f"flag.png: blur uncertain: {done['kernel_estimated_px']:.1f} px estimated, "
    assert message + f"{done['kernel_width_px']:.1f} px used" in captured.err
    assert run(["kernel", "flag.png", "--json"]) == 0
    event = json.loads(capsys.readouterr().out.splitlines()[0])
    assert event["confidence"] == done["kernel_confidence"]
    assert run(["upscale", "flag.png", "--report", "flag.html", "--overwrite"]) == 0
    assert "does not show enough of its blur" in Path("flag.html").read_text()


def test_the_evidence_of_a_reduced_result_is_that_of_the_network(
    photos: tuple[Path, Path], capsys: Capture
) -> None:
    arguments = ["upscale", str(photos[1]), "-s", "2", "--report", "evidence.html"]
    assert run(arguments) == 0
    assert "dcls-photo-x4" in capsys.readouterr().out
    assert "160 x 192" in Path("evidence.html").read_text().replace("×", "x")
