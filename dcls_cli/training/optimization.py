"""The objective (L1 on image, kernel and noise, Eq. 17), optimisers, and the learning rate."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dcls_cli.network.dcls import Blur, Restoration
from dcls_cli.network.reformulation import ReformulatedKernel, clean_kernel, reformulate
from dcls_cli.training.batches import Batch
from dcls_cli.training.config import TrainConfig

#: Quintic Newton-Schulz coefficients of Jordan et al., Muon (2024).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
#: Root mean square of an update, so that Muon shares AdamW's learning rate (Liu et al., 2025).
UPDATE_RMS = 0.2
#: Fewer channels than this leave nothing to orthogonalise.
MIN_CHANNELS = 16


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by Newton-Schulz; convolutions are (out, in k k) matrices.

    All directions of a weight matrix learn at the same rate, which pays when a run is short: see
    weights/README.md for what it brought here.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95
    ) -> None:
        """`parameters` are weights of at least two dimensions."""
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight; those of one shape together."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for parameters in by_shape.values():
                update = torch.stack([self._momentum(p, group["momentum"]) for p in parameters])
                rows, columns = update.shape[-2:]
                update = orthogonalise(update) * (UPDATE_RMS * math.sqrt(max(rows, columns)))
                for parameter, delta in zip(parameters, update, strict=True):
                    parameter.sub_(delta.view_as(parameter), alpha=group["lr"])

    def _momentum(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """Nesterov momentum as a matrix (out, rest)."""
        state = self.state[parameter]
        gradient = parameter.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(gradient, memory_format=torch.contiguous_format)
        state["momentum"].lerp_(gradient, 1 - momentum)
        nesterov: Tensor = gradient.lerp(state["momentum"], momentum)
        return nesterov.reshape(parameter.shape[0], -1)


def orthogonalise(matrices: Tensor) -> Tensor:
    """About U V^T of each matrix U S V^T: (n, rows, columns) -> the same."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = (matrices.mT if tall else matrices).float()
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def build_optimizers(network: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or for what Muon leaves: vectors, first and last layers."""
    hidden, rest = [], []
    for name, parameter in network.named_parameters():
        matrix = parameter.ndim >= 2 and min(parameter.shape[:2]) >= MIN_CHANNELS
        if config.optimizer == "muon" and matrix and "upsampler" not in name:
            hidden.append(parameter)
        else:
            rest.append(parameter)
    adamw = torch.optim.AdamW(
        rest, lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
    )
    if not hidden:
        return [adamw]
    return [adamw, Muon(hidden, lr=config.learning_rate)]


def learning_rate(config: TrainConfig, step: int, progress: float) -> float:
    """Linear warm-up, then a cosine over the run down to `final_rate` of the peak.

    Args:
        config: peak, warm-up and final rate.
        step: training step, from 0.
        progress: share of the run behind it, 0 to 1.
    """
    warm = min(1.0, (step + 1) / config.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.learning_rate * warm * (config.final_rate + (1 - config.final_rate) * cosine)


class Losses(NamedTuple):
    """total = image + kernel_weight kernel (+ noise_weight noise).

    image: mean L1; kernel: L1 summed over taps; the noise's error is in decades.
    """

    total: Tensor
    image: Tensor
    kernel: Tensor


class Objective:
    """Compares a restoration with its batch."""

    def __init__(
        self, config: TrainConfig, kernel_space: str, reformulated: ReformulatedKernel
    ) -> None:
        """`reformulated` turns HR kernels into LR kernels for networks that estimate those."""
        self.config, self.kernel_space, self.reformulated = config, kernel_space, reformulated

    def __call__(self, restoration: Restoration, batch: Batch) -> Losses:
        """Scalar losses of a batch."""
        image = (restoration.sr.float() - batch.hr).abs().mean()
        estimate, kernel = self._estimate(restoration, batch)
        total = image if self.config.part == "restorer" else image + estimate
        return Losses(total, image, kernel)

    def blur(self, blur: Blur, batch: Batch) -> Losses:
        """Losses of the estimator alone; nothing was restored, so the image's is 0."""
        estimate, kernel = self._estimate(blur, batch)
        return Losses(estimate, torch.zeros_like(kernel), kernel)

    def _estimate(self, estimated: Blur | Restoration, batch: Batch) -> tuple[Tensor, Tensor]:
        """Weighted loss of kernel and noise, and the loss of the kernel alone."""
        target = self._kernel_target(batch)
        kernel = (estimated.kernel.float() - target).abs().sum((-2, -1)).mean()
        total = self.config.kernel_weight * kernel
        if estimated.noise is not None and batch.noise is not None:
            decades = (estimated.noise.log10() - batch.noise.log10()).abs().mean()
            total = total + self.config.noise_weight * decades
        return total, kernel

    @torch.no_grad()
    def _kernel_target(self, batch: Batch) -> Tensor:
        if self.kernel_space == "hr":
            return batch.kernel
        if self.config.kernel_target == "expected":
            target: Tensor = self.reformulated(batch.kernel)
            return target
        assert batch.clear is not None and batch.blurred is not None
        return clean_kernel(reformulate(batch.blurred, batch.clear, batch.kernel.shape[-1]))
