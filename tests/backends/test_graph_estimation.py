"""Networks that look at the whole photo, on ONNX Runtime: as with PyTorch, whole and in tiles."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from dcls_cli import example, graphs
from dcls_cli.backends import Blur, sessions
from dcls_cli.backends.graph_estimation import GraphEstimator
from dcls_cli.backends.loading import load_backend
from dcls_cli.backends.onnx_runtime import OnnxBackend
from dcls_cli.backends.split_graphs import SplitGraphs
from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.errors import ExportError, OutOfMemoryError, WeightsError
from dcls_cli.export import ExportOptions, ExportReport, export, parity
from dcls_cli.metrics import psnr
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.statistics import Source, gather
from tests import scenes

Capture = pytest.CaptureFixture[str]

CALIBRATION = Path(__file__).resolve().parents[2] / "export" / "calibration"

TINY = {
    "features": 16, "groups": 2, "blocks": 1, "head_blocks": 1, "latent": 8, "kernel_size": 11,
    "kernel_channels": 4, "estimator_features": 16, "estimator_blocks": 1,
    # Untrained kernels are nearly flat: without a floor, rounding is what the quotient amplifies.
    "cls_epsilon": 1e-2,
}  # fmt: skip

PARTS = ("kernel", "smoothing", "noise", "gates")


@dataclass(frozen=True)
class Exported:
    """A network with its files, all in one folder."""

    network: DCLS
    weights: Path
    report: ExportReport

    @property
    def folder(self) -> Path:
        return self.weights.parent

    def part(self, kind: graphs.Kind, precision: str = "fp32") -> Path:
        return graphs.part_path(self.weights.with_suffix(".onnx"), kind, precision)


def exported(config: ModelConfig, folder: Path, options: ExportOptions) -> Exported:
    torch.manual_seed(1)
    network = DCLS(config)
    with torch.no_grad():
        for parameter in network.restorer.parameters():
            parameter.mul_(1.5)  # livelier than at the start, so that nothing is near zero
    path = folder / "tiny.safetensors"
    weights.write(network, path)
    # Compared below: random weights are not for int8.
    report = export(path, path.with_suffix(".onnx"), options, verify=False)
    return Exported(weights.load(path).eval(), path, report)  # as rounded


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """P from features, attention, no skip: the authors' layout."""
    folder = tmp_path_factory.mktemp("paper")
    return exported(ModelConfig.paper(2, **TINY), folder, ExportOptions(fft="matmul", split=True))


