"""Make small pictures, as up-scalers are given them, to measure the ranges of int8 graphs on.

    python export/make_calibration.py PHOTOS -o export/calibration

Of every photo the sharpest parts are taken, blurred and made four times smaller; every second one
is then damaged as cameras do it. See export/calibration/README.md for the photos that were used.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dcls_cli.degradation import degrade_isotropic, quantise
from dcls_cli.degradation.draws import draw_damage
from dcls_cli.degradation.photo import damage_photo
from dcls_cli.evaluation.samples import distinct_names, find_images, read_hr

SIDE_PX = 64
SCALE = 4

#: Parts of one photo at most, and the grid of their corners.
PARTS = 4
STEP_PX = 32

#: Widths of the blurs, pixels of the photo: somewhat less than the networks learnt.
SIGMAS = (0.4, 3.6)
TAPS = 21


def sharpest(photo: Tensor) -> list[Tensor]:
    """Parts of a photo (3, H, W) whose neighbouring pixels differ most: (1, 3, side, side) each.

    They do not overlap; the sharpest is the first.
    """
    side = SIDE_PX * SCALE
    detail = {}
    for top in range(0, photo.shape[1] - side + 1, STEP_PX):
        for left in range(0, photo.shape[2] - side + 1, STEP_PX):
            part = photo[:, top : top + side, left : left + side]
            differences = part.diff(dim=1).square().mean() + part.diff(dim=2).square().mean()
            detail[top, left] = float(differences)
    found: list[tuple[int, int]] = []
    for top, left in sorted(detail, key=lambda corner: -detail[corner]):
        apart = all(abs(top - y) >= side or abs(left - x) >= side for y, x in found)
        if apart and len(found) < PARTS:
            found.append((top, left))
    return [photo[None, :, top : top + side, left : left + side] for top, left in found]


def small(clear: Tensor, damaged: bool, random: torch.Generator) -> Tensor:
    """A part (1, 3, side, side), blurred, made smaller and perhaps damaged as cameras do it."""
    if damaged:
        damage = draw_damage(1, (SIDE_PX, SIDE_PX), TAPS, SIGMAS, SCALE, random=random)
        return damage_photo(clear, damage, SCALE).lr
    sigma = SIGMAS[0] + (SIGMAS[1] - SIGMAS[0]) * torch.rand(1, generator=random)
    return quantise(degrade_isotropic(clear, sigma, SCALE))


def main() -> None:
    """Write PNGs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    random = torch.Generator().manual_seed(0)
    made = 0
    paths = find_images(options.photos, "sharp")
    for path, stem in zip(paths, distinct_names([path.name for path in paths]), strict=True):
        photo = torch.from_numpy(read_hr(path).astype(np.float32)) / 255
        for index, clear in enumerate(sharpest(photo)):
            lr = small(clear, damaged=made % 2 == 1, random=random)
            made += 1
            pixels = (lr[0].permute(1, 2, 0) * 255).round().byte().numpy()
            name = f"{stem}-{index}.png"
            Image.fromarray(pixels).save(options.output / name, optimize=True)


if __name__ == "__main__":
    main()
