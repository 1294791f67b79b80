"""The authors' weights (github.com/megvii-research/DCLS-SR) as weight files of dcls.

The only file that knows how the authors name things. Their files hold no hyper-parameters. Shapes
tell all of them but one: their anisotropic x2 network (kernel size 11) was trained with a softmax
over the kernel, which shows in no tensor. So `recognise` says `softmax` for kernel size 11
and `sum` for all others; `convert` lets the user say otherwise. Nothing in their files is run,
nothing is believed.
"""

import hashlib
import io
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from torch import Tensor, nn

from dcls_cli.config import FILTER_LADDERS, KernelNorm, ModelConfig, Scale
from dcls_cli.errors import DclsError, UsageError, WeightsError
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS

PROVENANCE: Mapping[str, str] = {
    "authors": "Ziwei Luo, Haibin Huang, Lei Yu, Youwei Li, Haoqiang Fan, Shuaicheng Liu",
    "paper": "Deep Constrained Least Squares for Blind Image Super-Resolution, CVPR 2022",
    "source": "github.com/megvii-research/DCLS-SR, MIT licence, (c) 2022 Megvii Inc.",
}


def convert(
    path_in: Path, path_out: Path, *, overwrite: bool, kernel_norm: KernelNorm | None = None
) -> None:
    """Write the authors' weights, `.pth` or safetensors, as a weight file of dcls.

    Raises:
        UsageError: input and output are the same file.
        WeightsError: the input is missing, damaged, or holds anything but the authors' tensors.
        DclsError: the output exists or cannot be written.
    """
    if path_out.exists():
        if path_in.exists() and path_out.samefile(path_in):
            raise UsageError(f"{path_out}: the output of a conversion must be another file")
        if not overwrite:
            raise DclsError(f"{path_out}: not written: exists already")
    try:
        content = read_bytes(path_in)
        state = read_tensors(content)
        config = recognise(state)
        network = DCLS(replace(config, kernel_norm=kernel_norm or config.kernel_norm))
        network.load_state_dict(rename(state))
    except WeightsError as error:
        raise WeightsError(f"{path_in}: {error}") from error
    metadata = {
        **PROVENANCE,
        "source_file": path_in.name,
        "source_sha256": hashlib.sha256(content).hexdigest(),
    }
    weights.write(network, path_out, metadata, overwrite=overwrite)


#: The one tensor that we keep in another shape: a linear layer for the authors' 1x1 convolution.
_PROJECTION = "estimator.pooling.project.weight"

_BLOCK_LAYERS: Mapping[str, str] = {
    "main_conv1": "body1.0",
    "main_conv2": "body1.2",
    "side_conv1": "body2.0",
    "side_conv2": "body2.2",
    "fuse": "CA_body1.1",
    r"main_attention\.squeeze": "CA_body1.2.conv_du.0",
    r"main_attention\.excite": "CA_body1.2.conv_du.2",
    r"side_attention\.squeeze": "CA_body2.conv_du.0",
    r"side_attention\.excite": "CA_body2.conv_du.2",
}

#: Patterns of our layers' names, and how the authors name each.
_LAYERS: Mapping[str, str] = {
    r"estimator\.head": r"Estimator.head.0",
    r"estimator\.body\.(\d+)\.(\w+)": r"Estimator.body.0.\1.\2",
    r"estimator\.pooling\.conv1": r"Estimator.tail.0",
    r"estimator\.pooling\.conv2": r"Estimator.tail.2",
    r"estimator\.pooling\.project": r"Estimator.tail.4",
    r"estimator\.deep_linear_kernel\.decoders\.(\d+)": r"Estimator.dec.\1",
    r"restorer\.conv_first": r"Restorer.conv_first",
    r"restorer\.features\.(\d+)\.(\w+)": r"Restorer.feature_block.\1.\2",
    r"restorer\.side_head": r"Restorer.head1",
    r"restorer\.deconvolution\.reduce": r"Restorer.head2.reduce_feature",
    r"restorer\.deconvolution\.expand": r"Restorer.head2.expand_feature",
    r"restorer\.smoothing\.conv1": r"Restorer.head2.grad_filter.0",
    r"restorer\.smoothing\.conv2": r"Restorer.head2.grad_filter.2",
    r"restorer\.smoothing\.conv3": r"Restorer.head2.grad_filter.4",
    r"restorer\.smoothing\.project": r"Restorer.head2.grad_filter.6",
    **{
        rf"restorer\.groups\.(\d+)\.blocks\.(\d+)\.{ours}": rf"Restorer.body.\1.body.\2.{theirs}"
        for ours, theirs in _BLOCK_LAYERS.items()
    },
    r"restorer\.fusion": r"Restorer.fusion",
    r"restorer\.upsampler\.(\d+)": r"Restorer.upscale.\1",
}


