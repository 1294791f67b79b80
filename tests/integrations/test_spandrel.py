"""spandrel itself loads our files and the authors', and they give our pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dcls_cli.backends.loading import load_backend
from dcls_cli.config import ModelConfig
from dcls_cli.errors import WeightsError
from dcls_cli.models import official, releases, weights
from dcls_cli.network.dcls import DCLS
from tests.goldens import CARRIED, golden

try:
    import spandrel

    from dcls_cli.integrations.spandrel import ID, install, load_from_file
except (ImportError, RuntimeError) as error:  # a torchvision of another torch raises the latter
    pytest.skip(f"spandrel cannot be imported here: {error}", allow_module_level=True)

PHOTO = Path(__file__).resolve().parents[2] / "examples" / "dog.png"


@pytest.fixture(autouse=True, scope="module")
def installed() -> None:
    install()


def photo(height: int = 48, width: int = 61) -> Tensor:
    """A part of a real photo, (1, 3, H, W)."""
    pixels = np.asarray(Image.open(PHOTO).convert("RGB"), np.float32) / 255
    return torch.from_numpy(pixels[:height, :width].transpose(2, 0, 1).copy())[None]


def ours(path: Path, image: Tensor) -> Tensor:
    """What our own engine makes of it, in fp32 and in one piece."""
    backend = load_backend(path, "cpu", "fp32")
    lr = image.numpy()
    return torch.from_numpy(backend.restore(lr, backend.estimate(lr[0], tiled=False))).clamp(0, 1)


def loaded(path: Path) -> "spandrel.ImageModelDescriptor[DCLS]":
    model = spandrel.ModelLoader(device="cpu").load_from_file(path)
    assert isinstance(model, spandrel.ImageModelDescriptor)
    return model


@pytest.mark.parametrize("item", releases.RELEASES, ids=lambda item: item.name)
def test_released_weights_give_the_same_picture(item: releases.Release) -> None:
    path = releases.location(item)
    if not path.is_file():
        pytest.skip("no released weights in this checkout")
    model, image = loaded(path), photo()
    picture = model(image)
    assert picture.shape == (1, 3, 48 * item.scale, 61 * item.scale)
    assert picture.min() >= 0 and picture.max() <= 1
    torch.testing.assert_close(picture, ours(path, image), atol=1e-5, rtol=0)
    by_metadata = load_from_file(path)(image)
    assert by_metadata.equal(picture)


def test_what_programs_are_told(tmp_path: Path) -> None:
    weights.write(DCLS(ModelConfig.light(3)), tmp_path / "w.safetensors")
    model = loaded(tmp_path / "w.safetensors")
    assert (model.architecture.id, model.purpose, model.scale) == (ID, "SR", 3)
    assert (model.input_channels, model.output_channels) == (3, 3)
    assert model.tags == ["64nf", "2x3", "k21"]
    assert model.tiling == spandrel.ModelTiling.DISCOURAGED
    assert model.size_requirements.none
    for side in (1, 2, 5):
        assert model(torch.rand(1, 3, side, 3)).shape == (1, 3, 3 * side, 9)
    for type_ in (torch.float16, torch.bfloat16):
        with pytest.raises(spandrel.UnsupportedDtypeError):
            model.to(type_)


def test_the_authors_files_give_the_authors_pictures(tmp_path: Path) -> None:
    known = golden(CARRIED)  # made with the sum, while a released x2 network needs the softmax
    torch.save({"params": known.weights}, tmp_path / "theirs.pth")
    model = loaded(tmp_path / "theirs.pth")
    assert (model.scale, model.architecture.id) == (2, ID)
    official.convert(tmp_path / "theirs.pth", tmp_path / "ours.safetensors", overwrite=False)
    for image in known.lr.split(1):
        expected = ours(tmp_path / "ours.safetensors", image)
        torch.testing.assert_close(model(image), expected, atol=1e-5, rtol=0)
    # Another name for the same network gives the authors' own picture.
    model.model.estimator.deep_linear_kernel.norm = "sum"
    torch.testing.assert_close(model(known.lr[:1]), known.sr[:1], atol=1e-5, rtol=0)


def test_networks_that_do_not_show_load_by_their_metadata(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    config = ModelConfig.light(2, groups=1, blocks=1, group_skip="output", cls_epsilon=0.1)
    torch.manual_seed(0)
    weights.write(DCLS(config), path)
    torch.testing.assert_close(
        load_from_file(path)(photo()), ours(path, photo()), atol=1e-5, rtol=0
    )
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(WeightsError, match="does not match"):
        load_from_file(path)


def test_installing_twice_is_no_error_and_no_other_network_is_taken(tmp_path: Path) -> None:
    assert install() is False
    assert ID in spandrel.MAIN_REGISTRY
    architecture = spandrel.MAIN_REGISTRY[ID].architecture
    assert not architecture.detect({"conv_first.weight": torch.zeros(3)})
    # Ours are taken for no other network: the first that detects them loads them.
    state = DCLS(ModelConfig.light(2, groups=1, blocks=1)).state_dict()
    supports = spandrel.MAIN_REGISTRY.architectures("detection")
    assert [support.architecture.id for support in supports if support.detect(state)] == [ID]
