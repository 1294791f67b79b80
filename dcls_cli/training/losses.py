"""The objective: L1 on the image, on the kernel (Eq. 17) and, for photos, on the noise."""

from typing import NamedTuple

import torch
from torch import Tensor

from dcls_cli.network.dcls import Blur, Restoration
from dcls_cli.network.reformulation import ReformulatedKernel, clean_kernel, reformulate
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.data import Batch


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
        """Weighted loss of kernel and noise, and the kernel's own."""
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
