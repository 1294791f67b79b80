"""ONNX Runtime's engine: equal to PyTorch's, whole, in windows and in tiles; what it refuses."""

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from dcls_cli import example, graphs
from dcls_cli.backends import sessions
from dcls_cli.backends.graph_estimation import GraphEstimator
from dcls_cli.backends.loading import load_backend
from dcls_cli.backends.split_graphs import SplitGraphs
from dcls_cli.config import ModelConfig
from dcls_cli.errors import BackendError, OutOfMemoryError, UsageError, WeightsError
from dcls_cli.image import Photo
from dcls_cli.image.photo import collect
from dcls_cli.models.releases import RELEASES, location, release
from dcls_cli.network.deconvolution import FeatureSmoothing
from dcls_cli.network.estimator import Estimator
from dcls_cli.network.restorer import DualPathNetwork
from dcls_cli.network.windows import SMOOTHING_MARGIN, smoothing_reach
from dcls_cli.upscaling import upscale
from tests import scenes

PHOTO = location(release("dcls-photo-x4"))
LIGHT = location(release("dcls-light-x4"))


def picture(height: int, width: int) -> np.ndarray:
    return scenes.natural(height, width).transpose(2, 0, 1).astype(np.float32)


@pytest.mark.parametrize("weights", [*map(location, RELEASES)], ids=lambda path: path.stem)
def test_the_shipped_graphs_give_what_pytorch_gives(weights: Path) -> None:
    """A real photo, whole: within 1/255, and by far."""
    lr = example.pixels()
    ours, theirs = (load_backend(weights, "cpu", "fp32", engine) for engine in ("onnx", "torch"))
    assert ours.device == "cpu (ONNX Runtime)"
    assert ours.config == theirs.config
    blur, expected = ours.estimate(lr), theirs.estimate(lr)
    for name in ("kernel", "smoothing", "noise", "gates"):
        part, other = getattr(blur, name), getattr(expected, name)
        assert (part is None) == (other is None)
        if part is not None:
            assert part.shape == other.shape
            assert np.abs(part - other).max() < 1e-5
    difference = ours.restore(lr[None], blur) - theirs.restore(lr[None], expected)
    assert np.abs(difference).max() < 1e-4


def test_a_real_photo_in_tiles_is_that_of_pytorch() -> None:
    """The same tiles with the same statistics: the files' samples differ by one level at most."""
    photo = Photo.from_samples(np.asarray(Image.open(example.location())), 255, 8)
    levels = np.dtype(np.uint8)
    ours, theirs = (
        collect(upscale(photo, load_backend(PHOTO, "cpu", "fp32", engine), tile=64), levels)
        for engine in ("onnx", "torch")
    )
    assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("weights", [*map(location, RELEASES)], ids=lambda path: path.stem)
def test_the_shipped_graphs_are_whole_and_of_the_released_weights(weights: Path) -> None:
    lines = (weights.parent / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    whole = weights.with_suffix(".onnx")
    for path in (*graphs.main_part_paths(whole), graphs.main_part_paths(whole, "int8")[1]):
        content, info = graphs.read_graph(path)
        assert info.precision == ("int8" if "int8" in path.name else "fp32")
        assert hashlib.sha256(content).hexdigest() == sums[path.name]
        assert info.weights_sha256 == sums[weights.name]
        assert info.metrics["psnr_y_db"] == release(weights.stem).psnr_y_db


def test_windows_add_up_to_the_whole() -> None:
    parts = SplitGraphs.read(graphs.main_part_paths(PHOTO.with_suffix(".onnx"))[0])
    estimator = onnxruntime.InferenceSession(
        parts.contents["estimator"], providers=["CPUExecutionProvider"]
    )
    gathering = GraphEstimator(parts.info.config, {"estimator": estimator})
    lr = picture(50, 71)
    whole = gathering.estimate(lr, tiled=True)
    for window in (16, 33):
        parted = gathering.estimate(lr, tiled=True, window=window)
        assert np.abs(parted.kernel - whole.kernel).max() < 1e-6
        assert parted.noise == pytest.approx(whole.noise, rel=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (17, 5)])
def test_tiny_photos(size: tuple[int, int]) -> None:
    ours, theirs = (load_backend(LIGHT, "cpu", "fp32", engine) for engine in ("onnx", "torch"))
    lr = picture(*size)
    blur = ours.estimate(lr)
    assert np.abs(blur.kernel - theirs.estimate(lr).kernel).max() < 1e-5
    got, expected = (backend.restore(lr[None], blur) for backend in (ours, theirs))
    assert got.shape == (1, 3, 4 * size[0], 4 * size[1])
    # A single pixel has no spectrum but its mean; rounding is amplified, below one level of 255.
    assert np.abs(got - expected).max() < (1 / 255 if size == (1, 1) else 1e-4)


def test_a_known_kernel_takes_the_place_of_the_estimate() -> None:
    backend = load_backend(LIGHT, "cpu", "auto", "onnx")
    lr = picture(24, 30)
    kernel = np.zeros((21, 21), np.float32)
    kernel[10, 10] = 1
    blur, estimate = backend.estimate(lr, kernel=kernel), backend.estimate(lr)
    assert np.array_equal(blur.kernel, kernel)
    assert np.array_equal(blur.smoothing, estimate.smoothing)
    assert np.abs(backend.restore(lr[None], blur) - backend.restore(lr[None], estimate)).max() > 0


