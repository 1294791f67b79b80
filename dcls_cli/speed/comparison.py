"""How much of the machine inference uses, and how much faster it is than a plain implementation.

Plain means what the authors' code does: fp32, channels first, every channel deconvolved by complex
FFTs of its own, one after the other. It is reimplemented here for this comparison only.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcls_cli.config import ModelConfig
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.deconvolution import ConstrainedLeastSquares

#: Rows and columns of the product that shows what the machine can do: of a CPU, of a GPU.
_MATRIX = 2048
_MATRIX_CUDA = 8192

_WARM_UP_PX = 32

#: Calls between two waits for a GPU where a single one would be shorter than the wait.
_QUEUED = 20


@dataclass(frozen=True)
class Comparison:
    """One network, plainly and as `dcls` runs it.

    Attributes:
        precision: of the convolutions of `dcls`.
        side_px: of the square LR image.
        plain_us_per_px, us_per_px: time for an LR pixel.
        gmac_per_s: multiplications and additions of the convolutions in a second of the whole run.
        convolutions_gmac_per_s: the same convolutions alone.
        matrix_gmac_per_s: a large matrix product in the same precision.
    """

    precision: str
    side_px: int
    plain_us_per_px: float
    us_per_px: float
    gmac_per_s: float
    convolutions_gmac_per_s: float
    matrix_gmac_per_s: float

    @property
    def ratio(self) -> float:
        """How much faster than plain."""
        return self.plain_us_per_px / self.us_per_px

    @property
    def share(self) -> float:
        """Part of the convolutions' own rate that the whole run reaches."""
        return self.gmac_per_s / self.convolutions_gmac_per_s


@dataclass(frozen=True)
class _Work:
    """A convolution of the network, with the size of what it is given."""

    layer: nn.Conv2d
    shape: tuple[int, ...]

    @property
    def macs(self) -> int:
        pixels = self.shape[0] * self.shape[2] * self.shape[3]
        return self.layer.weight.numel() * pixels


