"""Make small pictures, as up-scalers are given them, to measure the ranges of int8 graphs on.

    python export/make_calibration.py PHOTOS -o export/calibration

Of every photo the sharpest part is taken, blurred and made four times smaller; every second one is
then damaged as cameras do it. See export/calibration/README.md for the photos that were used.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dcls_cli.degradation import degrade_isotropic, quantise
from dcls_cli.degradation.photo import PhotoDamage, damage_photo
from dcls_cli.evaluation.gaussian8 import read_hr

SIDE_PX = 64
SCALE = 4

#: Widths of the blurs, pixels of the photo: somewhat less than the networks learnt.
SIGMAS = (0.4, 3.6)
TAPS = 21


def sharpest(photo: Tensor) -> Tensor:
    """The part of a photo (3, H, W) whose neighbouring pixels differ most: (1, 3, side, side)."""
    side = SIDE_PX * SCALE
    best, found = -1.0, photo
    for top in range(0, photo.shape[1] - side + 1, 32):
        for left in range(0, photo.shape[2] - side + 1, 32):
            part = photo[:, top : top + side, left : left + side]
            detail = float(part.diff(dim=1).square().mean() + part.diff(dim=2).square().mean())
            if detail > best:
                best, found = detail, part
    return found[None]


def main() -> None:
    """Write one PNG for each photo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    random = torch.Generator().manual_seed(0)
    for index, path in enumerate(sorted(options.photos.iterdir())):
        clear = sharpest(torch.from_numpy(read_hr(path).astype(np.float32)) / 255)
        if index % 2:
            damage = PhotoDamage.draw(1, (SIDE_PX, SIDE_PX), TAPS, SIGMAS, random)
            small = damage_photo(clear, damage, SCALE).lr
        else:
            sigma = SIGMAS[0] + (SIGMAS[1] - SIGMAS[0]) * torch.rand(1, generator=random)
            small = quantise(degrade_isotropic(clear, sigma, SCALE))
        pixels = (small[0].permute(1, 2, 0) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(options.output / f"{path.stem}.png", optimize=True)


if __name__ == "__main__":
    main()
