"""The nodes for ComfyUI, loaded and called as its `nodes.load_custom_node` and executor do."""

import importlib.util
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dcls_cli import DclsError, Upscaler
from dcls_cli.errors import KernelError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "export" / "comfyui"
PHOTO = ROOT / "examples" / "dog.png"

Nodes = dict[str, Any]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A module named after its folder, which is registered before it runs, below a link."""
    link = tmp_path_factory.mktemp("custom_nodes") / "dcls"
    try:
        link.symlink_to(FOLDER, target_is_directory=True)
    except OSError as error:  # Windows without the right to make links
        pytest.skip(f"no links here: {error}")
    name = str(link).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, link / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module.NODE_CLASS_MAPPINGS
    for loaded in (name, f"{name}.nodes"):
        sys.modules.pop(loaded, None)


def call(nodes: Nodes, name: str, **inputs: object) -> tuple[Any, ...]:
    """Run a node with its defaults, as a workflow does: by the names of `INPUT_TYPES`."""
    node = nodes[name]
    declared = node.INPUT_TYPES()
    known = declared["required"] | declared.get("optional", {})
    assert set(inputs) <= set(known)
    for key, (kind, *options) in declared["required"].items():
        default = kind[0] if isinstance(kind, list) else (options or [{}])[0].get("default")
        inputs.setdefault(key, default)
    results = getattr(node(), node.FUNCTION)(**inputs)
    assert len(results) == len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
    return tuple(results)


def photo(side: int = 48) -> np.ndarray:
    """A part of a real photo, (H, W, 3) in [0, 1]."""
    return np.asarray(Image.open(PHOTO).convert("RGB"), np.float32)[:side, : side + 8] / 255


def test_every_node_declares_what_comfyui_asks_for(nodes: Nodes) -> None:
    assert set(nodes) == {"DclsLoadNetwork", "DclsLoadKernel", "DclsUpscale"}
    for node in nodes.values():
        assert isinstance(node.CATEGORY, str)
        assert callable(getattr(node, node.FUNCTION))
        for group in node.INPUT_TYPES().values():
            assert all(isinstance(entry, tuple) for entry in group.values())
    declared = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert set(declared["tool"]["comfy"]) >= {"PublisherId", "DisplayName"}


def test_a_batch_is_enlarged_as_upscaler_does(nodes: Nodes) -> None:
    (network,) = call(nodes, "DclsLoadNetwork", model="dcls-light-x2", scale=2.0, device="cpu")
    pictures = [photo(), photo()[::-1].copy()]
    batch = torch.from_numpy(np.stack(pictures))
    images, kernels, report = call(nodes, "DclsUpscale", network=network, image=batch)
    assert images.shape == (2, 96, 112, 3)
    assert images.dtype == torch.float32
    assert 0 <= images.min() <= images.max() <= 1
    assert kernels.shape == (2, 21, 21, 3)
    assert kernels.amax((1, 2, 3)).tolist() == [1, 1]
    assert len(report.splitlines()) == 2
    upscaler = Upscaler.from_pretrained("dcls-light-x2", scale=2, device="cpu")
    for image, picture in zip(images, pictures, strict=True):
        assert np.array_equal(image.numpy(), upscaler.up(picture).image)


def test_a_kernel_and_the_fidelity_are_passed_on(nodes: Nodes, tmp_path: Path) -> None:
    (network,) = call(nodes, "DclsLoadNetwork", model="dcls-light-x2", scale=2.0, device="cpu")
    taps = np.zeros((21, 21))
    taps[9:12, 9:12] = 1 / 9
    np.save(tmp_path / "psf.npy", taps)
    (kernel,) = call(nodes, "DclsLoadKernel", path=str(tmp_path / "psf.npy"), space="hr")
    batch = torch.from_numpy(photo())[None]
    images, kernels, _ = call(
        nodes, "DclsUpscale", network=network, image=batch, kernel=kernel, fidelity=0.5
    )
    assert torch.allclose(kernels[0, ..., 0], torch.from_numpy(9 * taps).float(), atol=1e-6)
    upscaler = Upscaler.from_pretrained("dcls-light-x2", scale=2, device="cpu")
    expected = upscaler.up(photo(), kernel=taps, fidelity=0.5).image
    assert np.array_equal(images[0].numpy(), expected)


def test_transparency_stays(nodes: Nodes) -> None:
    (network,) = call(nodes, "DclsLoadNetwork", model="dcls-light-x2", scale=2.0, device="cpu")
    alpha = np.ones((48, 56, 1), np.float32)
    batch = torch.from_numpy(np.concatenate([photo(), alpha], axis=2))[None]
    images, _, _ = call(nodes, "DclsUpscale", network=network, image=batch)
    assert images.shape == (1, 96, 112, 4)
    assert images[..., 3].min() > 0.99


def test_mistakes_are_ours_to_explain(nodes: Nodes, tmp_path: Path) -> None:
    with pytest.raises(DclsError, match="x2"):
        call(nodes, "DclsLoadNetwork", model="dcls-light-x2", scale=4.0, device="cpu")
    with pytest.raises(KernelError):
        call(nodes, "DclsLoadKernel", path=str(tmp_path / "none.npy"))
