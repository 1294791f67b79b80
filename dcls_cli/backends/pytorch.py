"""The network on PyTorch: device, precision, memory layout."""

from functools import lru_cache, partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from dcls_cli import example
from dcls_cli.backends import Blur, Memory, Raster
from dcls_cli.backends.devices import (
    DTYPES,
    apart_from_caller,
    bytes_per_px,
    estimator_bytes_per_px,
    free_device_bytes,
    has_lost_threads,
    require_memory,
    select_device,
    select_precision,
    translated_memory_errors,
)
from dcls_cli.backends.gpu import Captured, CudaGraph, Run, Transfers
from dcls_cli.config import ModelConfig
from dcls_cli.errors import DclsError, OutOfMemoryError
from dcls_cli.models import weights
from dcls_cli.models.releases import is_released
from dcls_cli.network import statistics
from dcls_cli.network.dcls import DCLS, repeated
from dcls_cli.network.dcls import Blur as TensorBlur
from dcls_cli.network.windows import WINDOW_PX

#: Blurs that are kept on the device. A photo has one or two, and two photos take turns.
KEPT_BLURS = 8

#: Of the windows that the blur is estimated in, pixels.
SMALLEST_WINDOW_PX = 64

#: Pixels of tiles that keep the device busy: on a CPU as many as a fast tile has, as more do not
#: fit into its cache (docs/performance.md); on a GPU some milliseconds of work.
BATCH_PX = {"cpu": 256 * 256, "cuda": 2**19}


class PyTorchBackend:
    """A `Backend` on the CPU or a CUDA device.

    Weights and activations are channels_last. Half precision is autocast: the network itself keeps
    its FFTs, energies and the linear super-resolver in fp32.
    """

    def __init__(self, network: DCLS, device: str = "auto", precision: str = "auto") -> None:
        """Move a network to a device; see `load_backend`.

        Raises:
            BackendError: the device or the precision is not usable here.
        """
        self._device = select_device(device)
        self._precision = select_precision(precision, self._device)
        self._transfers = Transfers(self._device)
        # By identity, as blurs are not compared. A copy to a GPU waits for all that it has to do,
        # so that the tiles of a photo would not overlap.
        self._kept = lru_cache(KEPT_BLURS)(partial(_tensors, device=self._device))
        self._network = network.to(self._device).eval()
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._run: Run = self._in_half if self._precision != "fp32" else self._network.restore
        self._captured: Captured | None = None
        self._notes: list[str] = []
        self._overflowed = False
        self._warned_of_fork = False
        if self._device.type == "cuda":
            self._run = self._captured = Captured(self._run, CudaGraph)

    @classmethod
    def load(cls, weights_path: Path, device: str = "auto", precision: str = "auto") -> Self:
        """Refuse an unusable device before weights are read; see `load_backend`.

        `auto` takes half precision for the released weights, whose tests hold it near fp32, and
        for others that are near it on the example photo.
        """
        where = select_device(device)
        chosen = select_precision(precision, where)
        with apart_from_caller(where):
            network = weights.load(weights_path)
            if precision != "auto" or chosen == "fp32" or is_released(weights_path):
                return cls(network, device, chosen)
            checked = network.to(where).eval()
            checked.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            near_db = half_precision_db(checked, chosen, where)
        backend = cls(network, device, chosen if near_db >= LEAST_DB else "fp32")
        if near_db < LEAST_DB:
            backend._notes.append(
                f"{weights_path.name}: fp32 is used, as {chosen} is too far from it with these "
                f"weights: a PSNR of {near_db:.0f} dB on the example photo, under {LEAST_DB:.0f}"
            )
        return backend

    @property
    def config(self) -> ModelConfig:
        """Configuration of the network."""
        return self._network.config

    @property
    def device(self) -> str:
        """The device, with the name of the card where there is one."""
        if self._device.type == "cuda":
            return f"{self._device} ({torch.cuda.get_device_name(self._device)})"
        return str(self._device)

    @property
    def precision(self) -> str:
        """Type in which the convolutions run: fp32, bf16 or fp16."""
        return self._precision

    @property
    def lanes(self) -> int:
        """On a GPU, one batch is transferred while another is restored."""
        return 2 if self._device.type == "cuda" else 1

    @property
    def batch_px(self) -> int:
        """See `BATCH_PX`."""
        return BATCH_PX[self._device.type]

    def take_notes(self) -> list[str]:
        """What runs without a CUDA graph, or again in fp32; see `Backend.take_notes`."""
        notes, self._notes = self._notes, []
        return notes + ([] if self._captured is None else self._captured.take_notes())

    def memory(self) -> Memory:
        """What is free on the device, and what a pixel takes; see `Backend.memory`."""
        return Memory(free_device_bytes(self._device), bytes_per_px(self.config, self._precision))

    def estimate(
        self, lr: np.ndarray | Raster, *, tiled: bool = True, kernel: np.ndarray | None = None
    ) -> Blur:
        """Estimate the blur of a photo in fp32, window by window; see `Backend.estimate`.

        Where memory runs out, windows become smaller, which changes no more than rounding.
        """
        if has_lost_threads() and not self._warned_of_fork and torch.get_num_threads() > 1:
            self._warned_of_fork = True
            self._notes.append(
                "PyTorch computes in one thread here, as the process was forked; start processes "
                "with 'spawn', or use backend='onnx'"
            )
        window = WINDOW_PX
        while True:
            try:
                blur = self._gathered(lr, kernel, window, tiled=tiled)
                break
            except OutOfMemoryError as error:
                window //= 2
                if window < SMALLEST_WINDOW_PX:
                    free = free_device_bytes(self._device) / 1e6
                    raise OutOfMemoryError(
                        "out of memory while the blur is estimated, in the smallest windows too: "
                        f"{free:.0f} MB are free; close other programs or use another device"
                    ) from error
        parts = (blur.kernel, blur.smoothing, blur.noise, blur.gates)
        if not all(part is None or np.isfinite(part).all() for part in parts):
            raise DclsError("the estimated blur is not finite: the weights are unusable")
        return blur

    def _gathered(
        self, lr: np.ndarray | Raster, kernel: np.ndarray | None, window: int, *, tiled: bool
    ) -> Blur:
        per_px = estimator_bytes_per_px(self.config)

        def read(rows: slice, columns: slice) -> Tensor:
            image = lr[:, rows, columns][None]
            require_memory(image.shape, per_px, self._device)
            return self._transfers.upload(image)

        apart = apart_from_caller(self._device)
        with apart, torch.inference_mode(), translated_memory_errors((window, window)):
            source = statistics.Source(read, *lr.shape[1:])
            known = None if kernel is None else _tensor(kernel, self._device)[None, None]
            found, *rest = statistics.gather(
                self._network, source, tiled=tiled, known=known, window=window
            )
            numbers = [None if part is None else part[0].cpu().numpy() for part in rest]
            return Blur(found[0, 0].cpu().numpy(), *numbers)

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        """Restore images or tiles that share one blur; see `Backend.restore`."""
        try:
            restored = self._restored(lr, blur, self._run, self._precision)
        except OutOfMemoryError:
            if self._captured is not None:  # GPU only
                self._captured.forget()
            raise
        broken = ~np.isfinite(restored).all(axis=(1, 2, 3))
        if broken.any() and self._precision != "fp32":
            if not self._overflowed:
                self._overflowed = True
                self._notes.append(
                    f"some values are not finite in {self._precision}; such tiles are restored "
                    "again in fp32"
                )
            restored[broken] = self._restored(lr[broken], blur, self._network.restore, "fp32")
            broken = ~np.isfinite(restored).all(axis=(1, 2, 3))
        if broken.any():
            raise DclsError("the network produced non-finite values, in fp32 too")
        return restored

    def _restored(self, lr: np.ndarray, blur: Blur, run: Run, precision: str) -> np.ndarray:
        require_memory(lr.shape, bytes_per_px(self.config, precision), self._device)
        apart = apart_from_caller(self._device)
        with apart, torch.inference_mode(), translated_memory_errors(lr.shape):
            same = repeated(self._kept(blur), lr.shape[0])
            return self._transfers.download(run(self._transfers.upload(lr), same))

    def _in_half(self, lr: Tensor, blur: TensorBlur) -> Tensor:
        """Restore with convolutions in half precision."""
        with torch.autocast(self._device.type, DTYPES[self._precision]):
            return self._network.restore(lr, blur)


