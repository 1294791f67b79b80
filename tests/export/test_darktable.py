"""The package for darktable: its files, and its tiles beside the whole picture."""

import json
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from dcls_cli.cli.app import run
from dcls_cli.export.darktable import network_for
from export.check_darktable import difference, graphs, in_one_piece, in_tiles, mirrored, read

Capture = pytest.CaptureFixture[str]

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("own", [["-m", "dcls-light-x4"], ["-s", "2"], ["--split"], ["--fft=dft"]])
def test_what_contradicts_darktable_is_refused(
    own: list[str], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["export-onnx", "--target", "darktable", *own]) == 2
    assert "leave out -m, -w, -s" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_package(tmp_path: Path, capsys: Capture) -> None:
    assert run(["export-onnx", "--target", "darktable", "-o", str(tmp_path / "x.onnx")]) == 2
    assert "must end in .dtmodel" in capsys.readouterr().err


def test_photo_networks_are_taken_where_there_are_such() -> None:
    assert [network_for(scale).name for scale in (2, 4)] == ["dcls-light-x2", "dcls-photo-x4"]


def test_tiles_are_those_of_a_reflected_picture() -> None:
    side = np.arange(100)
    assert np.array_equal(side[mirrored(-16, 132, 100)], np.pad(side, 16, mode="reflect"))
    picture = np.random.default_rng(0).random((3, 70, 101), np.float32)

    def nearest(tile: np.ndarray) -> np.ndarray:
        assert tile.shape == (3, 64, 64)
        return tile.repeat(2, axis=1).repeat(2, axis=2)

    expected = picture.repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(in_tiles(nearest, picture, 2, 64), expected)


@pytest.mark.slow
def test_darktable_can_use_a_package(tmp_path: Path) -> None:
    """Facts of its sources: one folder named after the id, names of graphs and axes."""
    package = tmp_path / "x.dtmodel"
    assert run(["export-onnx", "--target", "darktable", "-o", str(package), "--no-verify"]) == 0
    with zipfile.ZipFile(package) as file:
        names = ["config.json", "model_x2.onnx", "model_x4.onnx"]
        assert file.namelist() == [f"upscale-dcls/{name}" for name in names]
        config = json.loads(file.read("upscale-dcls/config.json"))
        assert (config["id"], config["task"]) == ("upscale-dcls", "upscale")
        for scale in (2, 4):
            session = onnxruntime.InferenceSession(
                file.read(f"upscale-dcls/model_x{scale}.onnx"), providers=["CPUExecutionProvider"]
            )
            (lr,), (sr,) = session.get_inputs(), session.get_outputs()
            assert lr.shape == ["batch", 3, "height", "width"]
            assert lr.type == sr.type == "tensor(float)"
    for scale, graph in graphs(package).items():
        picture = read(ROOT / "examples" / "rocket.jpg")[:, :200, :520]
        tiles = in_tiles(graph, picture, scale, 512)
        assert tiles.min() >= 0
        assert tiles.max() <= 1
        psnr, _ = difference(tiles, in_one_piece(graph, picture, scale))
        assert psnr >= 45
