"""Activations that are rounded in training as int8 rounds them later (`dcls train --quantize`).

A network learns to do with 256 values for what a layer takes and gives: quantisation-aware training
(Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, CVPR 2018). Weights are not rounded: in int8 with a scale for each channel they cost
nothing that could be measured.
"""

import torch
from torch import Tensor, nn

from dcls_cli.network.restorer import DualPathNetwork

STEPS = 255

#: Range of an activation over what a batch fills of it: int8 graphs have one range for all photos.
ROOM = 1.1


class _Rounding(torch.autograd.Function):
    """Round to one of 256 values; the gradient passes as if it were not rounded."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:  # noqa: ARG004
        low, high = values.aminmax()
        step = (high.clamp(min=0) - low.clamp(max=0)).float() * (ROOM / STEPS)
        # No value needs a limit: the range is ROOM times as wide as they are.
        step = step.clamp(min=torch.finfo(torch.float32).tiny).to(values.dtype)
        return (values / step).round_().mul_(step)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return gradients[0]


def rounded(values: Tensor) -> Tensor:
    """Values on a grid of 256 steps over ROOM times their range, zero among them."""
    result: Tensor = _Rounding.apply(values)  # type: ignore[no-untyped-call]
    return result


def round_activations(restorer: DualPathNetwork) -> None:
    """Let the convolutions that int8 graphs compute in int8 take and give rounded values.

    Whatever lies between them, such as sums, is rounded where the next one takes it.
    """
    for convolution in restorer.int8_convolutions():
        convolution.register_forward_pre_hook(_round_inputs)
        convolution.register_forward_hook(_round_output)


def _round_inputs(convolution: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:  # noqa: ARG001
    return (rounded(inputs[0]),)


def _round_output(convolution: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:  # noqa: ARG001
    return rounded(output)
