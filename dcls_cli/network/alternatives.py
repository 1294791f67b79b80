"""What the paper compares DCLS with: fixed smoothing filters, and kernels that are stretched."""

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from dcls_cli.network.spectra import reformulation_matrix
from dcls_cli.network.windows import SMOOTHING_TAPS

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
        self.register_buffer("taps", torch.tensor(_FILTERS[kind]), persistent=False)
        self.log_strength = nn.Parameter(torch.tensor(math.log(INITIAL_STRENGTH)))
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

    Args:
        scale: the widest blur has a sigma of this many HR pixels.
        size: taps of the LR kernel, and of the HR kernels.

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
