"""Tensors from a file that somebody else made: nothing in it is run, nothing is believed."""

import io
import re
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from torch import Tensor, nn

from dcls_cli.errors import WeightsError

#: More than ten times the largest of the authors' files; anything larger is none of them.
LARGEST_FILE_BYTES = 1 << 30

#: Keys under which training programs put a network's tensors, the averaged ones first.
_WRAPPERS = ("params_ema", "params", "state_dict", "model", "net")

#: What training on several GPUs puts before every name.
_PARALLEL_PREFIX = "module."


def read_bytes(path: Path) -> bytes:
    """The whole file: what is hashed is what is read.

    Raises:
        WeightsError: missing, no file, too large, or unreadable; the message does not name it.
    """
    if not path.exists():
        raise WeightsError("no such file")
    if not path.is_file():
        raise WeightsError("a weight file is expected, this is not a file")
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise WeightsError(f"larger than {LARGEST_FILE_BYTES >> 20} MiB: not the authors' weights")
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot be read: {error.strerror}") from error


def read_tensors(content: bytes) -> dict[str, Tensor]:
    """Tensors of a `.pth` or a safetensors file; the content says which it is, not the name.

    A wrapper around the dictionary and the prefix of parallel training are taken off.

    Returns:
        Tensors by name: on the CPU, dense, floating-point, not empty, contiguous.

    Raises:
        WeightsError: damaged, or anything in it is not such a tensor.
    """
    stored = _read_safetensors(content) if content[8:9] == b"{" else _read_pickle(content)
    for wrapper in _WRAPPERS:
        inner = stored.get(wrapper)
        if isinstance(inner, dict):
            stored = inner
            break
    tensors = (_plain_tensor(name, value) for name, value in stored.items())
    return {name.removeprefix(_PARALLEL_PREFIX): tensor for name, tensor in tensors}


def _read_safetensors(content: bytes) -> dict[str, object]:
    try:
        return dict(parse_safetensors(content))
    except SafetensorError as error:
        raise WeightsError(f"cannot be read as safetensors: {error}; get the file again") from error


def _read_pickle(content: bytes) -> dict[str, object]:
    """The dictionary in a `.pth`; nothing in it is run, whoever made the file."""
    _check_archive(content)
    try:
        with warnings.catch_warnings(action="ignore"):  # on the pickle's age, for developers
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything at all on damaged files
        # Its message advises to load the file with execution of code allowed; never repeat that.
        code = re.search(r"GLOBAL ([\w.]{1,60})", str(error))
        if code:
            raise WeightsError(
                f"refused: it holds Python code ({code[1]}) where only tensors are expected"
            ) from error
        raise WeightsError(
            f"damaged, cut off or no PyTorch file of tensors ({type(error).__name__}); "
            "get the file again"
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(f"a dictionary of tensors is expected, got {type(state).__name__}")
    return state


def _check_archive(content: bytes) -> None:
    """Compare the checksums of a zip archive, which torch does not look at."""
    if not content.startswith(b"PK"):
        return  # PyTorch's format until 1.5 has none
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # PyTorch never compresses, so the content of an honest file is no larger than it.
            packed = any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist())
            damaged = None if packed else archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OSError) as error:
        raise WeightsError(f"damaged or cut off ({error}); get the file again") from error
    if packed:
        raise WeightsError("no PyTorch file: a compressed archive")
    if damaged is not None:
        raise WeightsError(f"damaged: the checksum of {damaged} does not match; get the file again")


def _plain_tensor(name: object, value: object) -> tuple[str, Tensor]:
    """Refuse everything else before anything is computed with it."""
    if not isinstance(name, str):
        raise WeightsError(f"a tensor's name is expected, got {type(name).__name__}")
    if not isinstance(value, Tensor) or type(value) not in (Tensor, nn.Parameter):
        raise WeightsError(f"{name}: a tensor is expected, got {type(value).__name__}")
    dense = value.layout is torch.strided and value.device.type == "cpu" and not value.is_nested
    if not dense or not value.is_floating_point():
        raise WeightsError(
            f"{name}: dense floating-point values are expected, got {value.dtype}, {value.layout}"
        )
    # A tensor may claim a shape that its few bytes do not fill, or use them many times over.
    enough = value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    if value.numel() == 0 or not enough or not value.is_contiguous():
        raise WeightsError(f"{name}: {tuple(value.shape)} values are not all stored in the file")
    return name, value.detach()
