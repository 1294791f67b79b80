"""The composition: estimate the blur, invert it, restore the picture."""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dcls_cli.config import ModelConfig
from dcls_cli.network.deconvolution import high_pass
from dcls_cli.network.estimator import Estimator
from dcls_cli.network.reformulation import (
    NOISE_TO_SIGNAL,
    LinearSuperResolver,
    ReformulatedKernel,
)
from dcls_cli.network.restorer import DualPathNetwork
from dcls_cli.network.windows import SMOOTHING_TAPS


class Blur(NamedTuple):
    """What the network estimates of a whole image; everything after it is local.

    kernel: (B, 1, k, k), sum 1, in HR or LR pixels as `ModelConfig.kernel_space` says.
    smoothing: DCLS's smoothing filters P, (B, C, 3, 3), or None where the restorer makes them.
    noise: power of noise and JPEG damage over power of the LR image, (B,), or None where it is
        taken as fixed.
    gates: of the channel attention, (B, groups, blocks, F + F / reduction), or None where there is
        none or the restorer computes them.
    """

    kernel: Tensor
    smoothing: Tensor | None
    noise: Tensor | None
    gates: Tensor | None = None


def repeated(blur: Blur, count: int) -> Blur:
    """The one blur of a batch of `count` images, without copies."""

    def repeat(part: Tensor | None) -> Tensor | None:
        return None if part is None else part.expand(count, *part.shape[1:])

    kernel = blur.kernel.expand(count, -1, -1, -1)
    return Blur(kernel, repeat(blur.smoothing), repeat(blur.noise), repeat(blur.gates))


class Restoration(NamedTuple):
    """sr: (B, 3, s H, s W), not clamped; kernel: (B, 1, k, k); noise: (B,) or None, see `Blur`."""

    sr: Tensor
    kernel: Tensor
    noise: Tensor | None = None


class DCLS(nn.Module):
    """Deep constrained least squares for blind super-resolution (CVPR 2022).

    Images are (B, 3, H, W) RGB in [0, 1], of any size from 1x1.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build the network of a configuration with random weights."""
        super().__init__()
        self.config = config
        self.estimator = Estimator(config)
        self.restorer = DualPathNetwork(config)
        self.code_smoothing = (
            nn.Linear(config.latent, config.deconvolved_channels * SMOOTHING_TAPS**2)
            if config.smoothing == "code" and config.deconvolution == "dcls"
            else None
        )
        self.log_noise = nn.Linear(config.latent, 1) if config.noise == "estimated" else None
        self.reformulated = (
            ReformulatedKernel(config.scale, config.kernel_size)
            if config.kernel_space == "hr"
            else None
        )
        self.linear = (
            LinearSuperResolver(config.scale, config.skip_taps, config.skip_taper)
            if config.skip != "none"
            else None
        )

    def forward(self, lr: Tensor) -> Restoration:
        """Estimate the blur of each image and restore it."""
        blur = self.estimate(lr)
        return Restoration(self.restore(lr, blur), blur.kernel, blur.noise)

    def estimate(self, lr: Tensor) -> Blur:
        """What is global: the kernel, P where the code makes it, the noise where it is estimated.

        P does not train the estimator: only the kernel and the noise do.
        """
        return self.blur(*self.estimator(lr))

    def blur(self, kernel: Tensor, code: Tensor) -> Blur:
        """What follows from the estimator's kernel (B, 1, k, k) and code (B, latent)."""
        smoothing = noise = None
        with torch.autocast(code.device.type, enabled=False):
            if self.code_smoothing is not None:
                taps = (-1, self.config.deconvolved_channels, SMOOTHING_TAPS, SMOOTHING_TAPS)
                smoothing = high_pass(self.code_smoothing(code.detach()).view(taps))
            if self.log_noise is not None:
                noise = _ratio(self.log_noise(code).squeeze(1))
        return Blur(kernel, smoothing, noise)

    def restore(self, lr: Tensor, blur: Blur) -> Tensor:
        """Restore images whose blur is known; gradients do not reach the kernel.

        Returns:
            (B, 3, s H, s W), not clamped: a clamp inside the network starves training.
        """
        kernel, linear = self.closed_forms(lr, blur)
        restored: Tensor = self.restorer(lr, kernel, blur.smoothing, linear, blur.gates)
        return restored

    def closed_forms(self, lr: Tensor, blur: Blur) -> tuple[Tensor, Tensor | None]:
        """What the restorer is given beside the image, without gradients.

        Returns:
            The LR kernel (B, 1, k, k), and the linear super-resolver's image, pixel-unshuffled,
            (B, 3 s^2, H, W), where the configuration asks for it.
        """
        kernel = blur.kernel.detach().float()
        linear = None
        with torch.no_grad(), torch.autocast(lr.device.type, enabled=False):
            if self.linear is not None:
                noise = NOISE_TO_SIGNAL if blur.noise is None else blur.noise
                known = kernel
                if _is_one(kernel) and (isinstance(noise, float) or _is_one(noise)):
                    # Tiles of one photo: the filters are computed once.
                    known, noise = kernel[:1], noise if isinstance(noise, float) else noise[:1]
                inverted = known if self.config.skip == "linear" else impulse(known)
                linear = self.linear(lr.float(), self.linear.filters(inverted, noise))
            if self.reformulated is not None:
                kernel = self.reformulated(kernel)
        return kernel, linear


def _is_one(repeated: Tensor) -> bool:
    """Whether the items of a batch are one and the same, as `repeated` makes them."""
    return repeated.shape[0] == 1 or repeated.stride(0) == 0


def impulse(kernel: Tensor) -> Tensor:
    """The unit impulse of a kernel's shape, (B, 1, k, k): no blur."""
    unit = torch.zeros_like(kernel)
    unit[..., kernel.shape[-2] // 2, kernel.shape[-1] // 2] = 1
    return unit


def _ratio(logits: Tensor) -> Tensor:
    """Noise over signal between 10^-6 and 1; 10^-5, which is 8-bit rounding, for a logit of 0."""
    return torch.pow(10.0, -6 * torch.sigmoid(math.log(5) - logits))


#: What draws initial values.
_DRAWS = frozenset(
    {
        Tensor.normal_,
        Tensor.uniform_,
        nn.init.kaiming_normal_,
        nn.init.kaiming_uniform_,
        nn.init.normal_,
        nn.init.uniform_,
    }
)


#: What makes the tensors of layers and tables, on the caller's default device if on none.
_MAKES = frozenset({torch.empty, torch.ones, torch.zeros, torch.eye, torch.arange, torch.tensor})


class _ShapesOnly(TorchFunctionMode):
    """Makes empty tensors, as those of layers are, on the meta device and draws nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - of any function of PyTorch
        given = dict(kwargs or {})
        if func in _DRAWS:
            return args[0] if args else given["tensor"]
        if func is torch.empty:
            given["device"] = "meta"
            given["dtype"] = given.get("dtype") or torch.float32
        elif func in _MAKES and given.get("device") is None:
            given["device"] = "cpu"
        return func(*args, **given)


def shapes_only() -> AbstractContextManager[object]:
    """Build modules whose parameters take no memory; tables that are computed are computed.

    The caller's default type and device and its random numbers play no part.

    `torch.device("meta")` does that for all tensors, but for some it loads PyTorch's compiler,
    which takes longer than all the rest of a start.
    """
    return _ShapesOnly()
