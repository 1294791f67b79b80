"""Deep constrained least squares (DCLS): a blur is inverted in feature space (Eq. 14-16).

And what the paper compares it with: fixed smoothing filters, and kernels that are stretched.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcls_cli.network.fourier import constrained_least_squares
from dcls_cli.network.layers import activation, conv3x3
from dcls_cli.network.spectra import reformulation_matrix
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
        """Deconvolve what `reduce` made, or the image, by an LR kernel (B, 1, k, k) and P.

        (B, C, H, W), P (B, C, 3, 3) -> (B, features, H, W).
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


#: Principal components of a stretched kernel, as in IKC.
COMPONENTS = 10

#: Strength of the fixed filters before training: noise of a tenth of the signal's amplitude.
INITIAL_STRENGTH = 1e-2

#: Widths along an axis, and angles, of the Gaussians whose principal components are taken.
_WIDTHS = 12
_ANGLES = 8
_NARROWEST = 0.2

_FILTERS = {
    "wiener": ((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)),
    "cls": ((0.0, -1.0, 0.0), (-1.0, 4.0, -1.0), (0.0, -1.0, 0.0)),
}


class FixedSmoothing(nn.Module):
    """One smoothing filter for all images and channels, of a learnt strength g: P = sqrt(g) p.

    With the impulse for p, |P|^2 = g everywhere: constrained least squares is then the Wiener
    filter whose ratio of noise to signal is g. With the Laplacian it is the classical constrained
    least squares filter (Hunt 1973).
    """

    def __init__(self, kind: Literal["wiener", "cls"]) -> None:
        """`kind` chooses p."""
        super().__init__()
        self.register_buffer(
            "taps", torch.tensor(_FILTERS[kind], dtype=torch.float32), persistent=False
        )
        strength = torch.tensor(math.log(INITIAL_STRENGTH), dtype=torch.float32)
        self.log_strength = nn.Parameter(strength)
        self.taps: Tensor

    def forward(self, batch: int) -> Tensor:
        """P for a batch: (batch, 1, 3, 3), the same for all its channels."""
        filters = (0.5 * self.log_strength.float()).exp() * self.taps
        return filters.expand(batch, 1, SMOOTHING_TAPS, SMOOTHING_TAPS)


class KernelStretching(nn.Module):
    """No deconvolution: the kernel's principal components as constant maps beside the features.

    SRMD and IKC tell the network the blur in this way.
    """

    def __init__(self, features: int, channels: int, scale: int, kernel_size: int) -> None:
        """The components are stored with the weights, so that every machine has the same."""
        super().__init__()
        mean, components = principal_components(scale, kernel_size)
        self.register_buffer("mean", torch.from_numpy(mean.copy()).float())
        self.register_buffer("components", torch.from_numpy(components.copy()).float())
        self.mean: Tensor
        self.components: Tensor
        self.reduce = nn.Conv2d(features, channels, 1)
        self.expand = nn.Conv2d(channels + COMPONENTS, features, 1)

    def forward(self, reduced: Tensor, kernel: Tensor) -> Tensor:
        """Features (B, C, H, W) and LR kernel (B or 1, 1, k, k) -> (B, features, H, W)."""
        code = (kernel.flatten(1).float() - self.mean.float()) @ self.components.float().T
        batch, _, height, width = reduced.shape
        maps = code.to(reduced.dtype)[..., None, None].expand(batch, -1, height, width)
        expanded: Tensor = self.expand(torch.cat((reduced, maps), dim=1))
        return expanded


@lru_cache(maxsize=8)
def principal_components(scale: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and components of the LR forms of Gaussian blurs, isotropic and slanted.

    Returns:
        Mean (size^2,) and components (COMPONENTS, size^2), scaled so that the codes of these
        blurs have variance 1 in each component; the largest tap of each is positive.
    """
    widths = np.linspace(_NARROWEST, scale, _WIDTHS)
    angle = np.arange(_ANGLES) * np.pi / _ANGLES
    wide, narrow, turned = (axis.ravel() for axis in np.meshgrid(widths, widths, angle))
    offset = np.arange(size) - size // 2
    row, column = np.meshgrid(offset, offset, indexing="ij")
    along = np.cos(turned)[:, None, None] * column + np.sin(turned)[:, None, None] * row
    across = np.cos(turned)[:, None, None] * row - np.sin(turned)[:, None, None] * column
    along, across = along / wide[:, None, None], across / narrow[:, None, None]
    blurs = np.exp(-0.5 * (along**2 + across**2)).reshape(len(wide), -1)
    blurs /= blurs.sum(axis=1, keepdims=True)
    kernels = blurs @ reformulation_matrix(scale, size, size).T
    mean = kernels.mean(axis=0)
    _, strength, directions = np.linalg.svd(kernels - mean, full_matrices=False)
    components = directions[:COMPONENTS]
    largest = np.abs(components).argmax(axis=1)[:, None]
    components = components * np.sign(np.take_along_axis(components, largest, axis=1))
    deviation = strength[:COMPONENTS, None] / math.sqrt(len(kernels))
    return mean, components / deviation
