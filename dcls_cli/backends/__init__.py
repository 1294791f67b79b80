"""Engines that run a network; everything above them sees numpy arrays only."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dcls_cli.config import ModelConfig


@dataclass(frozen=True, eq=False)
class Blur:
    """What an engine estimates of a whole photo; everything after it is local.

    Attributes:
        kernel: (k, k) float32, sum 1, in HR or LR pixels as `ModelConfig.kernel_space` says.
        smoothing: DCLS's smoothing filters P, (C, 3, 3) float32, or None where the network makes
            them from the features of what it restores.
        noise: power of noise over power of the photo, () float32, or None where the network takes
            it as fixed.
        gates: of the channel attention, (groups, blocks, F + F / reduction) float32 in (0, 1), or
            None where the network has none or computes them from the means of what it restores.
    """

    kernel: np.ndarray
    smoothing: np.ndarray | None = None
    noise: np.ndarray | None = None
    gates: np.ndarray | None = None


@dataclass(frozen=True)
class Memory:
    """What tiles may take, for choosing their size.

    Attributes:
        free_bytes: of the device, now.
        bytes_per_px: what restoring takes per LR pixel of a batch, about.
        longest_side_px: of what is restored in one piece without need; None without a limit.
    """

    free_bytes: int
    bytes_per_px: int
    longest_side_px: int | None = None


class Raster(Protocol):
    """A photo that is turned into floats where it is read, such as one kept in 8 bits.

    Attributes:
        shape: (3, H, W).
    """

    @property
    def shape(self) -> tuple[int, int, int]: ...  # noqa: D102

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        """Read a window, `raster[:, rows, columns]`: (3, h, w) float32 in [0, 1]."""
        ...


class Backend(Protocol):
    """A network, loaded and ready.

    Attributes:
        config: of the network.
        device: what it runs on, for people to read, such as `cpu`.
        precision: type in which the convolutions run: fp32, bf16, fp16 or int8.
        lanes: calls of `restore` that may run at a time, in threads, with gain: more than one where
            transfers overlap with computation.
        batch_px: LR pixels of tiles that go through the network at once with gain; a larger tile
            goes alone.
    """

    @property
    def config(self) -> ModelConfig: ...  # noqa: D102

    @property
    def device(self) -> str: ...  # noqa: D102

    @property
    def precision(self) -> str: ...  # noqa: D102

    @property
    def lanes(self) -> int: ...  # noqa: D102

    @property
    def batch_px(self) -> int: ...  # noqa: D102

    def take_notes(self) -> list[str]:
        """What went otherwise than planned since the last call, for people to read."""
        ...

    def memory(self) -> Memory:
        """Find out what tiles may take."""
        ...

    def estimate(
        self, lr: np.ndarray | Raster, *, tiled: bool = True, kernel: np.ndarray | None = None
    ) -> Blur:
        """Estimate the blur of a photo of any size, always in fp32 and in bounded memory.

        Args:
            lr: (3, H, W) float32 in [0, 1], of any strides, or a raster.
            tiled: whether tiles of the photo will be restored. If it will be restored in one
                piece, False saves time: the blur then lacks what `restore` computes itself.
            kernel: a blur that is known, as in `Blur`; it takes the place of the estimated one
                before anything that follows from the kernel. The rest is estimated all the same.

        Raises:
            DclsError: the estimate is not finite.
            OutOfMemoryError: the photo does not fit.
        """
        ...

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        """Restore images or tiles (B, 3, H, W) float32 in [0, 1] that share one blur.

        A result that is not finite is computed once more in fp32.

        Returns:
            (B, 3, s H, s W) float32, finite, not clamped.

        Raises:
            DclsError: the result is not finite in fp32 either.
            OutOfMemoryError: the batch does not fit.
        """
        ...


class PassedOn:
    """A `Backend` that passes everything on to another; others change a part of that."""

    def __init__(self, backend: Backend) -> None:
        """Pass on to `backend`."""
        self._backend = backend

    @property
    def config(self) -> ModelConfig:
        """Configuration of the network."""
        return self._backend.config

    @property
    def device(self) -> str:
        """What the network runs on."""
        return self._backend.device

    @property
    def precision(self) -> str:
        """Type in which the convolutions run."""
        return self._backend.precision

    @property
    def lanes(self) -> int:
        """See `Backend`."""
        return self._backend.lanes

    @property
    def batch_px(self) -> int:
        """See `Backend`."""
        return self._backend.batch_px

    def take_notes(self) -> list[str]:
        """See `Backend.take_notes`."""
        return self._backend.take_notes()

    def memory(self) -> Memory:
        """See `Backend.memory`."""
        return self._backend.memory()

    def estimate(
        self, lr: np.ndarray | Raster, *, tiled: bool = True, kernel: np.ndarray | None = None
    ) -> Blur:
        """See `Backend.estimate`."""
        return self._backend.estimate(lr, tiled=tiled, kernel=kernel)

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        """See `Backend.restore`."""
        return self._backend.restore(lr, blur)
