"""Files that are not what they say: payloads, odd values, damage. Nothing runs, nothing is used."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dcls_cli.errors import WeightsError
from dcls_cli.models import official, weights
from tests.goldens import Golden
from tests.official.files import refused, save_new, save_old


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
        file.truncate(official.LARGEST_FILE_BYTES + 1)
    refused(tmp_path / "huge.pth", "larger than 1024 MiB")
