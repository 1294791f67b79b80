"""Weight files: check, read, load and write.

A weight file is a safetensors file whose metadata carry the `ModelConfig` of its network and a
digest of everything else in it, so that damage is found in any file and not in releases alone.
Nothing here imports torch before tensors are asked for. The names live in `releases`; `hub` finds
the file of a name.
"""

import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from safetensors import SafetensorError, deserialize, safe_open

from dcls_cli import __version__
from dcls_cli.config import ModelConfig
from dcls_cli.errors import DclsError, WeightsError
from dcls_cli.files.atomic import atomic_write
from dcls_cli.models.releases import RELEASES, location, verify

if TYPE_CHECKING:
    from torch import Tensor

    from dcls_cli.network.dcls import DCLS

#: Of floating-point types by their names in safetensors: the word that holds one, its exponent.
_EXPONENTS = {
    "F64": ("<u8", 0x7FF0000000000000),
    "F32": ("<u4", 0x7F800000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
}


@dataclass(frozen=True)
class TensorSurvey:
    """What the tensors of a file are.

    Attributes:
        values: numbers in all tensors.
        not_finite: names of the tensors with NaN or infinity.
    """

    values: int
    not_finite: list[str]


def survey_tensors(content: bytes) -> TensorSurvey:
    """Count the values and find those that are not finite.

    Raises:
        SafetensorError: it is not the content of such a file.
    """
    import numpy as np

    values, not_finite = 0, []
    for name, tensor in deserialize(content):  # type: ignore[no-untyped-call]
        values += math.prod(tensor["shape"])
        if tensor["dtype"] in _EXPONENTS:
            word, exponent = _EXPONENTS[tensor["dtype"]]
            # All ones in NaN and infinity. The numbers themselves: NumPy has no bf16.
            bits = np.frombuffer(tensor["data"], word)
            if ((bits & exponent) == exponent).any():
                not_finite.append(name)
    return TensorSurvey(values, not_finite)


def digest_tensors(content: bytes, metadata: Mapping[str, str]) -> str:
    """SHA-256 of every tensor's name, type, shape and bytes and of the metadata.

    Raises:
        SafetensorError: it is not the content of such a file.
    """
    found = hashlib.sha256()
    for key, text in sorted(metadata.items()):
        found.update(f"{key}\0{text}\0".encode())
    for name, tensor in sorted(deserialize(content)):  # type: ignore[no-untyped-call]
        found.update(f"{name}\0{tensor['dtype']}\0{tensor['shape']}\0".encode())
        found.update(tensor["data"])
    return found.hexdigest()


CONFIG_KEY = "dcls_config"
VERSION_KEY = "dcls_version"
DIGEST_KEY = "dcls_sha256"

#: No weights of ours are larger, nor graphs.
LARGEST_BYTES = 2 << 30

#: How many differing tensors an error message lists.
LISTED = 5

Storage = Literal["fp32", "fp16"]


def read_metadata(path: Path) -> tuple[ModelConfig, dict[str, str]]:
    """Configuration and all metadata of a weight file; tensors are not read or verified.

    Raises:
        WeightsError: missing, not a weight file, or without a configuration.
    """
    _refuse_other_files(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    if CONFIG_KEY not in metadata:
        raise WeightsError(
            f"{path}: not weights of dcls: the metadata have no {CONFIG_KEY}; "
            "convert the authors' .pth with `dcls weights convert`"
        )
    try:
        return ModelConfig.from_json(metadata[CONFIG_KEY]), metadata
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def check(path: Path) -> tuple[ModelConfig, dict[str, str]]:
    """Configuration and all metadata of a weight file, after comparing all of it with its digest.

    Files that others wrote have no digest of ours; of those only the form is checked.

    Raises:
        WeightsError: missing, not a weight file, or damaged.
    """
    _, config, metadata = _checked(path)
    return config, metadata


def examine(path: Path) -> tuple[ModelConfig, dict[str, str], int]:
    """Configuration, metadata and number of values of a file, after checking all of it.

    As `read`, but without PyTorch.

    Raises:
        WeightsError: missing, not a weight file, damaged, or with values that are not finite.
    """
    content, config, metadata = _checked(path)
    found = survey_tensors(content)
    if found.not_finite:
        raise _not_finite(path, found.not_finite[0])
    return config, metadata, found.values


def read(path: Path) -> tuple[ModelConfig, "dict[str, Tensor]"]:
    """Configuration and verified tensors, fp32, of a weight file.

    Raises:
        WeightsError: missing, not a weight file, damaged, or with values that are not finite.
    """
    import torch
    from safetensors.torch import load as parse

    content, config, _ = _checked(path)
    state: dict[str, Tensor] = {}
    for name, tensor in parse(content).items():
        if not torch.isfinite(tensor).all():
            raise _not_finite(path, name)
        # A copy, as safetensors' own tensors lie anywhere in the content.
        kind = torch.float32 if tensor.is_floating_point() else tensor.dtype
        state[name] = tensor.to(kind, copy=True)
    return config, state


def _checked(path: Path) -> tuple[bytes, ModelConfig, dict[str, str]]:
    """Content, configuration and metadata of a file that was found to be whole."""
    _refuse_other_files(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    for item in RELEASES:
        if path.resolve() == location(item).resolve():
            verify(item, content, path)
    config, metadata = read_metadata(path)
    signed = {key: text for key, text in metadata.items() if key != DIGEST_KEY}
    try:
        own = digest_tensors(content, signed)
    except SafetensorError as error:
        raise _unreadable(path, error) from error
    ours = VERSION_KEY in metadata or DIGEST_KEY in metadata
    if ours and metadata.get(DIGEST_KEY) != own:
        raise WeightsError(f"{path}: damaged: its content does not match its own SHA-256")
    return content, config, metadata


def load(path: Path) -> "DCLS":
    """The network of a weight file, fp32, on the CPU, in evaluation mode.

    Raises:
        WeightsError: as `read`, or the tensors are those of another network.
    """
    from dcls_cli.network.dcls import DCLS, shapes_only

    config, state = read(path)
    # Compare before memory is taken: a file may claim to be a network of any size.
    with shapes_only():
        network = DCLS(config)
    differences = compare(network.state_dict(), state)
    if differences:
        more = len(differences) - LISTED
        tail = f"; and {more} more" if more > 0 else ""
        raise WeightsError(
            f"{path}: weights of another network: {'; '.join(differences[:LISTED])}{tail}"
        )
    network.load_state_dict(state, assign=True)
    return network.eval()


def compare(expected: "Mapping[str, Tensor]", got: "Mapping[str, Tensor]") -> list[str]:
    """Say for each tensor that differs in presence or shape what was expected and what was got."""
    differences = []
    for name in [*expected, *(name for name in got if name not in expected)]:
        if name not in got:
            differences.append(f"{name} is missing, expected {tuple(expected[name].shape)}")
        elif name not in expected:
            differences.append(f"{name} {tuple(got[name].shape)} is not expected")
        elif expected[name].shape != got[name].shape:
            shapes = f"{tuple(got[name].shape)}, expected {tuple(expected[name].shape)}"
            differences.append(f"{name} is {shapes}")
    return differences


def write(
    network: "DCLS",
    path: Path,
    metadata: Mapping[str, str] | None = None,
    *,
    storage: Storage = "fp32",
    overwrite: bool = True,
) -> None:
    """Write a network's weights atomically, with its configuration and a digest.

    Args:
        network: its `state_dict` is written.
        path: the file, replaced whole or not at all.
        metadata: more entries to keep, free text.
        storage: type of the floating-point values on disk.
        overwrite: whether an existing file may be replaced.

    Raises:
        WeightsError: a value is not finite in the storage type.
        DclsError: the file exists already or cannot be written.
    """
    import torch
    from safetensors.torch import save

    dtype = torch.float16 if storage == "fp16" else torch.float32
    state = {}
    for name, tensor in network.state_dict().items():
        kept = tensor.detach().cpu().contiguous()
        kept = kept.to(dtype) if kept.is_floating_point() else kept
        if not torch.isfinite(kept).all():
            raise WeightsError(f"{path}: not written: {name} is not finite in {storage}")
        state[name] = kept
    texts = {
        **(metadata or {}),
        CONFIG_KEY: network.config.to_json(),
        VERSION_KEY: __version__,
    }
    texts[DIGEST_KEY] = digest_tensors(save(state), texts)
    content = save(state, texts)

    def writer(file: BinaryIO) -> None:
        file.write(content)

    try:
        atomic_write(path, writer, overwrite=overwrite)
    except OSError as error:
        raise DclsError(f"{path}: not written: {error.strerror}") from error


def refuse_huge(path: Path) -> None:
    """Refuse a file that is too large to be a network of ours, before it is read whole.

    Raises:
        WeightsError: see above.
    """
    if path.stat().st_size > LARGEST_BYTES:
        raise WeightsError(f"{path}: larger than 2 GiB: not weights of dcls")


def _refuse_other_files(path: Path) -> None:
    """Say what a file is that people mistake for a weight file."""
    if not path.exists():
        raise WeightsError(f"{path}: no such weight file")
    if not path.is_file():
        raise WeightsError(f"{path}: a weight file is expected, this is not a file")
    refuse_huge(path)
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise _unreadable(path, error) from error
    if path.suffix in (".pth", ".pt") or head.startswith((b"PK\x03\x04", b"\x80\x02")):
        raise WeightsError(
            f"{path}: a PyTorch file, not safetensors; convert the authors' weights with "
            f"`dcls weights convert {path.name} -o {path.stem}.safetensors`"
        )
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path}: a Git LFS pointer, not the weights; run `git lfs pull`")
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise WeightsError(f"{path}: a web page, not the weights; download the file again")
    too_short = len(head) < struct.calcsize("<Q")
    if too_short or struct.unpack("<Q", head[:8])[0] > path.stat().st_size:
        raise WeightsError(f"{path}: not a safetensors file, or cut off; get the file again")


def _not_finite(path: Path, name: str) -> WeightsError:
    return WeightsError(f"{path}: tensor {name} has values that are not finite")


def _unreadable(path: Path, error: Exception) -> WeightsError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return WeightsError(f"{path}: cannot be read as safetensors: {reason}")
