"""Measure seams: photos restored in tiles against the same photos in one piece.

    python docs/measure_seams.py PHOTO... --weights weights/dcls-light-x4.safetensors

Each photo is cut so that tiles of each size fit with the least overlap, which is the worst case:
elsewhere they are spread evenly and share more. A photo in one piece takes about 2.5 kB of memory
for an LR pixel. Weights are taken in fp32 on PyTorch, graphs (NAME-restorer-int8.onnx) on ONNX
Runtime. Prints a table in Markdown.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from dcls_cli.backends.loading import load_backend
from dcls_cli.graphs import SUFFIX
from dcls_cli.image import Photo, read
from dcls_cli.image.photo import collect
from dcls_cli.upscaling import upscale
from dcls_cli.upscaling.sizes import DEFAULT_OVERLAP_PX

FLOATS = np.dtype(np.float32)


def cut(photo: Photo, tile: int, overlap: int) -> Photo:
    """The largest part in which tiles fit with the least overlap."""
    height, width = (
        (side - overlap) // (tile - overlap) * (tile - overlap) + overlap
        for side in (photo.height, photo.width)
    )
    return replace(photo, samples=photo.samples[:height, :width])


def rows(photo: Path, weights: Path, tiles: list[int], overlap: int) -> Iterator[str]:
    """Measure one photo with one network."""
    backend = load_backend(weights, "cpu", "auto" if weights.suffix == SUFFIX else "fp32")
    for tile in tiles:
        part = cut(read(photo), tile, overlap)
        whole = collect(upscale(part, backend, tile=0), FLOATS)
        started = time.perf_counter()
        upscaled = upscale(part, backend, tile=tile, overlap=overlap)
        estimated = time.perf_counter()
        error = np.abs(collect(upscaled, FLOATS) - whole)
        ended = time.perf_counter()
        db = -10 * np.log10(np.mean(error.astype(np.float64) ** 2))
        share = (estimated - started) / (ended - started)
        yield (
            f"| {weights.stem} | {photo.stem}, {part.width} x {part.height} | {tile} | {overlap} "
            f"| {len(upscaled.tiles)} | {db:.1f} | {255 * error.max():.3f} | {share:.0%} |"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--weights", nargs="+", type=Path, required=True)
    parser.add_argument("--tiles", nargs="+", type=int, default=[278, 139])
    parser.add_argument("--overlap", type=int, default=DEFAULT_OVERLAP_PX)
    given = parser.parse_args()
    print("| network | photo | tile | overlap | tiles | PSNR, dB | worst, of 255 | estimate |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")  # noqa: T201
    for photo in given.photos:
        for weights in given.weights:
            for row in rows(photo, weights, given.tiles, given.overlap):
                print(row, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
