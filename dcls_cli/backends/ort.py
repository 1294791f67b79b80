"""The network on ONNX Runtime: two graphs, no PyTorch."""

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from dcls_cli import graphs
from dcls_cli.backends import Blur, Memory, Raster, sessions
from dcls_cli.backends.pairs import Pair
from dcls_cli.backends.providers import open_session
from dcls_cli.config import ModelConfig
from dcls_cli.errors import BackendError, DclsError
from dcls_cli.machine import free_memory_bytes
from dcls_cli.network.windows import WINDOW_PX, Interval, intervals

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: What transforms by matrices take, bytes for each square of a side: phases as whole numbers and as
#: floats, cosines and sines.
_MATRIX_BYTES = 24

#: With sides up to this one the matrices are small beside the activations.
_LONGEST_SIDE_PX = 1024

#: Layers of the restorer whose activations are alive at a time, in units of all its channels.
_LIVE = 8

_NO_ATTENTION = (
    "networks whose attention or smoothing filters look at the whole photo need PyTorch to be "
    "tiled: pip install 'dcls[torch]' and give the safetensors file"
)


class OnnxBackend:
    """A `Backend` of an estimator and a restorer graph; see export/README.md."""

    def __init__(self, pair: Pair, device: str = "auto") -> None:
        """Open both graphs on a device.

        Args:
            pair: the graphs.
            device: auto, cpu, cuda[:N], tensorrt[:N], directml[:N], coreml.

        Raises:
            BackendError: the device is not usable here, or the network needs PyTorch.
        """
        self._pair = pair
        config = pair.info.config
        given = {"kernel", *graphs.estimates_of(config)}
        if not set(graphs.statistics_of(config)) <= given:
            raise BackendError(_NO_ATTENTION)
        self._restorer, self._device, note = _opened(pair.restorer, device)
        self._notes = [] if note is None else [note]
        self._estimator, *_ = _opened(pair.estimator, self._device)
        self._exact: InferenceSession | None = None

    @property
    def config(self) -> ModelConfig:
        """Configuration of the network."""
        return self._pair.info.config

    @property
    def device(self) -> str:
        """The device, and that it is ONNX Runtime's."""
        return f"{self._device} (ONNX Runtime)"

    @property
    def precision(self) -> str:
        """Type in which the convolutions run."""
        return self._pair.info.precision

    @property
    def lanes(self) -> int:
        """On a GPU, one tile is transferred while another is restored."""
        return 1 if self._device == "cpu" else 2

    @property
    def batch_px(self) -> int:
        """Batches of tiles were not faster."""
        return 0

    def told(self) -> list[str]:
        """That `auto` could not use a GPU."""
        notes, self._notes = self._notes, []
        return notes

    def memory(self) -> Memory:
        """What is free, and what a pixel takes, about; of a GPU the machine's memory stands in."""
        config = self.config
        channels = config.features + config.path_features
        layers = _LIVE * 4 * channels
        if config.upsampler == "stepwise":
            layers = max(layers, 3 * 4 * config.features * config.scale**2)
        longest = _LONGEST_SIDE_PX if self._pair.info.fft == "matmul" else None
        return Memory(free_memory_bytes(), layers + 3 * 4 * 3 * config.scale**2, longest)

    def estimate(
        self, lr: np.ndarray | Raster, *, tiled: bool = True, kernel: np.ndarray | None = None
    ) -> Blur:
        """Estimate the blur of a photo in fp32, window by window; see `Backend.estimate`.

        What is given does not depend on the kernel here, nor on whether there are tiles.
        """
        config = self.config
        _, height, width = lr.shape
        margin, reach = graphs.pool_margin(config), graphs.estimator_reach(config)
        names = ["pooled", "kernel", *graphs.estimates_of(config)]
        pooled = np.zeros((1, graphs.pool_width(config)), np.float32)
        axes = [intervals(side, WINDOW_PX, reach, margin) for side in (height, width)]
        found: dict[str, np.ndarray] = {}
        for rows, columns in product(*axes):
            window = np.ascontiguousarray(lr[:, rows.read, columns.read][None], np.float32)
            inputs = {
                "lr": window,
                "rows": _weights(rows, height, margin),
                "columns": _weights(columns, width, margin),
                "before": pooled,
            }
            with sessions.translated_memory_errors(window.shape):
                values = self._estimator.run(names, inputs)
            found = dict(zip(names, values, strict=True))
            pooled = found["pooled"]
        if not all(np.isfinite(part).all() for part in found.values()):
            raise DclsError("the estimated blur is not finite: the weights are unusable")
        own = found["kernel"][0, 0] if kernel is None else np.asarray(kernel, np.float32)
        smoothing, noise = found.get("smoothing"), found.get("noise")
        return Blur(
            own,
            None if smoothing is None else smoothing[0],
            None if noise is None else noise[0],
        )

    def restore(self, lr: np.ndarray, blur: Blur) -> np.ndarray:
        """Restore images or tiles that share one blur; see `Backend.restore`."""
        if self._pair.info.fft == "matmul":
            sessions.check_memory(lr.shape, _MATRIX_BYTES * sum(side**2 for side in lr.shape[-2:]))
        inputs = {"lr": lr, "kernel": blur.kernel[None]}
        for name in graphs.statistics_of(self.config):
            inputs[name] = getattr(blur, name)
        arrays = {name: _batch(part, name) for name, part in inputs.items()}
        restored = self._run(self._restorer, arrays)
        finite = bool(np.isfinite(restored).all())
        if not finite and self.precision != "fp32":
            restored = self._run(self._exact_session(), arrays)
            finite = bool(np.isfinite(restored).all())
        if not finite:
            raise DclsError("the network produced non-finite values, even in fp32")
        return restored

    def _exact_session(self) -> "InferenceSession":
        """The restorer in fp32, for what this one cannot restore."""
        if self._exact is None:
            content = self._pair.read_exact()
            if content is None:
                raise DclsError(
                    f"the network produced non-finite values in {self.precision}, and there is no "
                    "graph in fp32 beside it; export one with `dcls export-onnx --split`"
                )
            self._exact, *_ = _opened(content, self._device)
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


def _opened(content: bytes, device: str) -> "tuple[InferenceSession, str, str | None]":
    """A session of a graph; see `open_session`."""
    return open_session(device, lambda providers: sessions.start(content, providers))


def _weights(interval: Interval, length: int, margin: int) -> np.ndarray:
    """How much each pixel of an interval counts in the mean over an axis: (pooled pixels,)."""
    pooled = max(length - margin, 1)
    weights = np.zeros(max(interval.read.stop - interval.read.start - margin, 1), np.float32)
    first = interval.first - interval.read.start
    weights[first : first + interval.last - interval.first] = 1 / pooled
    return weights


def _batch(part: np.ndarray, name: str) -> np.ndarray:
    """An image batch as it is, a statistic as a batch of one."""
    batch = part if name == "lr" else np.asarray(part)[None]
    return np.ascontiguousarray(batch, np.float32)
