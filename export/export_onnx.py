"""Export releases as ONNX and print how each graph compares with PyTorch.

    python export/export_onnx.py -o FOLDER [--fft matmul] [--fp16] [NAME ...]
    python export/export_onnx.py --shipped [NAME ...]

The second regenerates graphs in weights/, which the wheel carries, and SHA256SUMS.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from dcls_cli.export import ExportOptions, Parity, export
from dcls_cli.files.atomic import atomic_write
from dcls_cli.graphs import main_part_paths
from dcls_cli.models.releases import RELEASES, location, release

#: Pictures to measure the ranges of int8 on.
CALIBRATION = Path(__file__).parent / "calibration"

#: Releases whose graphs are in the wheel, so that they restore without PyTorch.
SHIPPED = tuple(item.name for item in RELEASES)


def tell(name: str, what: str, size: int, parity: Sequence[Parity]) -> None:
    """Print a line of the table."""
    largest, kernel = (max(getattr(item, key) for item in parity) for key in ("largest", "kernel"))
    least = min(item.psnr_db for item in parity)
    print(
        f"| {name} | {what} | {size / 1e6:.1f} | {largest:.1e} | {kernel:.1e} | {least:.0f} dB |",
        flush=True,
    )


def write(name: str, output: Path, options: ExportOptions) -> None:
    """Export a release and print a line, and one more for int8."""
    report = export(location(release(name)), output, options, overwrite=True)
    exact = [graph for graph in report.graphs if graph.precision != "int8"]
    parity = report.parity if options.int8 is None else report.parity[:-1]
    what = " + ".join(graph.kind for graph in exact) + f" {exact[-1].precision}"
    tell(name, what, sum(graph.size for graph in exact), parity)
    if options.int8 is not None:
        tell(name, "restorer int8", report.graphs[-1].size, report.parity[-1:])


def write_sums() -> None:
    """Write the checksums of all released files: weights, then graphs."""
    weights = [location(item) for item in RELEASES]
    graphs = [location(release(name)).with_suffix(".onnx") for name in SHIPPED]
    files = [*weights]
    for path in graphs:
        files += [*main_part_paths(path), main_part_paths(path, "int8")[1]]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]

    def writer(file: BinaryIO) -> None:
        file.write("".join(lines).encode())

    atomic_write(weights[0].parent / "SHA256SUMS", writer, overwrite=True)


def main() -> None:
    """Write `NAME.onnx` and its halves for each release, or the halves of those in the wheel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[item.name for item in RELEASES])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", type=Path, help="folder")
    where.add_argument("--shipped", action="store_true")
    parser.add_argument("--fft", choices=("dft", "matmul"), default="matmul")
    parser.add_argument("--fp16", action="store_true")
    options = parser.parse_args()
    print("| release | graph | MB | picture | kernel | PSNR |")
    print("| --- | --- | --- | --- | --- | --- |")
    int8 = None if options.fp16 else CALIBRATION
    split = ExportOptions(fft=options.fft, split=True, half=options.fp16, int8=int8)
    if options.shipped:
        split = ExportOptions(fft="matmul", split=True, int8=CALIBRATION)
        for name in options.names:
            write(name, location(release(name)).with_suffix(".onnx"), split)
        write_sums()
        return
    options.output.mkdir(parents=True, exist_ok=True)
    fused = ExportOptions(fft=options.fft, shape=(None, None), half=options.fp16)
    for name in options.names:
        for wanted in (fused, split):
            write(name, options.output / f"{name}.onnx", wanted)


if __name__ == "__main__":
    main()
