"""Deep constrained least squares (DCLS): a blur is inverted in feature space (Eq. 14-16)."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcls_cli.network.fourier import constrained_least_squares
from dcls_cli.network.layers import activation, conv3x3
from dcls_cli.network.windows import SMOOTHING_MARGIN, SMOOTHING_TAPS

#: Blurred (B, C, H, W), kernel, P and the floor of the denominator -> clear (B, C, H, W).
Inversion = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def high_pass(logits: Tensor) -> Tensor:
    """Smoothing filters P with zero mean, so that a flat signal costs nothing.

    exp(logits) - mean: (B, C, 3, 3) -> (B, C, 3, 3).
    """
    # The authors' exp is unbounded; beyond e^10 the quotient is zero to fp32 anyway.
    positive = logits.float().clamp(max=10).exp()
    return positive - positive.mean((-2, -1), keepdim=True)


class FeatureSmoothing(nn.Module):
    """The paper's smoothing filters: convolutions over the features, pooled to 3x3 taps."""

    def __init__(self, channels: int) -> None:
        """Three unpadded 3x3 convolutions, a 3x3 adaptive pool, one 1x1 convolution."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3)
        self.conv2 = nn.Conv2d(channels, channels, 3)
        self.conv3 = nn.Conv2d(channels, channels, 3)
        self.project = nn.Conv2d(channels, channels, 1)
        self.activation = activation()
        self.pool: Callable[[Tensor], Tensor] = partial(
            F.adaptive_avg_pool2d, output_size=SMOOTHING_TAPS
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, C, 3, 3)."""
        logits: Tensor = self.project(self.pool(self.to_be_pooled(features)))
        return logits

    def to_be_pooled(self, features: Tensor) -> Tensor:
        """Local: (B, C, H, W) -> (B, C, H - 6, W - 6), at least 1x1."""
        height, width = features.shape[-2:]
        reach = SMOOTHING_MARGIN + 1
        grow = (0, max(0, reach - width), 0, max(0, reach - height))
        x = F.pad(features, grow, mode="replicate") if any(grow) else features
        x = self.activation(self.conv1(x))
        x = self.activation(self.conv2(x))
        logits_map: Tensor = self.conv3(x)
        return logits_map


class ConstrainedLeastSquares(nn.Module):
    """Reduce the features, deconvolve every channel with one kernel, expand again.

    In RGB space the image itself is deconvolved, and a 3x3 convolution makes features of it.
    The FFT runs in fp32 whatever the autocast type: half-precision spectra overflow. `invert` is
    the quotient itself; an exported graph has one without complex numbers.
    """

    def __init__(self, features: int, channels: int, epsilon: float, *, rgb: bool = False) -> None:
        """`channels` of `features` are deconvolved; `epsilon` floors the CLS denominator."""
        super().__init__()
        self.epsilon = epsilon
        self.invert: Inversion = constrained_least_squares
        self.reduce = None if rgb else nn.Conv2d(features, channels, 1)
        self.expand = conv3x3(channels, features) if rgb else nn.Conv2d(channels, features, 1)

    def forward(self, reduced: Tensor, kernel: Tensor, smoothing: Tensor) -> Tensor:
        """Deconvolve features that `reduce` made, or the image.

        Args:
            reduced: (B, C, H, W).
            kernel: LR kernel, (B, 1, k, k), sum 1.
            smoothing: P, (B, C, 3, 3).

        Returns:
            (B, features, H, W).
        """
        expanded: Tensor = self.expand(self._deconvolve(reduced, kernel, smoothing))
        return expanded

    def _deconvolve(self, reduced: Tensor, kernel: Tensor, smoothing: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W) through spectra in fp32, borders replicated."""
        pad = kernel.shape[-1]
        with torch.autocast(reduced.device.type, enabled=False):
            padded = F.pad(reduced.float(), (pad,) * 4, mode="replicate")
            clear = self.invert(padded, kernel.float(), smoothing.float(), self.epsilon)
        clear = clear[..., pad:-pad, pad:-pad].to(reduced.dtype)
        return clear.contiguous(memory_format=torch.channels_last)


def leave_to_eager(network: nn.Module) -> None:
    """Keep the deconvolutions of a network out of `torch.compile`, which knows no complex numbers.

    As a decorator of the method this would load the compiler, which takes longer than all the rest
    of a start, for everybody.
    """
    for part in network.modules():
        if isinstance(part, ConstrainedLeastSquares):
            part.invert = torch.compiler.disable(part.invert)  # type: ignore[no-untyped-call]
