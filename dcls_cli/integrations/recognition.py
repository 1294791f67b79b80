"""The network that a set of our tensors belongs to, where the metadata of their file are lost.

Shapes tell all sizes and which parts there are. Four options leave no trace in any tensor:
`group_skip`, `kernel_norm`, `kernel_space` and `cls_epsilon`. They are those of the family, light
or paper, which the linear skip connection gives away; so files whose network was changed in one of
them need their metadata.
"""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from dcls_cli.config import FILTER_LADDERS, ModelConfig, Scale
from dcls_cli.errors import WeightsError
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS

_DECODER = "estimator.deep_linear_kernel.decoders.{}.weight"
_SOFTMAX_SIZE = 11


def recognise(state: Mapping[str, Tensor]) -> ModelConfig:
    """The configuration of a network that has exactly these tensors.

    Raises:
        WeightsError: their tensors do not show which network they belong to.
    """
    light = "restorer.conv_linear.weight" in state
    features = _side(state, "restorer.conv_first.weight", 0)
    filters, planes, channels = _kernel(state)
    kernel_size = sum(width - 1 for width in filters) + 1
    changes = {
        "features": features,
        "reduction": features // max(_side(state, "restorer.side_head.weight", 0), 1),
        "groups": _count(state, r"restorer\.groups\.(\d+)\..*"),
        "blocks": _count(state, r"restorer\.groups\.\d+\.blocks\.(\d+)\..*"),
        "attention": any(".main_attention." in name for name in state),
        "head_blocks": _count(state, r"restorer\.features\.(\d+)\..*"),
        "latent": _side(state, _DECODER.format(0), 1),
        "kernel_size": kernel_size,
        "kernel_filters": filters,
        "kernel_planes": planes,
        "kernel_channels": channels,
        "pooling": "energy" if "estimator.pooling.gain" in state else "mean",
        "estimator_features": _side(state, "estimator.head.weight", 0),
        "estimator_blocks": _count(state, r"estimator\.body\.(\d+)\..*"),
        "noise": "estimated" if "log_noise.weight" in state else "fixed",
        "smoothing": "code" if "code_smoothing.weight" in state else "features",
    }
    if not light:
        changes["kernel_norm"] = "softmax" if kernel_size == _SOFTMAX_SIZE else "sum"
    stepwise = any(re.fullmatch(r"restorer\.upsampler\.[1-9]\d*\.weight", name) for name in state)
    changes["upsampler"] = "stepwise" if stepwise else "direct"
    family = ModelConfig.light if light else ModelConfig.paper
    config = family(_scale(state, features, stepwise), **changes)
    with torch.device("meta"):
        differences = weights.compare(DCLS(config).state_dict(), state)
    if differences:
        shown = "; ".join(differences[: weights.LISTED])
        raise WeightsError(f"no network that is known from its tensors alone: {shown}")
    return config


def _kernel(state: Mapping[str, Tensor]) -> tuple[tuple[int, ...], int, int]:
    """Widths of the filters that DDLK decodes, colour planes, and channels between the filters."""
    count = _count(state, r"estimator\.deep_linear_kernel\.decoders\.(\d+)\..*")
    outputs = [_side(state, _DECODER.format(index), 0) for index in range(count)]
    for filters in FILTER_LADDERS.values():
        if len(filters) != count:
            continue
        channels = math.isqrt(outputs[1] // filters[1] ** 2)
        planes = outputs[0] // max(channels * filters[0] ** 2, 1)
        ends = (planes * channels, *[channels**2] * (count - 2), planes * channels)
        if outputs == [n * width**2 for n, width in zip(ends, filters, strict=True)]:
            return filters, planes, channels
    raise WeightsError(f"decoders of {outputs} outputs make no kernel of a known size")


def _scale(state: Mapping[str, Tensor], features: int, stepwise: bool) -> Scale:
    """From the first convolution of the up-sampler, or the number of its steps."""
    if stepwise and "restorer.upsampler.4.weight" in state:
        return 4
    outputs = _side(state, "restorer.upsampler.0.weight", 0)
    scale = math.isqrt(outputs // (features if stepwise else 3))
    for known in (2, 3, 4):
        if scale == known:
            return known
    raise WeightsError(f"an up-sampler of {outputs} outputs for {features} features fits no scale")


def _side(state: Mapping[str, Tensor], name: str, axis: int) -> int:
    """One side of a tensor that must be there."""
    if name not in state or state[name].ndim <= axis:
        raise WeightsError(f"not weights of dcls: tensor {name} is missing or has another form")
    return int(state[name].shape[axis])


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many different numbers the names show at the pattern's group."""
    return len({match[1] for name in state if (match := re.fullmatch(pattern, name))})
