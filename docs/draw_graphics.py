"""Draws sharp pictures that no camera took, for `dcls train --hr FOLDER` beside photographs."""

import argparse
from pathlib import Path

from dcls_cli.training.graphics import draw_graphics


def main() -> None:
    """Write PNGs: text, screens, flags, logos, charts, line art, halftone, sprites, gratings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, default=512, help="pixels")
    options = parser.parse_args()
    draw_graphics(options.output, options.count, options.seed, options.side)


if __name__ == "__main__":
    main()