def compare(
    model: ModelConfig, precision: torch.dtype, side_px: int, device: torch.device, seconds: float
) -> Comparison:
    """Measure; of several runs in turns the fastest counts, as others may disturb.

    Args:
        model: of the network, which gets random weights.
        precision: of the convolutions of `dcls`.
        side_px: of the square LR image.
        device: that computes.
        seconds: for each, about.
    """
    network = DCLS(model).to(device).eval()
    plain = DCLS(model).to(device).eval()
    deconvolution = plain.restorer.deconvolution
    if isinstance(deconvolution, ConstrainedLeastSquares):
        deconvolution.invert = plain_least_squares
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def ours(lr: Tensor) -> None:
        with torch.autocast(device.type, precision, precision != torch.float32):
            network(lr.contiguous(memory_format=torch.channels_last))

    with torch.inference_mode():
        lr = torch.rand(1, 3, side_px, side_px, device=device)
        runs = [lambda: plain(lr), lambda: ours(lr)]
        for warm_up in (plain, ours):
            warm_up(lr[..., :_WARM_UP_PX, :_WARM_UP_PX])
        plain_s, ours_s = fastest(runs, device, seconds)
        with _recorded(network) as works:
            network(lr)  # in fp32, in which every layer is called by itself
        macs = sum(work.macs * count for work, count in works.items())
        alone_s = _alone(works, precision, device, seconds)
        matrix_rate = _matrix_macs_per_s(precision, device, seconds / 4)
    pixels = side_px**2
    return Comparison(
        precision={torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[precision],
        side_px=side_px,
        plain_us_per_px=plain_s / pixels * 1e6,
        us_per_px=ours_s / pixels * 1e6,
        gmac_per_s=macs / ours_s / 1e9,
        convolutions_gmac_per_s=macs / alone_s / 1e9,
        matrix_gmac_per_s=matrix_rate / 1e9,
    )


def plain_least_squares(
    blurred: Tensor, kernel: Tensor, smoothing: Tensor, epsilon: float
) -> Tensor:
    """`constrained_least_squares` (Eq. 14), channel by channel through complex FFTs."""
    size = (blurred.shape[-2], blurred.shape[-1])
    clear = []
    for channel in range(blurred.shape[1]):
        kernel_f = _plain_otf(kernel[:, 0], size)
        smoothing_f = _plain_otf(smoothing[:, channel], size)
        energy = kernel_f.abs() ** 2 + smoothing_f.abs() ** 2 + epsilon
        spectrum = torch.fft.fft2(blurred[:, channel]) * kernel_f.conj() / energy
        clear.append(torch.fft.ifft2(spectrum).real)
    return torch.stack(clear, dim=1)


def _plain_otf(taps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, k, k) -> (B, H, W): the kernel in a corner of the picture, its centre at the origin."""
    height, width = taps.shape[-2:]
    padded = F.pad(taps, (0, size[1] - width, 0, size[0] - height))
    spectrum: Tensor = torch.fft.fft2(padded.roll((-(height // 2), -(width // 2)), dims=(-2, -1)))
    return spectrum


@contextmanager
def _recorded(network: nn.Module) -> Iterator[Counter[_Work]]:
    """Count the convolutions that run inside the block."""
    works: Counter[_Work] = Counter()

    def record(layer: nn.Module, _given: Any, made: Tensor) -> None:  # noqa: ANN401 - PyTorch's
        assert isinstance(layer, nn.Conv2d)
        works[_Work(layer, tuple(made.shape))] += 1

    handles = [
        layer.register_forward_hook(record)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    try:
        yield works
    finally:
        for handle in handles:
            handle.remove()


def _alone(
    works: Counter[_Work], precision: torch.dtype, device: torch.device, seconds: float
) -> float:
    """Time of all convolutions with nothing between them: equal ones are measured once."""
    kinds: Counter[tuple[object, ...]] = Counter()
    examples: dict[tuple[object, ...], _Work] = {}
    for work, count in works.items():
        layer = work.layer
        kind: tuple[object, ...] = (
            layer.in_channels, layer.out_channels, layer.kernel_size, work.shape
        )  # fmt: skip
        kinds[kind] += count
        examples[kind] = work
    total = 0.0
    for key, count in kinds.items():
        layer, (batch, _, height, width) = examples[key].layer, examples[key].shape
        given = torch.rand(batch, layer.in_channels, height, width, device=device)
        given = given.to(precision).contiguous(memory_format=torch.channels_last)
        weight, bias = layer.weight.to(precision), layer.bias
        bias = None if bias is None else bias.to(precision)
        weight = weight.contiguous(memory_format=torch.channels_last)
        padding = layer.kernel_size[0] // 2

        def run(given: Tensor = given, weight: Tensor = weight, bias: Tensor | None = bias,
                padding: int = padding) -> object:  # fmt: skip
            return F.conv2d(given, weight, bias, padding=padding)

        run()
        (least,) = fastest([run], device, seconds / len(kinds), queued=_QUEUED)
        total += count * least
    return total


def _matrix_macs_per_s(precision: torch.dtype, device: torch.device, seconds: float) -> float:
    """Rate of a large matrix product."""
    on_gpu = device.type == "cuda"
    side = _MATRIX_CUDA if on_gpu else _MATRIX
    matrix = torch.rand(side, side, device=device).to(precision)
    (least,) = fastest([lambda: matrix @ matrix], device, seconds, queued=_QUEUED)
    return side**3 / least


def fastest(
    runs: list[Callable[[], object]], device: torch.device, seconds: float, *, queued: int = 1
) -> tuple[float, ...]:
    """The shortest time of each of several functions, called in turns.

    Args:
        runs: the functions.
        device: on which they run; a GPU is synchronised before and after.
        seconds: for each, about.
        queued: calls in a row on a GPU, whose mean counts.
    """
    calls = queued if device.type == "cuda" else 1

    def timed(run: Callable[[], object]) -> float:
        wait(device)
        start = time.perf_counter()
        for _ in range(calls):
            run()
        wait(device)
        return (time.perf_counter() - start) / calls

    best = [timed(run) for run in runs]
    end = time.perf_counter() + seconds * len(runs)
    while time.perf_counter() < end:
        best = [min(least, timed(run)) for least, run in zip(best, runs, strict=True)]
    return tuple(best)


def wait(device: torch.device) -> None:
    """Synchronise a GPU, whose calls return before their work ends."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
