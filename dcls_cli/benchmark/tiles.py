"""What batches of tiles, and a recording of their launches, bring on a device."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dcls_cli.backends.devices import DTYPES, translated_memory_errors
from dcls_cli.backends.gpu import CudaGraph
from dcls_cli.backends.pytorch import BATCH_PX
from dcls_cli.benchmark.timing import fastest
from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS, Blur, repeated

#: Calls between two waits for a GPU, as a photo has several batches.
_QUEUED = 4


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
        alone_s, *batch_s = fastest(runs, device, seconds, queued=_QUEUED)
    per_px = [found_s / (batch * side_px**2) * 1e6 for found_s in batch_s]
    return TileSpeed(
        precision=precision,
        side_px=side_px,
        batch=batch,
        alone_us_per_px=alone_s / side_px**2 * 1e6,
        batch_us_per_px=per_px[0],
        captured_us_per_px=per_px[1] if len(per_px) > 1 else None,
    )
