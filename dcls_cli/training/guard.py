"""Windows of steps: judged as a whole, and undone as a whole."""

import copy
import math
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from dcls_cli.training.processes import true_anywhere
from dcls_cli.training.state import TrainState

#: Weight of the past in the running mean that a window is compared with.
BASELINE_MEMORY = 0.9


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
