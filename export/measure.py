"""Compare the engines' times on a picture, with one thread, in one run; see export/README.md.

    OMP_NUM_THREADS=1 python export/measure.py PHOTO WEIGHTS.safetensors NAME.onnx [--side 256]

NAME.onnx names graphs that were made with `dcls export-onnx --split --int8`: NAME-restorer.onnx,
NAME-restorer-int8.onnx and what goes with them. "Plain" is the same network as the authors' code
runs it: fp32, channels first, every channel deconvolved by complex FFTs of its own. All engines
restore the picture in one piece. Of networks that look at the whole photo (the paper's layout) the
graphs of P and of the gates are run each time; a line more for each restorer is without them, as
for the tiles of a photo, which share them.

The times are processor times of the whole process, which other work on the machine disturbs less
than the clock. All engines take turns, and each has the median of its rounds.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from dcls_cli.backends.loading import load_backend
from dcls_cli.evaluation.samples import read_hr
from dcls_cli.graphs import part_path, parts_of
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.deconvolution import ConstrainedLeastSquares
from dcls_cli.speed.comparison import plain_least_squares

#: After one that is not counted.
ROUNDS = 7

Run = Callable[[], object]


def plain_run(network: DCLS, lr: np.ndarray) -> Run:
    """The network as the authors' code runs it."""
    deconvolution = network.restorer.deconvolution
    if isinstance(deconvolution, ConstrainedLeastSquares):
        deconvolution.invert = plain_least_squares
    image = torch.from_numpy(lr)[None]

    def run() -> object:
        with torch.inference_mode():
            return network(image)

    return run


def torch_run(path: Path, precision: str, lr: np.ndarray) -> Run:
    """The engine of `dcls`."""
    backend = load_backend(path, "cpu", precision)
    return lambda: backend.restore(lr[None], backend.estimate(lr, tiled=False))


def graph_runs(name: str, restorer: Path, lr: np.ndarray) -> dict[str, Run]:
    """The engine of `dcls`: all that it does, and with P and gates that are known."""
    backend = load_backend(restorer, "cpu")

    def whole() -> object:
        return backend.restore(lr[None], backend.estimate(lr, tiled=False))

    blur = backend.estimate(lr)

    def told() -> object:
        own = backend.estimate(lr, tiled=False)
        return backend.restore(lr[None], replace(blur, kernel=own.kernel, noise=own.noise))

    if {"smoothing", "gates"}.isdisjoint(parts_of(backend.config)):
        return {name: whole}
    return {name: whole, f"{name}, P and gates known": told}


def processor_time_s(work: Run) -> float:
    """What all threads of the process take for a piece of work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Print one line an engine: its time, and how much faster than the first one it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("graphs", type=Path)
    parser.add_argument("--side", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(1)
    side = options.side
    lr = np.ascontiguousarray(read_hr(options.photo)[:, :side, :side], np.float32) / 255
    if lr.shape != (3, side, side):
        parser.error(f"{options.photo}: expected at least {side}x{side} pixels")
    exact, quantised = (part_path(options.graphs, "restorer", kind) for kind in ("fp32", "int8"))
    engines = {
        "plain PyTorch fp32": plain_run(weights.load(options.weights).eval(), lr),
        "PyTorch fp32": torch_run(options.weights, "fp32", lr),
        "PyTorch bf16": torch_run(options.weights, "bf16", lr),
        **graph_runs("ONNX Runtime fp32", exact, lr),
        **graph_runs("ONNX Runtime int8", quantised, lr),
    }
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS + 1):
        for name, run in engines.items():
            times[name].append(processor_time_s(run))
    print(f"| engine, {side} x {side} | ms | us per LR pixel | times as fast as plain |")
    print("| --- | --- | --- | --- |")
    middle = {name: median(rounds[1:]) for name, rounds in times.items()}
    for name, seconds in middle.items():
        ratio = middle["plain PyTorch fp32"] / seconds
        print(f"| {name} | {seconds * 1e3:.0f} | {seconds * 1e6 / side**2:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
