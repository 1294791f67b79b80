"""Building blocks that the estimator and the restorer share."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcls_cli.config import ATTENTION_REDUCTION

LEAK = 0.1


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the image's size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def activation() -> nn.LeakyReLU:
    """The paper's activation, in place."""
    return nn.LeakyReLU(LEAK, inplace=True)


def activated(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """The paper's activation of a convolution: (B, C, H, W) -> (B, C', H, W).

    In bf16 on a CPU oneDNN computes both at once: alone, the activation takes as long as reading
    and writing everything again.
    """
    if not fuses(x):
        return F.leaky_relu(conv(x), LEAK, inplace=True)
    half = torch.bfloat16
    bias = None if conv.bias is None else conv.bias.to(half)
    made: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x.to(half), conv.weight.to(half), bias, list(conv.padding), list(conv.stride),
        list(conv.dilation), conv.groups, "leaky_relu", [LEAK], "",
    )  # fmt: skip
    return made


def fuses(x: Tensor) -> bool:
    """Whether `activated` is computed at once: without gradients, which that does not know.

    The operator is PyTorch's own, for its compiler; a build without oneDNN has none, and processors
    without AVX-512 or its like refuse it.
    """
    return (
        x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and x.numel() > 0
    )


def channel_means(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C), the means over the picture.

    In bf16 on a CPU rows are averaged first: PyTorch's own mean makes an fp32 copy of everything,
    which takes longer than the sum. The result then is fp32, else of the input's type.
    """
    if _is_slow(x):
        rows = F.avg_pool2d(x, (1, x.shape[-1]))
        return rows.float().mean((-2, -1))
    return x.mean((-2, -1))


def add_gated(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
    """Add an update times a gate for each channel: (B, C, H, W), (B, C, H, W) and (B, C).

    In bf16 on a CPU whole rows are channels: PyTorch's loop over few channels is as slow as one
    over single numbers. Each number is computed in the same way, and the result is channels_last.
    """
    gate = gate.to(x.dtype)
    if not _is_slow(x):
        return torch.addcmul(x, update, gate[..., None, None])
    batch, channels, height, width = x.shape
    rows = gate[:, None, None].expand(-1, 1, width, -1).reshape(batch, 1, width * channels)
    shape = (batch, height, width * channels)
    added = torch.addcmul(
        x.permute(0, 2, 3, 1).reshape(shape), update.permute(0, 2, 3, 1).reshape(shape), rows
    )
    return added.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _is_slow(x: Tensor) -> bool:
    return x.dtype == torch.bfloat16 and x.device.type == "cpu" and x.numel() > 0


class ResidualBlock(nn.Module):
    """x + conv(leaky(conv(x))), without normalisation; (B, C, H, W) -> the same."""

    def __init__(self, features: int) -> None:
        """Start near the identity: small second convolution, as in the authors' code."""
        super().__init__()
        self.conv1 = conv3x3(features, features)
        self.conv2 = conv3x3(features, features)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data.mul_(0.1)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        residual: Tensor = self.conv2(activated(self.conv1, x))
        return x + residual


class ChannelAttention(nn.Module):
    """Scale each channel by a gate in (0, 1) that is computed from all channels' means."""

    def __init__(self, features: int, reduction: int = ATTENTION_REDUCTION) -> None:
        """`features // reduction` channels in the bottleneck."""
        super().__init__()
        self.squeeze = nn.Conv2d(features, features // reduction, 1)
        self.excite = nn.Conv2d(features // reduction, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x * self.gate(x.mean((-2, -1), keepdim=True))

    def gate(self, means: Tensor) -> Tensor:
        """Means (B, C, 1, 1) -> gates (B, C, 1, 1) in (0, 1)."""
        gate: Tensor = self.excite(self.squeeze(means).relu()).sigmoid()
        return gate
