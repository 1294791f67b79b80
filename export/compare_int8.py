"""How far pictures restored in int8 are from those in fp32, pixel by pixel; see export/README.md.

    python export/compare_int8.py PHOTO... [--model dcls-light-x4]

Both are ONNX Runtime's, with the same blur, on the middle of each photo, clipped to [0, 1].
"""

import argparse
from pathlib import Path

import numpy as np

from dcls_cli.backends.loading import load_backend
from dcls_cli.image import read
from dcls_cli.metrics import psnr
from dcls_cli.models.releases import location, release

#: Of a photo, so much of its middle a side.
SIDE_PX = 192


def middle(path: Path) -> np.ndarray:
    """Of a photo: (3, h, w) float32."""
    pixels = read(path).pixels.transpose(2, 0, 1)
    top, left = (max(side - SIDE_PX, 0) // 2 for side in pixels.shape[1:])
    return np.ascontiguousarray(pixels[:, top : top + SIDE_PX, left : left + SIDE_PX], np.float32)


def main() -> None:
    """Print the worst picture by each figure, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--model", default="dcls-light-x4")
    options = parser.parse_args()
    weights = location(release(options.model))
    exact, quantised = (load_backend(weights, "cpu", kind, "onnx") for kind in ("fp32", "int8"))
    rows = []
    for path in options.photos:
        lr = middle(path)
        blur = exact.estimate(lr)
        first, second = (
            backend.restore(lr[None], blur)[0].clip(0, 1).astype(np.float64)
            for backend in (exact, quantised)
        )
        levels = 255 * np.abs(first - second)
        rows.append(
            (
                psnr(second, first, peak=1.0),
                levels.max(),
                np.quantile(levels, 0.999),
                levels.mean(),
                path.name,
            )
        )
    decibels, largest, nearly, means = np.array([row[:4] for row in rows]).T
    print(f"{options.model}, {len(rows)} pictures; differences in levels of 255")
    print(f"PSNR of int8 to fp32: mean {decibels.mean():.1f} dB, least {decibels.min():.1f}")
    print(f"mean difference: {means.mean():.2f}, of the worst picture {means.max():.2f}")
    print(f"99.9 % of the values of a picture: {nearly.mean():.1f}, worst {nearly.max():.1f}")
    worst = rows[int(largest.argmax())]
    print(f"largest: {worst[1]:.1f} ({worst[4]}), median {np.median(largest):.1f}")


if __name__ == "__main__":
    main()
