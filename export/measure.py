"""Compare the engines' times on a picture, with one thread, in one run; see export/README.md.

    OMP_NUM_THREADS=1 python export/measure.py PHOTO WEIGHTS.safetensors NAME-restorer.onnx...

The times are processor times of the whole process, which other work on the machine disturbs less
than the clock. All engines take turns, and each has the median of its rounds.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from dcls_cli.backends import Backend, load_backend
from dcls_cli.evaluation.gaussian8 import read_hr

#: Side of the picture.
SIDE_PX = 256

#: After one that is not counted.
ROUNDS = 7


def processor_time_s(work: Callable[[], object]) -> float:
    """What all threads of the process take for a piece of work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Print one line an engine: its estimate, its restoration, and the ratio of the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("graphs", type=Path, nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lr = read_hr(options.photo)[:, :SIDE_PX, :SIDE_PX].astype(np.float32) / 255
    if lr.shape != (3, SIDE_PX, SIDE_PX):
        parser.error(f"{options.photo}: expected at least {SIDE_PX}x{SIDE_PX} pixels")
    engines: dict[str, Backend] = {
        f"PyTorch {precision}": load_backend(options.weights, "cpu", precision)
        for precision in ("fp32", "bf16")
    }
    for path in options.graphs:
        backend = load_backend(path, "cpu", "auto")
        engines[f"ONNX Runtime {backend.precision}"] = backend
    blurs = {name: engine.estimate(lr) for name, engine in engines.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for _ in range(ROUNDS + 1):
        for name, engine in engines.items():
            estimate_s = processor_time_s(lambda engine=engine: engine.estimate(lr))
            restore_s = processor_time_s(
                lambda engine=engine, name=name: engine.restore(lr[None], blurs[name])
            )
            times[name].append((estimate_s, restore_s))
    print("| engine | estimate, ms | restoration, ms | times as fast as PyTorch fp32 |")
    print("| --- | --- | --- | --- |")
    first = 0.0
    for name, rounds in times.items():
        estimate_s, restore_s = (median(part) for part in zip(*rounds[1:], strict=True))
        first = first or estimate_s + restore_s
        ratio = first / (estimate_s + restore_s)
        print(f"| {name} | {estimate_s * 1000:.0f} | {restore_s * 1000:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
