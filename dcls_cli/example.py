"""The example photo: a small real picture to check an engine or a graph with."""

from importlib import resources
from pathlib import Path

import numpy as np

NAME = "dog.png"


def location() -> Path:
    """Where the photo lies: in the installed package, or in a checkout."""
    packaged = Path(str(resources.files("dcls_cli"))) / "_examples"
    if packaged.is_dir():
        return packaged / NAME
    return Path(__file__).resolve().parents[1] / "examples" / NAME


def pixels(height: int = 144, width: int = 144) -> np.ndarray:
    """The photo, (3, height, width) float32 in [0, 1]: cut, or continued by its mirror image.

    Raises:
        ImageError: the installation is damaged.
    """
    from dcls_cli.image import read

    photo = read(location()).pixels.transpose(2, 0, 1)
    missing = [
        max(side - have, 0) for side, have in zip((height, width), photo.shape[1:], strict=True)
    ]
    filled = np.pad(photo, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric")
    return np.ascontiguousarray(filled[:, :height, :width], np.float32)
