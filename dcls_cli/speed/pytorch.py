"""The speed of training, inference and batches of tiles in PyTorch, on a CPU or a GPU."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from dcls_cli.backends.devices import (
    DTYPES,
    exact_fp32,
    has_bf16,
    select_precision,
    translated_memory_errors,
)
from dcls_cli.backends.gpu import CudaGraph
from dcls_cli.backends.pytorch import BATCH_PX
from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS, Blur, repeated
from dcls_cli.network.reformulation import ReformulatedKernel
from dcls_cli.speed.comparison import Comparison, compare, fastest, wait
from dcls_cli.training.batches import PatchSampler
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.images import ImageStore
from dcls_cli.training.optimization import Objective
from dcls_cli.training.state import TrainState

#: Calls between two waits for a GPU, as a photo has several batches.
_QUEUED_BATCHES = 4

_STORE_SIDE_PX = 1024
_WARM_UP_STEPS = 2


@dataclass(frozen=True)
class TileSpeed:
    """Restoring tiles of one size.

    Attributes:
        precision: of the convolutions.
        side_px: of the square tiles, LR pixels.
        batch: tiles at a time.
        alone_us_per_px: tiles one by one, time for an LR pixel.
        batch_us_per_px: in batches.
        captured_us_per_px: in batches whose launches are a CUDA graph; None on a CPU.
    """

    precision: str
    side_px: int
    batch: int
    alone_us_per_px: float
    batch_us_per_px: float
    captured_us_per_px: float | None

    @property
    def batch_ratio(self) -> float:
        """How much faster than one by one."""
        return self.alone_us_per_px / self.batch_us_per_px

    @property
    def captured_ratio(self) -> float | None:
        """How much faster than in batches that are launched call by call; None on a CPU."""
        captured = self.captured_us_per_px
        return None if captured is None else self.batch_us_per_px / captured


def measure_tiles(
    model: ModelConfig, precision: str, side_px: int, device: torch.device, seconds: float
) -> TileSpeed:
    """Measure a network with random weights on random tiles, in batches as they are chosen.

    Args:
        model: of the network.
        precision: of the convolutions: fp32, bf16 or fp16.
        side_px: of the square tiles.
        device: that computes.
        seconds: for each way, about.

    Raises:
        OutOfMemoryError: memory ran out.
    """
    batch = max(BATCH_PX[device.type] // side_px**2, 1)
    network = DCLS(model).to(device).eval()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(lr: Tensor, blur: Blur) -> Tensor:
        with torch.autocast(device.type, DTYPES[precision], precision != "fp32"):
            return network.restore(lr, blur)

    shape = (batch, 3, side_px, side_px)
    with torch.inference_mode(), translated_memory_errors(shape):
        images = torch.rand(shape, device=device)
        images = images.contiguous(memory_format=torch.channels_last)
        one = network.estimate(images[:1])
        blur = repeated(one, batch)
        runs: list[Callable[[], object]] = [
            lambda: run(images[:1], one),
            lambda: run(images, blur),
        ]
        if device.type == "cuda":  # GPU only
            graph = CudaGraph(run, images, blur)
            runs.append(lambda: graph(images, blur))
        for warm_up in runs:
            warm_up()
        alone_s, *batch_s = fastest(runs, device, seconds, queued=_QUEUED_BATCHES)
    per_px = [each_s / (batch * side_px**2) * 1e6 for each_s in batch_s]
    return TileSpeed(
        precision=precision,
        side_px=side_px,
        batch=batch,
        alone_us_per_px=alone_s / side_px**2 * 1e6,
        batch_us_per_px=per_px[0],
        captured_us_per_px=per_px[1] if len(per_px) > 1 else None,
    )


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
    side = _STORE_SIDE_PX
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


class Speed(NamedTuple):
    """All figures of a network; see the classes of each.

    `inference` is by precision, without bf16 where the processor lacks it; `comparisons` are in
    fp32 and in the precision that `auto` takes.
    """

    training: TrainingSpeed
    inference: dict[str, InferenceSpeed]
    comparisons: list[Comparison]
    tiles: TileSpeed


@exact_fp32()
def measure(
    model: ModelConfig,
    config: TrainConfig,
    device: torch.device,
    *,
    side_px: int,
    tile_px: int,
    seconds: float,
) -> Speed:
    """Measure a network with random weights.

    Args:
        model: of the network.
        config: of its training.
        device: that computes.
        side_px: of the square LR image.
        tile_px: of the square tiles.
        seconds: for each figure, about.

    Raises:
        OutOfMemoryError: memory ran out.
    """
    auto = select_precision("auto", device)
    half = ("bf16",) if has_bf16(device) else ()
    if config.precision not in ("fp32", *half):
        config = replace(config, precision="fp32")
    return Speed(
        measure_training(model, config, device, seconds),
        {
            name: measure_inference(model, DTYPES[name], side_px, device, seconds)
            for name in ("fp32", *half)
        },
        [
            compare(model, DTYPES[name], side_px, device, seconds)
            for name in dict.fromkeys(("fp32", auto))
        ],
        measure_tiles(model, auto, tile_px, device, seconds),
    )


def _seconds_per_call(call: Callable[[], object], device: torch.device, at_least_s: float) -> float:
    """Mean over as many calls as fill the time, after a warm-up."""
    for _ in range(_WARM_UP_STEPS):
        call()
    wait(device)
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < at_least_s:
        call()
        wait(device)
        calls += 1
    return (time.perf_counter() - start) / calls