def test_the_layout_that_is_known_without_pytorch_is_that_of_the_network() -> None:
    for config in (ModelConfig.light(4), ModelConfig.paper(4)):
        restorer = DualPathNetwork(config)
        margin = FeatureSmoothing(1).to_be_pooled(torch.zeros(1, 1, 9, 9)).shape[-1] - 9
        assert -margin == SMOOTHING_MARGIN
        linear = 0 if config.skip == "none" else config.skip_taps // 2
        assert smoothing_reach(config) == 1 + 2 * len(restorer.features) + linear
        estimator = Estimator(config)
        assert graphs.estimator_reach(config) == estimator.reach
        assert graphs.pool_margin(config) == estimator.pooling.margin
        features = torch.rand(2, 1, config.estimator_features, 9, 9)
        pools = estimator.pooling.means(*features)
        assert pools.shape[1] == graphs.pool_width(config)


def test_what_is_refused(tmp_path: Path) -> None:
    restorer = graphs.main_part_paths(LIGHT.with_suffix(".onnx"))[1]
    with pytest.raises(UsageError, match="unknown engine 'tflite'"):
        load_backend(LIGHT, engine="tflite")
    with pytest.raises(UsageError, match="runs with --backend onnx"):
        load_backend(restorer, engine="torch")
    with pytest.raises(BackendError, match="precision bf16 is not that of the graph, fp32"):
        load_backend(restorer, "cpu", "bf16")
    with pytest.raises(BackendError, match="unknown device 'npu'"):
        load_backend(restorer, "npu")
    alone = tmp_path / "mine.safetensors"
    alone.write_bytes(LIGHT.read_bytes())
    with pytest.raises(BackendError, match=r"mine-restorer\.onnx is not there"):
        load_backend(alone, engine="onnx")
    copy = tmp_path / restorer.name
    copy.write_bytes(restorer.read_bytes())
    with pytest.raises(WeightsError, match=r"-estimator\.onnx: no such graph file"):
        load_backend(copy)
    other = graphs.main_part_paths(PHOTO.with_suffix(".onnx"))[0]
    (tmp_path / "dcls-light-x4-estimator.onnx").write_bytes(other.read_bytes())
    with pytest.raises(
        WeightsError, match="not the estimator that goes with dcls-light-x4-restorer"
    ):
        load_backend(copy)
    (tmp_path / "x.onnx").write_bytes(restorer.read_bytes())
    with pytest.raises(WeightsError, match="NAME-estimator.onnx and NAME-restorer.onnx"):
        load_backend(tmp_path / "x.onnx")


def test_graphs_beside_other_weights_are_refused(tmp_path: Path) -> None:
    for part in graphs.main_part_paths(LIGHT.with_suffix(".onnx")):
        (tmp_path / part.name).write_bytes(part.read_bytes())
    weights = tmp_path / LIGHT.name
    weights.write_bytes(PHOTO.read_bytes())
    with pytest.raises(WeightsError, match="made from other weights"):
        load_backend(weights, engine="onnx")


def test_memory_that_runs_out_is_our_error() -> None:
    with (
        pytest.raises(OutOfMemoryError, match="a piece of 8x6 pixels"),
        sessions.translated_memory_errors((3, 6, 8)),
    ):
        raise RuntimeError("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested")


def test_matrices_that_would_fill_the_memory_are_never_made() -> None:
    """A row of 300 000 pixels in one piece: 2 TB of cosines and sines."""
    backend = load_backend(LIGHT, "cpu", "fp32", "onnx")
    blur = backend.estimate(picture(1, 9))
    with pytest.raises(OutOfMemoryError, match="a piece of 300000x1 pixels"):
        backend.restore(np.zeros((1, 3, 1, 300_000), np.float32), blur)


def test_engines_are_for_other_threads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert sessions.threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert sessions.threads() >= 1


def test_upscale_on_graphs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command itself: graphs as weights, and the engine by name."""
    from dcls_cli.cli.app import run

    photo, small = example.location(), tmp_path / "small.png"
    Image.open(photo).crop((0, 0, 40, 32)).save(small)
    restorer = graphs.main_part_paths(LIGHT.with_suffix(".onnx"))[1]
    first, second = tmp_path / "1.png", tmp_path / "2.png"
    assert run(["upscale", "-v", str(small), "-w", str(restorer), "-o", str(first)]) == 0
    assert "cpu (ONNX Runtime) fp32" in capsys.readouterr().out
    line = ["upscale", str(small), "-m", "dcls-light-x4", "--precision", "fp32", "-o", str(second)]
    assert run([*line, "--backend", "torch"]) == 0
    one, two = (np.asarray(Image.open(path)).astype(int) for path in (first, second))
    assert np.abs(one - two).max() <= 1
    assert run([*line, "--overwrite", "-d", "tensorrt"]) == 5
    assert "device 'tensorrt' is not usable" in capsys.readouterr().err
