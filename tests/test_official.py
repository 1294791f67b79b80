"""The authors' weights: they load, give their pictures, and what is not theirs is refused."""

import gzip
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dcls_cli import official, weights
from dcls_cli.cli.app import run
from dcls_cli.config import ModelConfig
from dcls_cli.errors import DclsError, UsageError, WeightsError
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.fourier import transfer_function
from tests.goldens import CARRIED, DATA, NAMES, Golden, golden

RELEASED = json.loads(gzip.decompress((DATA / "state_dict_shapes.json.gz").read_bytes()))

#: Where the authors' quotient divides by less than this, its fp32 rounding shows in the picture.
WELL_CONDITIONED = 1e-4


@pytest.fixture(scope="module")
def tiny() -> Golden:
    return golden(CARRIED)


@pytest.fixture
def pth(tiny: Golden, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.pth"
    torch.save(tiny.weights, path)
    return path


def meta(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


# ---------- the authors' networks ----------


@pytest.mark.parametrize("name", RELEASED)
def test_released_shapes_load_strictly_into_the_paper_preset(name: str) -> None:
    released = RELEASED[name]
    state = meta(released["shapes"])
    config = official.recognise(state)
    preset = ModelConfig.paper(
        released["scale"],
        kernel_size=released["kernel_size"],
        kernel_norm="softmax" if name == "x2_anisotropic" else "sum",
    )
    assert config == preset
    with torch.device("meta"):
        network = DCLS(preset)
    assert sum(p.numel() for p in network.parameters()) == released["parameters"]
    names = official.names.official_names(config)
    assert sorted(names.values()) == sorted(state)
    own = network.state_dict()
    renamed = {ours: state[theirs].reshape(own[ours].shape) for ours, theirs in names.items()}
    network.load_state_dict(renamed, strict=True, assign=True)


@pytest.mark.parametrize("name", NAMES)
def test_tiny_networks_give_the_authors_kernel_and_picture(name: str) -> None:
    known = golden(name)
    # The published code divides by the sum for every kernel size; the softmax is a comment in it.
    config = replace(official.recognise(known.weights), kernel_norm="sum")
    network = DCLS(config).eval()
    network.load_state_dict(official.rename(known.weights), strict=True)
    denominators: list[Tensor] = []
    network.restorer.deconvolution.register_forward_hook(
        lambda _module, inputs, _output: denominators.append(smallest_denominator(*inputs))
    )
    with torch.no_grad():
        sr, kernel = network(known.lr)[:2]
    torch.testing.assert_close(kernel, known.kernel, atol=1e-5, rtol=0)
    difference = (sr.clamp(0, 1) - known.sr).abs().flatten(1).max(1).values
    # One of the six pictures, in tiny_x4_k21, divides by 3e-6 at one frequency. There the authors'
    # own arithmetic differs by 1e-4 from itself with another number of threads.
    tolerance = torch.where(denominators[0] > WELL_CONDITIONED, 1e-5, 2e-4)
    assert (difference < tolerance).all(), difference
    assert (denominators[0] > WELL_CONDITIONED).sum() >= (1 if name == "tiny_x4_k21" else 2)


def smallest_denominator(reduced: Tensor, kernel: Tensor, smoothing: Tensor) -> Tensor:
    """Of the quotient of Eq. 14, for each image: (B,)."""
    grid = [side + 2 * kernel.shape[-1] for side in reduced.shape[-2:]]
    energies = transfer_function(kernel, *grid).abs() ** 2
    return (energies + transfer_function(smoothing, *grid).abs() ** 2).flatten(1).min(1).values


@pytest.mark.parametrize("name", NAMES)
def test_scale_size_width_and_depth_show_in_the_tensors(name: str) -> None:
    config = official.recognise(golden(name).weights)
    assert (config.scale, config.kernel_size) == (int(name[6]), int(name[-2:]))
    assert (config.features, config.reduction, config.latent) == (16, 4, 16)
    assert (config.groups, config.blocks) == (2, 2)
    assert config.kernel_norm == ("softmax" if config.kernel_size == 11 else "sum")


def test_renaming_keeps_every_value(tiny: Golden) -> None:
    renamed = official.rename(tiny.weights)
    names = official.names.official_names(official.recognise(tiny.weights))
    assert len(renamed) == len(tiny.weights)
    for ours, tensor in renamed.items():
        assert torch.equal(tensor.flatten(), tiny.weights[names[ours]].flatten()), ours


# ---------- files ----------


def save_new(state: Any, path: Path) -> None:  # noqa: ANN401
    torch.save(state, path)


def save_old(state: Any, path: Path) -> None:  # noqa: ANN401
    torch.save(state, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    ("file_name", "save", "wrap"),
    [
        ("w.pth", save_new, lambda state: state),
        ("w.pth", save_old, lambda state: state),
        ("w.pth", save_new, lambda state: {"params": state}),
        ("w.pth", save_new, lambda state: {"epoch": 3, "state_dict": state}),
        ("w.pth", save_new, lambda state: {f"module.{k}": t for k, t in state.items()}),
        ("w.pth", save_new, lambda state: {k: torch.nn.Parameter(t) for k, t in state.items()}),
        ("w.safetensors", save_file, lambda state: state),
        ("w.pth", save_file, lambda state: state),
    ],
)
def test_every_way_of_saving_is_read(
    file_name: str,
    save: Callable[[Any, Path], None],
    wrap: Callable[[dict[str, Tensor]], Any],
    tiny: Golden,
    tmp_path: Path,
) -> None:
    path, output = tmp_path / file_name, tmp_path / "ours.safetensors"
    save(wrap(tiny.weights), path)
    official.convert(path, output, overwrite=False)
    renamed = official.rename(tiny.weights)
    for name, tensor in weights.load(output).state_dict().items():
        assert torch.equal(tensor, renamed[name]), name


def test_the_command_converts_a_pth_that_gives_the_same_picture(
    tiny: Golden, pth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "ours.safetensors"
    arguments = ["weights", "convert", str(pth), "-o", str(output), "--kernel-norm", "sum"]
    assert run(arguments) == 0, capsys.readouterr().err
    network = weights.load(output)
    with torch.no_grad():
        sr, kernel = network(tiny.lr)[:2]
    torch.testing.assert_close(kernel, tiny.kernel, atol=1e-5, rtol=0)
    torch.testing.assert_close(sr.clamp(0, 1), tiny.sr, atol=1e-5, rtol=0)
    _, metadata = weights.read_metadata(output)
    assert metadata["source_sha256"] == hashlib.sha256(pth.read_bytes()).hexdigest()
    assert metadata["source_file"] == "tiny.pth"
    assert "Luo" in metadata["authors"]


@pytest.mark.parametrize(("asked", "got"), [(None, "softmax"), ("sum", "sum")])
def test_the_norm_of_eleven_taps_is_softmax_unless_told_otherwise(
    asked: Any,  # noqa: ANN401
    got: str,
    pth: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "ours.safetensors"
    official.convert(pth, output, overwrite=False, kernel_norm=asked)
    assert weights.load(output).config.kernel_norm == got


def test_outputs_are_not_lost(pth: Path, tmp_path: Path) -> None:
    output = tmp_path / "ours.safetensors"
    output.write_bytes(b"mine")
    with pytest.raises(DclsError, match="exists already"):
        official.convert(pth, output, overwrite=False)
    assert output.read_bytes() == b"mine"
    official.convert(pth, output, overwrite=True)
    assert weights.load(output).config.scale == 2
    before = pth.read_bytes()
    with pytest.raises(UsageError, match="another file"):
        official.convert(pth, pth, overwrite=True)
    assert pth.read_bytes() == before


# ---------- what is not theirs ----------


def refused(path: Path, match: str) -> str:
    """The one line that `convert` says; it writes nothing and repeats no dangerous advice."""
    output = path.with_name("out.safetensors")
    before = set(path.parent.iterdir())
    with pytest.raises(WeightsError, match=match) as raised:
        official.convert(path, output, overwrite=False)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "weights_only" not in message
    assert set(path.parent.iterdir()) == before
    return message


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:  # noqa: D105
        return Path.mkdir, (self.marker,)


@pytest.mark.parametrize("save", [save_new, save_old])
@pytest.mark.parametrize("hidden", [True, False])
def test_a_payload_does_not_run(
    save: Callable[[Any, Path], None], hidden: bool, tiny: Golden, tmp_path: Path
) -> None:
    payload = Payload(tmp_path / "ran")
    path = tmp_path / "evil.pth"
    save({**tiny.weights, "extra": payload} if hidden else payload, path)
    torch_runs_it = torch.load(path, weights_only=False)  # it is a real one
    assert torch_runs_it is not None or (tmp_path / "ran").exists()
    (tmp_path / "ran").rmdir()
    assert "holds Python code" in refused(path, "refused")
    assert not (tmp_path / "ran").exists()


def test_a_bare_pickle_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    refused(path, "refused|damaged")
    assert not (tmp_path / "ran").exists()


def test_missing_tensors_and_wrong_shapes_are_listed_five_at_most(
    tiny: Golden, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    state = dict(tiny.weights)
    del state["Restorer.fusion.bias"]
    state["Restorer.head1.bias"] = torch.zeros(9)
    state["Discriminator.weight"] = torch.zeros(2, 3)
    torch.save(state, path)
    message = refused(path, "x2 network of kernel size 11")
    assert "Restorer.fusion.bias is missing, expected (16,)" in message
    assert "Restorer.head1.bias is (9,), expected (4,)" in message
    assert "Discriminator.weight (2, 3) is not expected" in message
    assert "more" not in message

    torch.save({k: t for k, t in state.items() if "grad_filter" not in k}, path)
    message = refused(path, r"; and \d+ more$")
    assert message.count(", expected (") + message.count("is not expected") == 5


@pytest.mark.parametrize(
    "name",
    [
        "Restorer.conv_first.weight",
        "Restorer.head1.weight",
        "Restorer.upscale.0.weight",
        "Restorer.body.1.body.1.body1.0.weight",
        "Estimator.head.0.weight",
        "Estimator.dec.0.weight",
        "Estimator.dec.1.bias",
        "Estimator.tail.4.weight",
    ],
)
def test_each_missing_tensor_is_named(name: str, tiny: Golden, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({key: tensor for key, tensor in tiny.weights.items() if key != name}, path)
    assert name in refused(path, "missing")


@pytest.mark.parametrize(
    ("prefix", "said"),
    [("Estimator.dec", "decoders"), ("Restorer.body", "groups"), ("Restorer", "conv_first")],
)
def test_missing_parts_are_named(prefix: str, said: str, tiny: Golden, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({k: t for k, t in tiny.weights.items() if not k.startswith(prefix)}, path)
    refused(path, said)


@pytest.mark.parametrize("shape", [(), (5,), (0, 3, 3, 3), (16, 3, 5, 5), (17, 3, 3, 3)])
@pytest.mark.parametrize(
    "name", ["Restorer.conv_first.weight", "Restorer.head1.weight", "Estimator.dec.0.weight"]
)
def test_any_shape_gives_our_error(
    name: str, shape: tuple[int, ...], tiny: Golden, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    torch.save({**tiny.weights, name: torch.zeros(shape)}, path)
    refused(path, ".")


def shared_values() -> Tensor:
    return torch.zeros(1).expand(16)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.full((16,), float("nan")), "not finite"),
        (torch.full((16,), float("inf")), "not finite"),
        (torch.zeros(16, dtype=torch.int64), "floating-point"),
        (torch.zeros(16, dtype=torch.complex64), "floating-point"),
        (torch.zeros(16).to_sparse(), "dense"),
        (torch.zeros(16, device="meta"), "dense"),
        (shared_values(), "not all stored"),
        (torch.zeros(32)[::2], "not all stored"),
        ([0.0] * 16, "a tensor is expected, got list"),
        ("bias", "a tensor is expected, got str"),
        (None, "a tensor is expected, got NoneType"),
    ],
)
def test_odd_values_are_refused_before_they_are_used(
    value: object, said: str, tiny: Golden, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    torch.save({**tiny.weights, "Restorer.fusion.bias": value}, path)
    assert "Restorer.fusion.bias" in refused(path, said)


def test_a_tensor_that_claims_more_than_its_file_holds_is_refused(
    tiny: Golden, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    huge = torch.zeros(1).expand(1 << 40)
    torch.save({**tiny.weights, "Restorer.fusion.bias": huge}, path)
    assert path.stat().st_size < 1 << 20
    refused(path, "not all stored")


@pytest.mark.parametrize("content", [{1: torch.zeros(2)}, [torch.zeros(2)], torch.zeros(2), {}])
def test_other_contents_are_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(content, path)
    refused(path, "expected|missing")


@pytest.mark.parametrize("save", [save_new, save_old, save_file])
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.99, 0.9999])
def test_a_truncated_file_is_refused(
    save: Callable[[Any, Path], None], share: float, tiny: Golden, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    save(tiny.weights, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "damaged|cut off|safetensors")


def test_a_flipped_byte_is_found_or_changes_nothing(tiny: Golden, pth: Path) -> None:
    """Only what no checksum covers, such as padding, may be flipped unnoticed."""
    content = pth.read_bytes()
    renamed = official.rename(tiny.weights)
    generator = np.random.default_rng(0)
    found = 0
    for place in generator.integers(0, len(content), 60):
        damaged = bytearray(content)
        damaged[place] ^= 1 << generator.integers(8)
        pth.write_bytes(damaged)
        output = pth.with_suffix(".safetensors")
        try:
            official.convert(pth, output, overwrite=True)
        except WeightsError as error:
            assert "\n" not in str(error)
            found += 1
        else:
            state = weights.load(output).state_dict()
            assert all(torch.equal(state[name], renamed[name]) for name in renamed)
    assert found > 50


def test_a_flipped_byte_of_a_tensor_is_told_as_damage(tiny: Golden, pth: Path) -> None:
    content = bytearray(pth.read_bytes())
    place = content.index(tiny.weights["Restorer.fusion.weight"].numpy().tobytes())
    content[place] ^= 1
    pth.write_bytes(content)
    assert torch.load(pth, weights_only=True)  # torch does not notice
    refused(pth, "checksum")


def test_a_packed_archive_is_not_unpacked(pth: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * (1 << 24))
    pth.write_bytes(packed.getvalue())
    refused(pth, "compressed")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"<!DOCTYPE html><html>404</html>",
        b"version https://git-lfs",
        b"PK\3\4",
        b"no",
    ],
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    refused(path, "damaged")


def test_a_missing_file_a_folder_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.pth", "no such file")
    (tmp_path / "folder.pth").mkdir()
    refused(tmp_path / "folder.pth", "not a file")
    with (tmp_path / "huge.pth").open("wb") as file:
        file.truncate(official.reading.LARGEST_FILE_BYTES + 1)
    refused(tmp_path / "huge.pth", "larger than 1024 MiB")


def test_our_own_weights_are_not_the_authors(tmp_path: Path) -> None:
    path = tmp_path / "ours.safetensors"
    config = ModelConfig.light(2, features=16, groups=1, blocks=1, latent=8)
    weights.write(DCLS(config), path)
    refused(path, "not the authors' weights")


def test_more_blocks_than_tensors_are_refused_at_once(tiny: Golden) -> None:
    scattered = {f"Restorer.body.{i}.body.{i}.x": torch.zeros(1) for i in range(2000)}
    with pytest.raises(WeightsError, match="2000 groups of 2000 blocks"):
        official.recognise({**tiny.weights, **scattered})
