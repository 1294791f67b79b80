"""A photo's blur, estimated with graphs: what `network.statistics` does with PyTorch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from dcls_cli import graphs
from dcls_cli.backends import Blur, Raster, sessions
from dcls_cli.config import ModelConfig
from dcls_cli.errors import DclsError
from dcls_cli.network.windows import (
    SMOOTHING_MARGIN,
    SMOOTHING_TAPS,
    WINDOW_PX,
    Interval,
    JointWindows,
    bins,
    intervals,
    joint_windows,
    one_window,
    smoothing_reach,
)

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: What transforms by matrices take, bytes for each square of a side: phases as whole numbers and as
#: floats, cosines and sines.
_MATRIX_BYTES = 24

#: Layers of the restorer whose activations are alive at a time, in units of all its channels.
_LIVE = 8


class GraphEstimator:
    """Runs the estimator, and where a network has them the graphs of its smoothing and gates."""

    def __init__(
        self, config: ModelConfig, parts: Mapping[graphs.Kind, "InferenceSession"]
    ) -> None:
        """Use sessions of the graphs that `graphs.parts_of` names; that of a restorer is not."""
        self._config = config
        self._parts = parts

    def estimate(
        self,
        lr: np.ndarray | Raster,
        *,
        tiled: bool,
        known: np.ndarray | None = None,
        window: int = WINDOW_PX,
    ) -> Blur:
        """Estimate the blur of a photo of any size in bounded memory; see `Backend.estimate`.

        A `known` kernel takes the place of the estimated one before P and the gates, which depend
        on it; a window gives `window` pixels a side to a pool.

        Raises:
            DclsError: the estimate is not finite.
            OutOfMemoryError: the photo does not fit.
            BackendError: ONNX Runtime refuses the photo.
        """
        blur = self._by_code(lr, window)
        if known is not None:
            blur = replace(blur, kernel=np.asarray(known, np.float32))
        if tiled:
            blur = self._completed(lr, blur, joint_windows(*lr.shape[1:]), window)
        parts = (blur.kernel, blur.smoothing, blur.noise, blur.gates)
        if not all(part is None or np.isfinite(part).all() for part in parts):
            raise DclsError("the estimated blur is not finite: the weights are unusable")
        return blur

    def lacks(self, blur: Blur) -> bool:
        """Whether a restorer needs more of the blur, which `completed` adds."""
        return any(getattr(blur, name) is None for name in graphs.statistics_of(self._config))

    def completed(self, lr: np.ndarray, blur: Blur) -> Blur:
        """Add what is computed from a photo (3, H, W) in [0, 1] that is restored in one piece.

        The attention looks at all of it at once, however large it is: so does the restorer.

        Raises:
            OutOfMemoryError: the photo does not fit.
            BackendError: ONNX Runtime refuses it.
        """
        return self._completed(lr, blur, one_window(*lr.shape[1:]), WINDOW_PX)

    def _completed(
        self, lr: np.ndarray | Raster, blur: Blur, windows: JointWindows, window: int
    ) -> Blur:
        """P first: the gates depend on it."""
        if blur.smoothing is None and "smoothing" in self._parts:
            blur = replace(blur, smoothing=self._smoothing(lr, blur, window))
        if blur.gates is None and "gates" in self._parts:
            blur = replace(blur, gates=self._gates(lr, blur, windows))
        return blur

    def _by_code(self, lr: np.ndarray | Raster, window: int) -> Blur:
        """What follows from the estimator's code."""
        config = self._config
        names = ["pooled", "kernel", *graphs.estimates_of(config)]
        margin, reach = graphs.pool_margin(config), graphs.estimator_reach(config)
        pooled = np.zeros((1, graphs.pool_width(config)), np.float32)
        found: dict[str, np.ndarray] = {"pooled": pooled}
        for rows, columns in _windows(lr, window, reach, margin):
            inputs = {
                "lr": _read(lr, rows.read, columns.read),
                "rows": _weights(rows, lr.shape[1], margin, 1)[0],
                "columns": _weights(columns, lr.shape[2], margin, 1)[0],
                "before": found["pooled"],
            }
            found = self._run("estimator", names, inputs)
        smoothing, noise = found.get("smoothing"), found.get("noise")
        return Blur(
            found["kernel"][0, 0],
            None if smoothing is None else smoothing[0],
            None if noise is None else noise[0],
        )

    def _smoothing(self, lr: np.ndarray | Raster, blur: Blur, window: int) -> np.ndarray:
        """The filters P, (C, 3, 3), from sums over the bins of the pool."""
        config, taps = self._config, SMOOTHING_TAPS
        sums = np.zeros((1, config.deconvolved_channels, taps, taps), np.float32)
        found: dict[str, np.ndarray] = {"sums": sums}
        for rows, columns in _windows(lr, window, smoothing_reach(config), SMOOTHING_MARGIN):
            inputs = {
                "lr": _read(lr, rows.read, columns.read),
                "rows": _weights(rows, lr.shape[1], SMOOTHING_MARGIN, taps),
                "columns": _weights(columns, lr.shape[2], SMOOTHING_MARGIN, taps),
                "before": found["sums"],
                **blur_arrays(blur, graphs.blur_inputs("smoothing", config)),
            }
            found = self._run("smoothing", ["sums", "smoothing"], inputs)
        return np.asarray(found["smoothing"][0])

    def _gates(self, lr: np.ndarray | Raster, blur: Blur, windows: JointWindows) -> np.ndarray:
        """The gates, (groups, blocks, F + f), of windows that go through all blocks together."""
        config = self._config
        first_rows, first_columns = windows.windows[0]
        height, width = (part.stop - part.start for part in (first_rows, first_columns))
        shape = (len(windows.windows), 3, height, width)
        pixels = len(windows.windows) * height * width
        sessions.check_memory(shape, pixels * layer_bytes(config) + matrix_bytes(shape))
        inputs = {
            "lr": np.concatenate([_read(lr, *window) for window in windows.windows]),
            "rows": _means(windows.rows, height),
            "columns": _means(windows.columns, width),
            **blur_arrays(blur, graphs.blur_inputs("gates", config)),
        }
        return np.asarray(self._run("gates", ["gates"], inputs)["gates"][0])

    def _run(
        self, kind: graphs.Kind, names: list[str], inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        with sessions.translated_memory_errors(inputs["lr"].shape):
            return dict(zip(names, self._parts[kind].run(names, inputs), strict=True))


def blur_arrays(blur: Blur, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The inputs of a graph that describe a blur, in batches of one; the kernel as one plane."""
    parts = {name: blur.kernel[None] if name == "kernel" else getattr(blur, name) for name in names}
    return {
        name: np.ascontiguousarray(np.asarray(part)[None], np.float32)
        for name, part in parts.items()
    }


def layer_bytes(config: ModelConfig) -> int:
    """What the activations of the blocks take for each LR pixel, about."""
    return _LIVE * 4 * (config.features + config.path_features)


def matrix_bytes(shape: Sequence[int]) -> int:
    """What transforms by matrices take for an input (..., H, W)."""
    return _MATRIX_BYTES * sum(side**2 for side in shape[-2:])


def _windows(
    lr: np.ndarray | Raster, step: int, reach: int, margin: int
) -> Iterator[tuple[Interval, ...]]:
    """Rows and columns of each window of a photo."""
    return product(*(intervals(side, step, reach, margin) for side in lr.shape[1:]))


def _read(lr: np.ndarray | Raster, rows: slice, columns: slice) -> np.ndarray:
    """A window, (1, 3, h, w)."""
    return np.ascontiguousarray(lr[:, rows, columns][None], np.float32)


def _weights(interval: Interval, length: int, margin: int, count: int) -> np.ndarray:
    """Of each pixel that is read in the bins of a pool, (count, pixels); see `bins`.

    The graphs grow what is pooled by the margin, so that there is a weight for each pixel.
    """
    weights = np.zeros((count, interval.read.stop - interval.read.start), np.float32)
    first = interval.first - interval.read.start
    weights[:, first : first + interval.last - interval.first] = bins(
        interval, length, margin, count
    )
    return weights


def _means(core: slice, length: int) -> np.ndarray:
    """Weights of a mean over the core of an axis: (length,)."""
    weights = np.zeros(length, np.float32)
    weights[core] = 1 / (core.stop - core.start)
    return weights