def _tensors(blur: Blur, device: torch.device) -> TensorBlur:
    """A blur on a device, as a batch of one."""

    def one(part: np.ndarray | None) -> Tensor | None:
        return None if part is None else _tensor(part, device)[None]

    kernel = _tensor(blur.kernel, device)[None, None]
    return TensorBlur(kernel, one(blur.smoothing), one(blur.noise), one(blur.gates))


def _tensor(part: np.ndarray, device: torch.device) -> Tensor:
    """A part of a blur on a device."""
    return torch.tensor(part, dtype=torch.float32, device=device)


#: PSNR between half precision and fp32 under which fp32 is used, dB.
LEAST_DB = 60.0

_SIDE_PX = 48

#: Standard deviations of the blurs that are tried beside the one that is estimated, in pixels of
#: the kernel.
_SIGMAS_PX = (1.2, 2.0)


def half_precision_db(network: DCLS, precision: str, device: torch.device) -> float:
    """The lowest PSNR of half precision, bf16 or fp16, against fp32, over some blurs.

    Raises:
        ImageError: the installation is damaged.
    """
    picture = torch.from_numpy(example.pixels(_SIDE_PX, _SIDE_PX))[None].to(device)
    lr = picture.contiguous(memory_format=torch.channels_last)
    worst = np.inf
    with torch.inference_mode():
        found = network.estimate(lr)
        known = [_gaussian_like(found.kernel, sigma) for sigma in _SIGMAS_PX]
        for kernel in (found.kernel, *known):
            blur = found._replace(kernel=kernel)
            exact = network.restore(lr, blur).clamp(0, 1)
            with torch.autocast(device.type, DTYPES[precision]):
                half = network.restore(lr, blur).float().clamp(0, 1)
            error = float((half - exact).square().mean())
            worst = min(worst, -10 * np.log10(error) if error > 0 else np.inf)
            worst = -np.inf if np.isnan(error) else worst
    return float(worst)


def _gaussian_like(like: Tensor, sigma_px: float) -> Tensor:
    """An isotropic Gaussian of the shape of a kernel (1, 1, k, k), of sum 1."""
    taps = torch.arange(like.shape[-1], device=like.device) - like.shape[-1] // 2
    profile = torch.exp(-0.5 * (taps / sigma_px).square())
    kernel = torch.outer(profile, profile)
    return (kernel / kernel.sum())[None, None]
