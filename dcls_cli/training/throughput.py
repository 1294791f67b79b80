"""How fast a network trains and runs on this machine."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.reformulation import ReformulatedKernel
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.data import PatchSampler
from dcls_cli.training.images import ImageStore
from dcls_cli.training.losses import Objective
from dcls_cli.training.state import TrainState

STORE_SIDE_PX = 1024
WARM_UP_STEPS = 2


@dataclass(frozen=True)
class TrainingSpeed:
    """patches_per_s: of whole steps; degradation_share: of a step's time, making its batch."""

    patches_per_s: float
    degradation_share: float


@dataclass(frozen=True)
class InferenceSpeed:
    """us_per_px: microseconds per LR pixel; side_px: of the square LR image."""

    us_per_px: float
    side_px: int


def measure_training(
    model: ModelConfig, config: TrainConfig, device: torch.device, seconds: float
) -> TrainingSpeed:
    """Train on random pixels for a while: the speed does not depend on what they show."""
    side = STORE_SIDE_PX
    pixels = torch.randint(0, 256, (side * side, 3), dtype=torch.uint8).to(device)
    store = ImageStore(pixels, torch.zeros(1, dtype=torch.int64), torch.tensor([[side, side]]), 1)
    sampler = PatchSampler(store, config, model.scale, model.kernel_size, images=False)
    network = DCLS(model).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    reformulated = ReformulatedKernel(model.scale, model.kernel_size, model.kernel_size)
    objective = Objective(config, model.kernel_space, reformulated.to(device))
    state = TrainState(network, objective, config)

    def step() -> None:
        state.train_step(sampler.batch(state.step, salt=0), progress=0.0)

    step_s = _seconds_per_call(step, device, seconds)
    batch_s = _seconds_per_call(lambda: sampler.batch(state.step, salt=0), device, seconds / 4)
    return TrainingSpeed(config.batch / step_s, batch_s / step_s)


def measure_inference(
    model: ModelConfig, precision: torch.dtype, side_px: int, device: torch.device, seconds: float
) -> InferenceSpeed:
    """Estimate and restore one square image again and again."""
    network = DCLS(model).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    lr = torch.rand(1, 3, side_px, side_px, device=device)
    lr = lr.contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.no_grad(), torch.autocast(device.type, precision, precision != torch.float32):
            network(lr)

    return InferenceSpeed(_seconds_per_call(run, device, seconds) / side_px**2 * 1e6, side_px)


def _seconds_per_call(call: Callable[[], object], device: torch.device, at_least_s: float) -> float:
    """Mean over as many calls as fill the time, after a warm-up."""

    def synchronise() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(WARM_UP_STEPS):
        call()
    synchronise()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < at_least_s:
        call()
        synchronise()
        calls += 1
    return (time.perf_counter() - start) / calls
