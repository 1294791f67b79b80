"""Export every release as ONNX and print how each graph compares with PyTorch.

python export/export_onnx.py -o FOLDER [--fft matmul] [--fp16] [NAME ...]
"""

import argparse
from pathlib import Path

from dcls_cli.export import ExportOptions, export
from dcls_cli.releases import RELEASES, location, release


def main() -> None:
    """Write `NAME.onnx`, `NAME-estimator.onnx` and `NAME-restorer.onnx` for each release."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[item.name for item in RELEASES])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    parser.add_argument("--fft", choices=("dft", "matmul"), default="matmul")
    parser.add_argument("--fp16", action="store_true")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    print("| release | graph | MB | picture | kernel | PSNR |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.names:
        for split in (False, True):
            wanted = ExportOptions(
                fft=options.fft, split=split, half=options.fp16, shape=(None, None)
            )
            output = options.output / f"{name}.onnx"
            report = export(location(release(name)), output, wanted, overwrite=True)
            largest = max(item.largest for item in report.parity)
            kernel = max(item.kernel for item in report.parity)
            least = min(item.psnr_db for item in report.parity)
            size = sum(graph.size for graph in report.graphs) / 1e6
            kinds = " + ".join(graph.kind for graph in report.graphs)
            print(
                f"| {name} | {kinds} | {size:.1f} | {largest:.1e} | {kernel:.1e} | {least:.0f} dB |"
            )


if __name__ == "__main__":
    main()
