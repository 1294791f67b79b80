"""Everything that changes while a network is trained; windows of steps, judged and undone."""

import copy
import math
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dcls_cli.network.dcls import DCLS
from dcls_cli.training.batches import Batch
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.optimization import Losses, Objective, build_optimizers, learning_rate
from dcls_cli.training.processes import true_anywhere

#: Weight of the past in the running mean that a window is compared with.
BASELINE_MEMORY = 0.9


class TrainState:
    """Network, averaged network, optimisers and counters of one run."""

    def __init__(
        self, network: DCLS, objective: Objective, config: TrainConfig, accumulate: int = 1
    ) -> None:
        """Start at step 0.

        Args:
            network: lies on the training device already.
            objective: what is minimised.
            config: options of the run.
            accumulate: parts that a batch is divided into, one after the other, so that only one
                needs memory for its gradients; the update is that of the whole batch.
        """
        self.network, self.objective, self.config = network, objective, config
        self.accumulate = accumulate
        self.ema = copy.deepcopy(network).requires_grad_(False).eval()
        self.optimizers = build_optimizers(network, config)
        self.forward: nn.Module = network
        self.step = 0
        #: Roll-backs so far; halves the learning rate each time and changes the batches.
        self.salt = 0

    @property
    def last_rate(self) -> float:
        """Learning rate of the last step."""
        return float(self.optimizers[0].param_groups[0]["lr"])

    def rate(self, progress: float) -> float:
        """Learning rate of the next step, with `progress` of the run behind it."""
        return learning_rate(self.config, self.step, progress) * 0.5**self.salt

    def train_step(self, batch: Batch, progress: float) -> Tensor:
        """One update; returns (image loss, kernel loss, gradient norm) on the device, unsynced."""
        rate = self.rate(progress)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
        image, kernel = self._accumulate_gradients(batch)
        self._average_gradients()
        norm = self._clip_gradients()
        for optimizer in self.optimizers:
            optimizer.step()
        self._average_weights()
        self.step += 1
        return torch.stack((image, kernel, norm.detach()))

    def _accumulate_gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sum the gradients of the parts of a batch; returns its losses of image and kernel.

        All losses are means over the batch, so that those of equal parts are averaged.
        """
        image = kernel = torch.zeros((), device=batch.lr.device)
        for part in batch.parts(self.accumulate):
            losses = self._losses(part)
            (losses.total / self.accumulate).backward()  # type: ignore[no-untyped-call]
            image = image + losses.image.detach() / self.accumulate
            kernel = kernel + losses.kernel.detach() / self.accumulate
        return image, kernel

    def _losses(self, batch: Batch) -> Losses:
        device = batch.lr.device.type
        bf16 = self.config.precision == "bf16"
        lr = batch.lr.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            if self.config.part == "estimator":
                return self.objective.blur(self.network.estimate(lr), batch)
            restoration = self.forward(lr)
        return self.objective(restoration, batch)

    def _average_gradients(self) -> None:
        """Mean over processes, in one message."""
        if not dist.is_initialized():
            return
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, part in zip(gradients, torch.split(flat, sizes), strict=True):
            gradient.copy_(part.view_as(gradient))

    def _clip_gradients(self) -> Tensor:
        """Clip the estimator apart: its gradients are large and must not throttle the restorer."""
        estimator: list[Tensor] = []
        restorer: list[Tensor] = []
        for name, parameter in self.network.named_parameters():
            (estimator if name.startswith("estimator.") else restorer).append(parameter)
        estimator_norm = nn.utils.clip_grad_norm_(estimator, self.config.clip)
        restorer_norm = nn.utils.clip_grad_norm_(restorer, self.config.clip)
        return estimator_norm if self.config.part == "estimator" else restorer_norm

    @torch.no_grad()
    def _average_weights(self) -> None:
        """EMA whose memory grows with the run, so that its first steps forget the random start."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        averaged: list[Tensor] = list(self.ema.parameters())
        current: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def is_finite(self) -> bool:
        """Whether all weights, averages and moments are; costs one look at the device."""
        tensors: list[Tensor] = [*self.network.parameters(), *self.ema.parameters()]
        for optimizer in self.optimizers:
            for moments in optimizer.state.values():
                tensors += [value for value in moments.values() if isinstance(value, Tensor)]
        # A norm is finite if all values are; AdamW's step counts are scalars on the CPU.
        norms = torch._foreach_norm([tensor for tensor in tensors if tensor.ndim > 0])
        return bool(torch.stack(norms).isfinite().all())

    def state_dict(self) -> dict[str, Any]:
        """Tensors and counters, by reference."""
        return {
            "network": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "salt": self.salt,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self.ema.load_state_dict(state["ema"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(copy.deepcopy(saved))
        self.step, self.salt = state["step"], state["salt"]


class Means(NamedTuple):
    """Means over a window: L1 of the image and of the kernel, norm of the restorer's gradient."""

    image_loss: float
    kernel_loss: float
    gradient_norm: float


class Guard:
    """Keeps the losses of the open window and the state before it.

    Losses stay on the device until the window is judged, so that no step waits for the device.
    All processes of a distributed run come to the same judgement.
    """

    def __init__(self, state: TrainState, spike: float) -> None:
        """A mean loss of `spike` times the running mean is trouble."""
        self.state, self.spike = state, spike
        self.losses: list[Tensor] = []
        self.baseline: float | None = None
        self._good = copy.deepcopy(state.state_dict())

    def add(self, losses: Tensor) -> None:
        """Note the losses of a step, (3,) as in `Means`."""
        self.losses.append(losses)

    def means(self) -> Means:
        """Means over the steps of the window and over all processes."""
        means = torch.stack(self.losses).mean(0).double()
        if dist.is_initialized():
            dist.all_reduce(means)
            means /= dist.get_world_size()
        return Means(*means.tolist())

    def trouble(self, means: Means) -> str | None:
        """What is wrong with the window, or None."""
        loss = self._watched(means)
        if not math.isfinite(loss):
            return "the loss is not finite"
        if self.baseline is not None and loss > self.spike * self.baseline:
            return f"the loss rose from {self.baseline:.4f} to {loss:.4f}"
        (broken,) = true_anywhere(not self.state.is_finite())
        return "a weight is not finite" if broken else None

    def accept(self, means: Means) -> None:
        """Close a good window: from now on the state is never taken back beyond this point."""
        loss = self._watched(means)
        past = self.baseline if self.baseline is not None else loss
        self.baseline = BASELINE_MEMORY * past + (1 - BASELINE_MEMORY) * loss
        self.losses.clear()
        self._good = copy.deepcopy(self.state.state_dict())

    def _watched(self, means: Means) -> float:
        """The loss whose spikes are undone: the image's, where an image is restored."""
        alone = self.state.config.part == "estimator"
        return means.kernel_loss if alone else means.image_loss

    def undo(self, salt: int) -> None:
        """Go back to the state before the window, with another count of roll-backs."""
        self.state.load_state_dict(self._good)
        self.state.salt = salt
        self._good = copy.deepcopy(self.state.state_dict())
        self.losses.clear()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to judge as this one; the state itself is not in it."""
        saved = {"losses": [loss.cpu() for loss in self.losses], "baseline": self.baseline}
        return saved | ({"good": self._good} if self.losses else {})

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, after the state itself was loaded."""
        device = next(self.state.network.parameters()).device
        self.losses = [loss.to(device) for loss in saved["losses"]]
        self.baseline = saved["baseline"]
        self._good = copy.deepcopy(saved.get("good") or self.state.state_dict())
