"""Graphs in fp16 that cannot hold a network: the engine goes back to fp32, or says so."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dcls_cli import example, graphs
from dcls_cli.backends.loading import load_backend
from dcls_cli.errors import DclsError
from dcls_cli.export import ExportOptions, export, parity
from dcls_cli.export.modules import FusedGraph
from dcls_cli.models import weights
from dcls_cli.models.releases import location, release
from dcls_cli.network.dcls import DCLS
from tests.export.conftest import CONFIG


def test_halves_in_fp16_are_compared_with_the_blur_that_they_share() -> None:
    """Two pictures of different blurs in one batch: both are restored with that of the first."""
    network = weights.load(location(release("dcls-light-x4")))
    options = ExportOptions(fft="matmul", split=True, half=True)
    photo, noise = example.pixels(24, 30), np.random.default_rng(0).random((3, 24, 30), np.float32)
    batch = torch.from_numpy(np.stack((photo, noise)))
    blur = parity._blur(network, batch, options)
    graph = FusedGraph(network, "matmul", half=True).eval()
    with torch.inference_mode():
        rounded = parity._rounded(graph, batch, blur, options)
        exact = network.restore(batch, blur).numpy()
    assert 0 < np.abs(rounded - exact).max() < 0.02


@pytest.mark.slow
def test_a_tile_that_overflows_in_fp16_is_restored_in_fp32_or_an_error(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = DCLS(CONFIG)
    with torch.no_grad():
        network.restorer.conv_first.weight.mul_(1e6)  # beyond the 65504 of fp16
    path, output = tmp_path / "big.safetensors", tmp_path / "big.onnx"
    weights.write(network, path)
    for half in (False, True):
        options = ExportOptions(fft="matmul", split=True, half=half)
        export(path, output, options, verify=False, overwrite=True)
    restorer, half = (graphs.main_part_paths(output, kind)[1] for kind in ("fp32", "fp16"))
    assert half.name == "big-restorer-fp16.onnx"
    lr = example.pixels(24, 20)
    exact = load_backend(restorer, "cpu")
    blur = exact.estimate(lr)
    expected = exact.restore(lr[None], blur)
    assert np.isfinite(expected).all()
    for backend in (load_backend(half, "cpu"), load_backend(path, "cpu", "fp16", "onnx")):
        assert backend.precision == "fp16"
        assert np.array_equal(backend.restore(lr[None], blur), expected)
    restorer.unlink()
    with pytest.raises(DclsError, match="non-finite values in fp16, and there is no graph in fp32"):
        load_backend(half, "cpu").restore(lr[None], blur)
