"""The authors' names for our tensors, and the network that a set of their tensors belongs to.

The only file that knows how the authors name things. Their files hold no hyper-parameters. Shapes
tell all of them but one: their anisotropic x2 network (kernel size 11) was trained with a softmax
over the kernel, which shows in no tensor. So `recognise` says `softmax` for kernel size 11
and `sum` for all others; `convert` lets the user say otherwise.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from dcls_cli import weights
from dcls_cli.config import FILTER_LADDERS, ModelConfig, Scale
from dcls_cli.errors import WeightsError
from dcls_cli.network.dcls import DCLS

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

    Args:
        state: tensors under the authors' names; only their shapes matter.

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
    return {ours: _official_name(ours) for ours in _own_tensors(config)}


@lru_cache(maxsize=8)
def _own_tensors(config: ModelConfig) -> Mapping[str, Tensor]:
    """A network's tensors without memory: their names and shapes."""
    with torch.device("meta"):
        return DCLS(config).state_dict()


def _expected(config: ModelConfig) -> dict[str, Tensor]:
    """The authors' tensors without memory: their names and shapes."""
    return {
        _official_name(ours): tensor[..., None, None] if ours == _PROJECTION else tensor
        for ours, tensor in _own_tensors(config).items()
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
