"""Run a .dtmodel as darktable does, tile by tile, and compare with the whole picture.

    python export/check_darktable.py upscale-dcls.dtmodel PICTURE... [--tile 512]

darktable's loop for up-scaling, written from a reading of its sources: square tiles of one size,
each side overlapping its neighbours by 16 pixels, which are cut off again; beyond the borders, and
where a tile is larger than the picture, the picture's mirror image. The whole picture gets the
same mirrored border, then none, where the graph replicates the outermost pixels: that changes one
or two pixels along the borders. PSNR and the largest difference, in levels of 255, are of pictures
in 8 bits.
"""

import argparse
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

#: Pixels on each side of a tile that are cut off.
OVERLAP_PX = 16

Run = Callable[[np.ndarray], np.ndarray]


def mirrored(start: int, count: int, side: int) -> np.ndarray:
    """Which pixels of a side a tile takes, reflected once at each border, then repeated."""
    position = np.abs(np.arange(start, start + count))
    position = np.where(position >= side, 2 * side - 2 - position, position)
    return np.clip(position, 0, side - 1)


def in_tiles(run: Run, picture: np.ndarray, scale: int, tile: int) -> np.ndarray:
    """Enlarge (3, H, W) as darktable does."""
    _, height, width = picture.shape
    step, cut = tile - 2 * OVERLAP_PX, OVERLAP_PX * scale
    whole = np.empty((3, height * scale, width * scale), np.float32)
    for top in range(0, height, step):
        rows = mirrored(top - OVERLAP_PX, tile, height)
        for left in range(0, width, step):
            columns = mirrored(left - OVERLAP_PX, tile, width)
            large = run(picture[:, rows][:, :, columns])
            target = whole[
                :, top * scale : (top + step) * scale, left * scale : (left + step) * scale
            ]
            target[:] = large[:, cut : cut + target.shape[1], cut : cut + target.shape[2]]
    return whole


def in_one_piece(run: Run, picture: np.ndarray, scale: int) -> np.ndarray:
    """Enlarge (3, H, W) whole, with the border that the tiles have."""
    rows, columns = (
        mirrored(-OVERLAP_PX, side + 2 * OVERLAP_PX, side) for side in picture.shape[1:]
    )
    cut = OVERLAP_PX * scale
    return run(picture[:, rows][:, :, columns])[:, cut:-cut, cut:-cut]


def difference(one: np.ndarray, other: np.ndarray) -> tuple[float, int]:
    """PSNR in dB, and the largest difference in levels of 255."""
    one, other = ((picture.clip(0, 1) * 255).round() for picture in (one, other))
    error = float(np.square(one - other).mean())
    psnr = float("inf") if error == 0 else 10 * np.log10(255**2 / error)
    return psnr, int(np.abs(one - other).max())


def graphs(package: Path) -> dict[int, Run]:
    """The graphs of a package by their factors, each a function of (3, H, W)."""
    found: dict[int, Run] = {}
    with zipfile.ZipFile(package) as file:
        for scale in (2, 4):
            content = file.read(f"{package_id(file)}/model_x{scale}.onnx")
            found[scale] = _function(content)
    return found


def package_id(file: zipfile.ZipFile) -> str:
    """The folder at the top of a package, which darktable takes for its id."""
    return file.namelist()[0].split("/")[0]


def _function(content: bytes) -> Run:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (lr,), (sr,) = session.get_inputs(), session.get_outputs()

    def run(picture: np.ndarray) -> np.ndarray:
        return np.asarray(session.run([sr.name], {lr.name: picture[None]})[0][0])

    return run


def read(path: Path) -> np.ndarray:
    """A picture, (3, H, W) in [0, 1]."""
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--tile", type=int, default=512)
    given = parser.parse_args(arguments)
    print("| picture | scale | to the whole: dB, largest | without a border: dB, largest |")
    print("| --- | --- | --- | --- |")
    for scale, run in graphs(given.package).items():
        for path in given.pictures:
            picture = read(path)
            tiles = in_tiles(run, picture, scale, given.tile)
            wholes = in_one_piece(run, picture, scale), run(picture)
            found = [difference(tiles, whole) for whole in wholes]
            columns = " | ".join(f"{psnr:.1f}, {largest}" for psnr, largest in found)
            print(f"| {path.name} | {scale} | {columns} |", flush=True)


if __name__ == "__main__":
    main()