@pytest.fixture(scope="module")
def skipping(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """P from features that the linear super-resolver is among, so they follow from the blur."""
    config = ModelConfig.photo(2, **TINY, smoothing="features")
    folder = tmp_path_factory.mktemp("skipping")
    return exported(config, folder, ExportOptions(fft="matmul", split=True))


def picture(height: int, width: int) -> np.ndarray:
    return scenes.natural(height, width).transpose(2, 0, 1).astype(np.float32)


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def gathering(made: Exported) -> GraphEstimator:
    kinds = graphs.parts_of(made.network.config)
    return GraphEstimator(made.network.config, {kind: session(made.part(kind)) for kind in kinds})


@torch.inference_mode()
def by_torch(
    network: DCLS, lr: np.ndarray, known: np.ndarray | None = None
) -> Mapping[str, np.ndarray | None]:
    image = torch.from_numpy(lr)[None]
    source = Source(lambda rows, columns: image[..., rows, columns], *lr.shape[1:])
    given = None if known is None else torch.from_numpy(known)[None, None]
    blur = gather(network, source, tiled=True, known=given)
    found = {name: getattr(blur, name) for name in PARTS}
    return {name: None if part is None else part[0].numpy() for name, part in found.items()}


def assert_same(found: Blur, expected: Mapping[str, np.ndarray | None], atol: float) -> None:
    for name, part in expected.items():
        own = getattr(found, name)
        assert (own is None) == (part is None)
        if part is not None:
            np.testing.assert_allclose(own, part.reshape(own.shape), atol=atol, rtol=1e-4)


def shapes(values: object) -> dict[str, list[object]]:
    return {item.name: item.shape for item in values}  # type: ignore[attr-defined]


def test_the_files_and_their_contract(paper: Exported, skipping: Exported) -> None:
    """As export/README.md has it."""
    names = sorted(path.name for path in paper.folder.glob("*.onnx"))
    assert names == [
        "tiny-estimator.onnx", "tiny-gates.onnx", "tiny-restorer.onnx", "tiny-smoothing.onnx",
    ]  # fmt: skip
    for graph in paper.report.graphs:
        assert graphs.graph_info(graph.path).kind == graph.kind
        assert graph.beyond_cuda == ()
    smoothing, gates = session(paper.part("smoothing")), session(paper.part("gates"))
    image = ["batch", 3, "height", "width"]
    assert shapes(smoothing.get_inputs()) == {
        "lr": image, "rows": [3, "height"], "columns": [3, "width"], "before": ["batch", 4, 3, 3],
    }  # fmt: skip
    assert list(shapes(smoothing.get_outputs())) == ["sums", "smoothing"]
    assert shapes(gates.get_inputs()) == {
        "lr": image, "rows": ["height"], "columns": ["width"], "kernel": [1, 1, 11, 11],
        "smoothing": [1, 4, 3, 3],
    }  # fmt: skip
    assert shapes(gates.get_outputs()) == {"gates": [1, 2, 1, 20]}
    inputs = shapes(session(skipping.part("smoothing")).get_inputs())
    assert inputs["kernel"] == [1, 1, 11, 11]
    assert inputs["noise"] == [1]
    assert not skipping.part("gates").exists()


def test_every_graph_is_compared_before_it_is_written(paper: Exported, skipping: Exported) -> None:
    options = ExportOptions(fft="matmul", split=True)
    kinds = graphs.parts_of(paper.network.config)
    contents = {kind: paper.part(kind).read_bytes() for kind in kinds}
    found = parity.compare(paper.network, contents, options)
    assert len(found) == 4
    assert max(item.largest for item in found) < 1e-5
    assert 0 < max(item.statistics for item in found) < 1e-5
    for kind, key in (("smoothing", "restorer.smoothing.project.bias"),
                      ("gates", "excite.bias")):  # fmt: skip
        other = contents | {kind: with_another_bias(paper.part(kind), key)}
        with pytest.raises(ExportError, match=r"differs from the network: by \d.*nothing was"):
            parity.compare(paper.network, other, options)


def with_another_bias(path: Path, key: str) -> bytes:
    """A graph that is a little off."""
    content, info = graphs.read_graph(path)
    model = onnx.load_model_from_string(content)
    bias = next(item for item in model.graph.initializer if item.name.endswith(key))
    numbers = onnx.numpy_helper.to_array(bias)
    bias.CopyFrom(onnx.numpy_helper.from_array(numbers + np.float32(0.1), bias.name))
    return graphs.stamp(model, info)


@pytest.mark.parametrize("size", [(1, 1), (6, 2), (40, 61)])
@pytest.mark.parametrize("name", ["paper", "skipping"])
def test_windows_give_what_pytorch_gives(
    request: pytest.FixtureRequest, name: str, size: tuple[int, int]
) -> None:
    made = request.getfixturevalue(name)
    lr = picture(*size)
    found = gathering(made).estimate(lr, tiled=True, window=25)
    assert_same(found, by_torch(made.network, lr), 1e-5)


@pytest.mark.parametrize("size", [(560, 500), (3, 2500)])
def test_a_large_photo_gives_the_gates_of_the_same_sample(
    paper: Exported, size: tuple[int, int]
) -> None:
    """More pixels, or a longer side, than go through the attention at once."""
    lr = picture(*size)
    found = gathering(paper).estimate(lr, tiled=True, window=300)
    assert_same(found, by_torch(paper.network, lr), 1e-5)


def test_a_known_kernel_comes_before_what_follows_from_it(
    paper: Exported, skipping: Exported
) -> None:
    lr = picture(30, 40)
    known = scenes.gaussian(1.3, 11)[0, 0].numpy()
    for made, name in ((paper, "gates"), (skipping, "smoothing")):
        ours = gathering(made)
        own, other = ours.estimate(lr, tiled=True, known=known), ours.estimate(lr, tiled=True)
        assert np.array_equal(own.kernel, known)
        assert_same(own, by_torch(made.network, lr, known), 1e-5)
        assert np.abs(getattr(own, name) - getattr(other, name)).max() > 1e-6


def test_a_photo_in_one_piece_finds_out_the_rest_itself(paper: Exported) -> None:
    """As PyTorch's engine: each image of a batch its own P and gates."""
    backend = load_backend(paper.part("restorer"), "cpu")
    photos = [picture(33, 47), picture(33, 47)[:, ::-1].copy()]
    blur = backend.estimate(photos[0], tiled=False)
    assert blur.smoothing is blur.gates is None
    with torch.inference_mode():
        whole = paper.network(torch.from_numpy(photos[0])[None]).sr[0].numpy()
    both = backend.restore(np.stack(photos), blur)
    assert np.abs(both[0] - whole).max() < 1e-5
    torch_engine = load_backend(paper.weights, "cpu", "fp32", "torch")
    assert np.abs(both - torch_engine.restore(np.stack(photos), blur)).max() < 1e-5


def test_tiles_of_a_real_photo_are_those_of_pytorch_and_of_the_whole(paper: Exported) -> None:
    lr = example.pixels()
    ours, theirs = (
        load_backend(paper.weights, "cpu", "fp32", engine) for engine in ("onnx", "torch")
    )
    assert ours.device == "cpu (ONNX Runtime)"
    blur, expected = ours.estimate(lr), theirs.estimate(lr)
    tile = np.ascontiguousarray(lr[None, :, 20:120, 30:140])
    got, own = ours.restore(tile, blur), theirs.restore(tile, expected)
    assert np.abs(got - own).max() < 1e-5
    with torch.inference_mode():
        whole = paper.network(torch.from_numpy(lr)[None]).sr.numpy()
    middle = (..., slice(80, 120), slice(80, 140))  # of the tile's 200 x 220
    assert np.abs(got[middle] - whole[..., 40:240, 60:280][middle]).max() < 5e-5
    alone = ours.restore(tile, ours.estimate(tile[0], tiled=True))
    assert np.abs(alone[middle] - whole[..., 40:240, 60:280][middle]).max() > 2e-4


@pytest.mark.slow
def test_int8_is_told_the_same_and_is_near(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in sorted(CALIBRATION.glob("*.png"))[:3]:
        (pictures / path.name).write_bytes(path.read_bytes())
    options = ExportOptions(fft="matmul", split=True, int8=pictures)
    paper = exported(ModelConfig.paper(2, **TINY), tmp_path, options)
    assert paper.part("restorer", "int8").is_file()
    lr = example.pixels(96, 80)
    exact, quantised = (
        load_backend(paper.weights, "cpu", kind, "onnx") for kind in ("fp32", "int8")
    )
    blur = exact.estimate(lr)
    assert np.array_equal(blur.gates, quantised.estimate(lr).gates)
    first, second = (
        backend.restore(lr[None], blur).astype(float) for backend in (exact, quantised)
    )
    assert psnr(second, first, peak=float(np.ptp(first))) > 25


def test_windows_that_do_not_fit_into_memory_are_not_started(
    paper: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "free_memory_bytes", lambda: 50_000_000)
    backend = load_backend(paper.part("restorer"), "cpu")
    assert backend.estimate(picture(60, 60)).gates is not None
    with pytest.raises(OutOfMemoryError, match="a piece of 500x400 pixels"):
        backend.estimate(picture(400, 500))


def copied(made: Exported, folder: Path) -> None:
    for path in made.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())


def test_parts_that_are_missing_or_of_another_network(
    paper: Exported, skipping: Exported, tmp_path: Path
) -> None:
    copied(paper, tmp_path)
    restorer = tmp_path / "tiny-restorer.onnx"
    for kind in ("smoothing", "gates"):
        file = tmp_path / f"tiny-{kind}.onnx"
        content = file.read_bytes()
        assert load_backend(file, "cpu").precision == "fp32"  # any part names them all
        file.write_bytes(content[: len(content) // 2])
        with pytest.raises(WeightsError, match=rf"tiny-{kind}\.onnx: not an ONNX file, or cut off"):
            load_backend(restorer, "cpu")
        file.write_bytes(skipping.part("smoothing").read_bytes())
        with pytest.raises(WeightsError, match=f"not the {kind} that goes with tiny-restorer.onnx"):
            load_backend(restorer, "cpu")
        file.write_bytes((tmp_path / "tiny-estimator.onnx").read_bytes())
        with pytest.raises(WeightsError, match=f"by its name the {kind} .* content the estimator"):
            load_backend(file, "cpu")
        file.unlink()
        with pytest.raises(
            WeightsError, match=rf"tiny-{kind}\.onnx: no such .*export-onnx --split"
        ):
            load_backend(tmp_path / "tiny.safetensors", "cpu", "fp32", "onnx")
        file.write_bytes(content)
    assert SplitGraphs.read(restorer).info.kind == "restorer"


def test_the_commands(paper: Exported, tmp_path: Path, capsys: Capture) -> None:
    """Graphs as weights, graphs beside weights, in tiles and whole; without a part of them."""
    copied(paper, tmp_path)
    small, restorer = tmp_path / "small.png", tmp_path / "tiny-restorer.onnx"
    Image.open(example.location()).crop((0, 0, 90, 70)).save(small)
    pictures = []
    for index, (weight_file, engine, tile) in enumerate(
        [("tiny-restorer.onnx", "auto", 64), ("tiny.safetensors", "torch", 64),
         ("tiny.safetensors", "onnx", 0), ("tiny.safetensors", "torch", 0)]
    ):  # fmt: skip
        out = tmp_path / f"{index}.png"
        line = ["upscale", str(small), "-w", str(tmp_path / weight_file), "--tile", str(tile)]
        line += ["--backend", engine, "--precision", "fp32", "-o", str(out)]
        assert run(line) == 0, capsys.readouterr().err
        pictures.append(np.asarray(Image.open(out)).astype(int))
    for one, other in ((0, 1), (2, 3)):
        assert np.abs(pictures[one] - pictures[other]).max() <= 1
    assert run(["kernel", str(small), "-w", str(restorer)]) == 0
    folder = tmp_path / "photos"
    folder.mkdir()
    small.rename(folder / small.name)
    out = tmp_path / "out"
    assert run(["batch", str(folder), "-w", str(restorer), "-o", str(out)]) == 0
    assert np.abs(np.asarray(Image.open(out / "small_x2.png")).astype(int) - pictures[2]).max() <= 1
    capsys.readouterr()
    (tmp_path / "tiny-gates.onnx").unlink()
    photo = folder / small.name
    assert run(["upscale", str(photo), "-w", str(restorer), "-o", str(tmp_path / "no.png")]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "tiny-gates.onnx: no such graph file; tiny-restorer.onnx needs it" in line
    assert not (tmp_path / "no.png").exists()


def test_pytorch_is_not_imported(paper: Exported) -> None:
    code = (
        "import sys, pathlib, numpy as np\n"
        "from dcls_cli.backends.loading import load_backend\n"
        "backend = load_backend(pathlib.Path(sys.argv[1]), 'cpu')\n"
        "lr = np.full((3, 9, 9), 0.5, np.float32)\n"
        "backend.restore(lr[None], backend.estimate(lr))\n"
        "assert 'torch' not in sys.modules\n"
    )
    line = [sys.executable, "-c", code, str(paper.part("restorer"))]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_papers_own_size(tmp_path: Path) -> None:
    """13.6 M random weights, a real photo: within 1e-4, whole and in a tile."""
    torch.manual_seed(0)
    path = tmp_path / "paper.safetensors"
    weights.write(DCLS(ModelConfig.paper(4, cls_epsilon=1e-2)), path)
    options = ExportOptions(fft="matmul", split=True)
    report = export(path, path.with_suffix(".onnx"), options, verify=False)
    assert [graph.kind for graph in report.graphs] == [
        "estimator",
        "smoothing",
        "gates",
        "restorer",
    ]
    lr = example.pixels(80, 96)
    ours, theirs = (load_backend(path, "cpu", "fp32", engine) for engine in ("onnx", "torch"))
    assert isinstance(ours, OnnxBackend)
    for tiled in (True, False):
        blur, expected = (backend.estimate(lr, tiled=tiled) for backend in (ours, theirs))
        assert (blur.gates is None) == (not tiled)
        difference = ours.restore(lr[None], blur) - theirs.restore(lr[None], expected)
        assert np.abs(difference).max() < 1e-4
