"""Building blocks that the estimator and the restorer share."""

from torch import Tensor, nn

from dcls_cli.config import ATTENTION_REDUCTION

LEAK = 0.1


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the image's size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def activation() -> nn.LeakyReLU:
    """The paper's activation, in place."""
    return nn.LeakyReLU(LEAK, inplace=True)


class ResidualBlock(nn.Module):
    """x + conv(leaky(conv(x))), without normalisation; (B, C, H, W) -> the same."""

    def __init__(self, features: int) -> None:
        """Start near the identity: small second convolution, as in the authors' code."""
        super().__init__()
        self.conv1 = conv3x3(features, features)
        self.conv2 = conv3x3(features, features)
        self.activation = activation()
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data.mul_(0.1)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        residual: Tensor = self.conv2(self.activation(self.conv1(x)))
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