def recognise(state: Mapping[str, Tensor]) -> ModelConfig:
    """The authors' network that has these tensors; its norm follows from its kernel size.

    Raises:
        WeightsError: names or shapes are not those of their network; at most five are listed.
    """
    features = _size(state, "Restorer.conv_first.weight", 0)
    side = _size(state, "Restorer.head1.weight", 0)
    kernel_size = _kernel_size(state)
    groups = _count(state, r"Restorer\.body\.(\d+)\..*")
    blocks = _count(state, r"Restorer\.body\.\d+\.body\.(\d+)\..*")
    if groups * blocks > len(state):
        raise WeightsError(f"not the authors' weights: {groups} groups of {blocks} blocks")
    config = ModelConfig(
        scale=_scale(state, features),
        features=features,
        reduction=features // max(side, 1),
        groups=groups,
        blocks=blocks,
        head_blocks=_count(state, r"Restorer\.feature_block\.(\d+)\..*"),
        latent=_size(state, "Estimator.dec.0.weight", 1),
        kernel_size=kernel_size,
        kernel_norm="softmax" if kernel_size == 11 else "sum",
        estimator_features=_size(state, "Estimator.head.0.weight", 0),
        estimator_blocks=_count(state, r"Estimator\.body\.0\.(\d+)\..*"),
    )
    expected = _expected(config)
    differences = weights.compare(expected, state)
    if differences:
        more = len(differences) - weights.LISTED
        tail = f"; and {more} more" if more > 0 else ""
        raise WeightsError(
            f"not the authors' x{config.scale} network of kernel size {kernel_size}: "
            f"{'; '.join(differences[: weights.LISTED])}{tail}"
        )
    return config


def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under our names and in our shapes, fp32.

    Raises:
        WeightsError: as `recognise`, or a value is not finite.
    """
    names = official_names(recognise(state))
    renamed = {}
    for ours, theirs in names.items():
        if not torch.isfinite(state[theirs]).all():
            raise WeightsError(f"tensor {theirs} has values that are not finite")
        tensor = state[theirs].detach().float().contiguous()
        renamed[ours] = tensor.flatten(1) if ours == _PROJECTION else tensor
    return renamed


def official_names(config: ModelConfig) -> dict[str, str]:
    """The authors' name for each of our tensors, in the paper's layout."""
    return {ours: _official_name(ours) for ours in _dcls_tensors(config)}


@lru_cache(maxsize=8)
def _dcls_tensors(config: ModelConfig) -> Mapping[str, Tensor]:
    """A network's tensors without memory: their names and shapes."""
    with torch.device("meta"):
        return DCLS(config).state_dict()


def _expected(config: ModelConfig) -> dict[str, Tensor]:
    """The authors' tensors without memory: their names and shapes."""
    return {
        _official_name(ours): tensor[..., None, None] if ours == _PROJECTION else tensor
        for ours, tensor in _dcls_tensors(config).items()
    }


def _official_name(ours: str) -> str:
    layer, _, kind = ours.rpartition(".")
    for pattern, theirs in _LAYERS.items():
        match = re.fullmatch(pattern, layer)
        if match:
            return f"{match.expand(theirs)}.{kind}"
    raise KeyError(ours)


def _size(state: Mapping[str, Tensor], name: str, axis: int) -> int:
    """One side of a tensor that must be there."""
    if name not in state:
        raise WeightsError(f"not the authors' weights: tensor {name} is missing")
    if state[name].ndim <= axis:
        raise WeightsError(f"not the authors' weights: {name} is {tuple(state[name].shape)}")
    return state[name].shape[axis]


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many different numbers the names show at the pattern's group."""
    return len({match[1] for name in state if (match := re.fullmatch(pattern, name))})


def _scale(state: Mapping[str, Tensor], features: int) -> Scale:
    """x4 goes up in two steps, x2 and x3 in one of features * scale^2 channels."""
    if any(name.startswith("Restorer.upscale.4.") for name in state):
        return 4
    outputs = _size(state, "Restorer.upscale.0.weight", 0)
    if outputs == features * 4:
        return 2
    if outputs == features * 9:
        return 3
    raise WeightsError(
        f"not the authors' weights: Restorer.upscale.0.weight has {outputs} outputs, expected "
        f"{features * 4} (x2 and x4) or {features * 9} (x3)"
    )


def _kernel_size(state: Mapping[str, Tensor]) -> int:
    """The kernel size whose decoders fit best; `recognise` lists those that do not."""
    found = {name: state[name].shape for name in state if name.startswith("Estimator.dec.")}

    def fitting(size: int) -> int:
        expected = _expected(ModelConfig(scale=4, groups=1, blocks=1, kernel_size=size))
        biases = [name for name in expected if re.fullmatch(r"Estimator\.dec\.\d+\.bias", name)]
        return sum(name in found and found[name] == expected[name].shape for name in biases)

    best = max(FILTER_LADDERS, key=fitting)
    if not fitting(best):
        raise WeightsError(
            "not the authors' weights: no decoders (Estimator.dec) of a known kernel"
        )
    return best


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
            f"damaged, truncated, or not a PyTorch file of tensors ({type(error).__name__}); "
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
