"""Weight files: what is written is read, and what is wrong is refused in one clear line."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dcls_cli.config import ModelConfig
from dcls_cli.errors import DclsError, UsageError, WeightsError
from dcls_cli.models import releases, weights
from dcls_cli.models.releases import RELEASES, Release, location, release, verify
from dcls_cli.network.dcls import DCLS
from tests.posix import resource

CONFIG = ModelConfig.light(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
)


@pytest.fixture(scope="module")
def network() -> DCLS:
    torch.manual_seed(0)
    return DCLS(CONFIG)


@pytest.fixture
def file(network: DCLS, tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    weights.write(network, path, {"note": "trained for a test"})
    return path


def rewrite(path: Path, state: dict[str, torch.Tensor], **changes: str | None) -> None:
    """Write with safetensors itself, without a digest."""
    texts = {"dcls_config": CONFIG.to_json(), **changes}
    save_file(state, path, {key: text for key, text in texts.items() if text is not None})


def test_what_is_written_is_loaded_bit_for_bit(network: DCLS, file: Path) -> None:
    loaded = weights.load(file)
    assert loaded.config == CONFIG
    assert not loaded.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_metadata_are_kept_beside_configuration_and_version(file: Path) -> None:
    config, metadata = weights.read_metadata(file)
    assert config == CONFIG
    assert metadata["note"] == "trained for a test"
    with safe_open(file, "numpy") as opened:
        assert json.loads(opened.metadata()["dcls_config"])["scale"] == 2


def test_half_precision_storage_is_half_the_size_and_loads_as_fp32(
    network: DCLS, file: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half.safetensors"
    weights.write(network, half, storage="fp16")
    assert half.stat().st_size < 0.6 * file.stat().st_size
    loaded = weights.load(half).state_dict()
    for name, tensor in network.state_dict().items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], tensor.half().float()), name


def test_an_existing_file_is_kept_unless_overwritten(network: DCLS, file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(DclsError, match="exists already"):
        weights.write(network, file, overwrite=False)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("storage", ["fp32", "fp16"])
def test_values_that_the_file_cannot_hold_are_not_written(
    storage: weights.Storage, tmp_path: Path
) -> None:
    network = DCLS(CONFIG)
    next(network.parameters()).data.flatten()[0] = 1e6 if storage == "fp16" else float("nan")
    with pytest.raises(WeightsError, match="not finite"):
        weights.write(network, tmp_path / "w.safetensors", storage=storage)
    assert not list(tmp_path.iterdir())


def test_every_flipped_byte_is_found(file: Path) -> None:
    content = file.read_bytes()
    generator = np.random.default_rng(0)
    header = struct.unpack("<Q", content[:8])[0]
    places = [*generator.integers(8, len(content), 25), *generator.integers(8, 8 + header, 25)]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        file.write_bytes(damaged)
        with pytest.raises(WeightsError):
            weights.load(file)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("w.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("w.safetensors", b"<!DOCTYPE html><title>404</title>", "web page"),
        ("w.safetensors", b"", "cut off"),
        ("w.safetensors", b"\x00\x01", "cut off"),
        ("w.safetensors", b"\xff" * 100, "not a safetensors file"),
        ("authors.pth", b"PK\x03\x04....", "dcls weights convert authors.pth"),
        ("w.safetensors", b"PK\x03\x04....", "dcls weights convert"),
    ],
)
def test_other_files_are_named_as_what_they_are(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=said) as raised:
        weights.load(path)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weight file"):
        weights.load(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="not a file"):
        weights.load(tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(share: float, file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match="safetensors"):
        weights.load(file)


def test_weights_without_configuration_are_not_ours(file: Path) -> None:
    rewrite(file, load_file(file), dcls_config=None)
    with pytest.raises(WeightsError, match="not weights of dcls"):
        weights.load(file)


def test_an_impossible_configuration_names_the_file(file: Path) -> None:
    rewrite(file, load_file(file), dcls_config='{"scale": 7}')
    with pytest.raises(WeightsError, match="scale is 7") as raised:
        weights.load(file)
    assert str(raised.value).startswith(f"{file}: ")


def test_values_that_are_not_finite_are_refused(file: Path) -> None:
    state = load_file(file)
    name = sorted(state)[3]
    state[name].flatten()[0] = float("inf")
    rewrite(file, state)
    with pytest.raises(WeightsError, match=name):
        weights.load(file)


def test_another_network_is_told_by_at_most_five_differences(file: Path) -> None:
    state = load_file(file)
    names = sorted(state)
    del state[names[0]]
    state["alien.weight"] = torch.zeros(3)
    rewrite(file, state)
    with pytest.raises(WeightsError, match="another network") as raised:
        weights.load(file)
    assert f"{names[0]} is missing" in str(raised.value)
    assert "alien.weight (3,) is not expected" in str(raised.value)

    wider = ModelConfig.light(
        2, features=32, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1
    )
    rewrite(file, load_file(file), dcls_config=wider.to_json())
    with pytest.raises(WeightsError, match=r"; and \d+ more$") as raised:
        weights.load(file)
    assert str(raised.value).count(", expected (") == 5


def test_a_file_that_claims_to_be_enormous_is_refused_without_taking_memory(file: Path) -> None:
    enormous = ModelConfig.light(2, features=1024, groups=2, blocks=100)  # 20 GB of weights
    rewrite(file, load_file(file), dcls_config=enormous.to_json())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match="another network"):
        weights.load(file)
    taken_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert taken_kib < 500_000


def test_unknown_model_lists_the_known_ones_and_scales_say_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError, match="choose from .*dcls-light-x4"):
        release("dcls-heavy-x9")
    defaults = {scale: release(scale).name for scale in (2, 3, 4)}
    assert defaults == {2: "dcls-light-x2", 3: "dcls-light-x3", 4: "dcls-light-x4"}
    monkeypatch.setattr(releases, "RELEASES", RELEASES[:1])
    with pytest.raises(WeightsError, match=r"no weights for x3 .* x4 \(dcls-light-x4\)"):
        release(3)


def test_a_release_must_be_what_was_released(file: Path) -> None:
    content = file.read_bytes()
    item = Release(
        name="t",
        file=file.name,
        sha256=hashlib.sha256(content).hexdigest(),
        scale=2,
        preset="light",
        trained_on="-",
        licence="-",
        psnr_y_db=0,
        ssim_y=0,
    )
    verify(item, content, file)
    with pytest.raises(WeightsError, match="damaged"):
        verify(item, content[:-1] + b"x", file)


@pytest.mark.parametrize("item", RELEASES, ids=lambda item: item.name)
def test_released_files_are_listed_whole_and_loadable(item: Release) -> None:
    path = location(item)
    if not path.exists():
        pytest.skip(f"{item.file} is not released yet")
    lines = (path.parent / "SHA256SUMS").read_text().splitlines()
    sums = {name.lstrip("*"): digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    assert sums[item.file] == item.sha256
    assert weights.load(path).config.scale == item.scale
