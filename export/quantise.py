"""Quantise a restorer to int8 by calibration on photographs; see export/README.md for figures.

    python export/quantise.py FOLDER/NAME-restorer.onnx PHOTOS -o FOLDER/NAME-int8.onnx

The convolutions get int8 weights, a scale for each channel, and uint8 activations whose ranges are
those of calibration photos. What stays in fp32: the estimator, the linear super-resolver, the
deconvolution with its two 1x1 convolutions, and the last convolution.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from dcls_cli import graphs
from dcls_cli.atomic import atomic_write
from dcls_cli.backends.ort import OnnxBackend
from dcls_cli.degradation import degrade_isotropic, quantise
from dcls_cli.errors import ImageError
from dcls_cli.evaluation.gaussian8 import read_hr
from dcls_cli.export.compact import expand

#: Side of the LR image that each calibration photo gives.
SIDE_PX = 64

#: Widths of the blurs, HR pixels, as in the Gaussian8 protocol.
SIGMAS = (1.8, 3.2)


def low_resolution(folder: Path, count: int, scale: int) -> Iterator[np.ndarray]:
    """LR images (3, SIDE_PX, SIDE_PX) of `count` photos: their middles, blurred and reduced."""
    side = SIDE_PX * scale
    generator = np.random.default_rng(0)
    made = 0
    for path in generator.permutation(sorted(folder.iterdir())):
        try:
            hr = read_hr(Path(path))
        except ImageError:
            continue
        top, left = (hr.shape[1] - side) // 2, (hr.shape[2] - side) // 2
        if min(top, left) < 0 or made == count:
            continue
        made += 1
        clear = torch.from_numpy(hr[:, top : top + side, left : left + side].copy())[None] / 255
        sigma = torch.tensor([generator.uniform(*SIGMAS)], dtype=torch.float32)
        yield quantise(degrade_isotropic(clear, sigma, scale))[0].numpy()


class Calibration(CalibrationDataReader):
    """Inputs of the restorer for calibration images, with the blur that is estimated of each."""

    def __init__(self, backend: OnnxBackend, images: Iterator[np.ndarray]) -> None:
        """Read the images one by one."""
        self._backend, self._images = backend, images

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next inputs, or None at the end."""
        lr = next(self._images, None)
        if lr is None:
            return None
        blur = self._backend.estimate(lr)
        names = graphs.statistics_of(self._backend.config)
        statistics = {name: getattr(blur, name)[None] for name in names}
        return {"lr": lr[None], "kernel": blur.kernel[None, None], **statistics}


def kept_in_fp32(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that stay as they are."""
    weights = {tensor.name for tensor in model.graph.initializer}
    shuffled = {node.input[0] for node in model.graph.node if node.op_type == "DepthToSpace"}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv"
        and (
            node.input[1] not in weights
            or ".deconvolution." in node.input[1]
            or node.output[0] in shuffled
        )
    ]


def main() -> None:
    """Write both halves under a new name; the estimator is the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("restorer", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    content, info = graphs.read(options.restorer)
    model = onnx.load_model_from_string(content)
    expand(model)
    backend = OnnxBackend.load(options.restorer, "cpu")
    images = low_resolution(options.photos, options.count, info.config.scale)
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "fp32.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, before)
        quantize_static(
            before,
            after,
            Calibration(backend, images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "LeakyRelu"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept_in_fp32(model),
            calibrate_method=CalibrationMethod.Percentile,
        )
        quantised = onnx.load(after)
    estimator, restorer = graphs.halves(options.output)
    stamped = graphs.stamp(quantised, replace(info, precision="int8"))
    atomic_write(restorer, lambda file: file.write(stamped) and None, overwrite=True)
    other = graphs.partner(options.restorer).read_bytes()
    atomic_write(estimator, lambda file: file.write(other) and None, overwrite=True)


if __name__ == "__main__":
    main()
