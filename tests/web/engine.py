"""The Python engine, to compare the page's results with."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from dcls_cli import Upscaler
from dcls_cli.image import decode
from dcls_cli.models.auto import choose

#: 8-bit levels by which page and Python engine may differ.
TOLERANCE = 2

#: The same where a result was corrected: Python leaves out small parts of the kernel there.
CORRECTED_TOLERANCE = 6

LIGHT, PHOTO = "dcls-light-x4", "dcls-photo-x4"


def differs(page: Path, picture: Image.Image | Path, model: str, fidelity: float = 0.0) -> int:
    """Largest difference of the page's result from the Python engine's, in levels."""
    upscaler = Upscaler.from_pretrained(model, device="cpu", precision="fp32")
    if isinstance(picture, Path):
        picture = Image.open(picture)
    expected = np.asarray(upscaler.up(picture, fidelity=fidelity).image).astype(int)
    with Image.open(page) as image:
        found = np.asarray(image).astype(int)
    assert found.shape == expected.shape
    return int(np.abs(found - expected).max())


def chosen(picture: Path) -> str:
    """The network that `-m auto` takes for a file, at x4."""
    return choose(decode(BytesIO(picture.read_bytes())), 4).model
