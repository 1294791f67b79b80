"""The network on ONNX Runtime: its graphs, no PyTorch."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from dcls_cli import graphs
from dcls_cli.backends import Blur, Memory, Raster, sessions
from dcls_cli.backends.graph_estimation import (
    GraphEstimator,
    blur_arrays,
    layer_bytes,
    matrix_bytes,
)
from dcls_cli.backends.sessions import device_candidates, open_session
from dcls_cli.backends.split_graphs import SplitGraphs, choose_graphs
from dcls_cli.config import ModelConfig
from dcls_cli.errors import BackendError, DclsError
from dcls_cli.machine import free_memory_bytes

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: With sides up to this one the matrices are small beside the activations.
_LONGEST_SIDE_PX = 1024


class OnnxBackend:
    """A `Backend` of a network's split graphs; see export/README.md."""

    def __init__(self, parts: SplitGraphs, device: str, note: str | None = None) -> None:
        """Open all graphs on a device.

        Raises:
            BackendError: the device is not usable here.
        """
        self._parts = parts
        self._device = device
        self._notes = [] if note is None else [note]
        self._restorer = _session_on(parts.contents["restorer"], device)
        statistics: dict[graphs.Kind, InferenceSession] = {
            kind: _session_on(content, device)
            for kind, content in parts.contents.items()
            if kind != "restorer"
        }
        self._gathering = GraphEstimator(self.config, statistics)
        self._exact: InferenceSession | None = None

    @classmethod
    def load(cls, path: Path, device: str = "auto", precision: str = "auto") -> Self:
        """Load a graph or the graphs beside a weight file: first the device, then the precision.

        The device `auto` takes a GPU that works, else the CPU. That a GPU is there and does not
        work is reported; that there is none is not. The precision suits the device that is used.

        Raises:
            BackendError: the device or the precision is not usable here.
            WeightsError: a file is missing, damaged or of other weights.
        """
        *gpus, last = device_candidates(device)
        note = None
        for name in gpus:
            parts = choose_graphs(path, name, precision)
            try:
                return cls(parts, name)
            except BackendError as error:
                note = f"{error}; the CPU is used"
        return cls(choose_graphs(path, last, precision), last, note)

    @property
    def config(self) -> ModelConfig:
        """Configuration of the network."""
        return self._parts.info.config

    @property
    def device(self) -> str:
        """The device, and that it is ONNX Runtime's."""
        return f"{self._device} (ONNX Runtime)"

    @property
    def precision(self) -> str:
        """Type in which the convolutions run."""
        return self._parts.info.precision

    @property
    def lanes(self) -> int:
        """On NVIDIA's GPUs, one tile is transferred while another is restored."""
        return 2 if sessions.parse_device(self._device)[0] in sessions.CONCURRENT else 1

    @property
    def batch_px(self) -> int:
        """Batches of tiles were not faster."""
        return 0

    def take_notes(self) -> list[str]:
        """That `auto` could not use a GPU."""
        notes, self._notes = self._notes, []
        return notes

    def memory(self) -> Memory:
        """What is free, and what a pixel takes, about; of a GPU the machine's memory stands in."""
        config = self.config
        layers = layer_bytes(config)
        if config.upsampler == "stepwise":
            layers = max(layers, 3 * 4 * config.features * config.scale**2)
        longest = _LONGEST_SIDE_PX if self._parts.info.fft == "matmul" else None
        return Memory(free_memory_bytes(), layers + 3 * 4 * 3 * config.scale**2, longest)

    def estimate(
        self, lr: np.ndarray | Raster, *, tiled: bool = True, kernel: np.ndarray | None = None
    ) -> Blur:
        """Estimate the blur of a photo in fp32, window by window; see `Backend.estimate`."""
        return self._gathering.estimate(lr, tiled=tiled, known=kernel)

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        """Restore images or tiles that share one blur; see `Backend.restore`.

        The graph takes everything global as inputs. What the blur lacks, because it was not
        estimated for tiles, is computed here for each image; the attention takes nearly as long as
        the restoration.
        """
        if self._gathering.lacks(blur):
            return np.concatenate(
                [
                    self._restored(image[None], self._gathering.completed(image, blur))
                    for image in lr
                ]
            )
        return self._restored(lr, blur)

    def _restored(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        """Restore images with a blur that lacks nothing."""
        if self._parts.info.fft == "matmul":
            sessions.check_memory(lr.shape, matrix_bytes(lr.shape))
        image = {"lr": np.ascontiguousarray(lr, np.float32)}
        inputs = image | blur_arrays(blur, graphs.blur_inputs("restorer", self.config))
        restored = self._run(self._restorer, inputs)
        finite = bool(np.isfinite(restored).all())
        if not finite and self.precision != "fp32":
            restored = self._run(self._exact_session(), inputs)
            finite = bool(np.isfinite(restored).all())
        if not finite:
            raise DclsError("the network produced non-finite values, even in fp32")
        return restored

    def _exact_session(self) -> "InferenceSession":
        """The restorer in fp32, for what this one cannot restore."""
        if self._exact is None:
            content = self._parts.read_exact()
            if content is None:
                raise DclsError(
                    f"the network produced non-finite values in {self.precision}, and there is no "
                    "graph in fp32 beside it; export one with `dcls export-onnx --split`"
                )
            self._exact = _session_on(content, self._device)
        return self._exact

    def _run(self, session: "InferenceSession", inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Bound inputs go to the device once, and only the picture comes back."""
        with sessions.translated_memory_errors(inputs["lr"].shape):
            binding = session.io_binding()
            for name, part in inputs.items():
                binding.bind_cpu_input(name, part)
            binding.bind_output("sr", "cpu")
            session.run_with_iobinding(binding)
            (restored,) = binding.copy_outputs_to_cpu()
        return np.asarray(restored, np.float32)


def _session_on(content: bytes, device: str) -> "InferenceSession":
    """A session of a graph; see `open_session`."""
    return open_session(device, lambda providers: sessions.start_session(content, providers))
