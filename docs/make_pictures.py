"""Makes the pictures of README: the example photo, bicubic, dcls, the original, the kernel."""

from pathlib import Path

import numpy as np
from PIL import Image

from dcls_cli import Upscaler

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
SCALE = 4
#: Left, top, right, bottom in pixels of the small photo.
DETAIL = (30, 36, 94, 116)
KERNEL_ZOOM = 12


def main() -> None:
    """Write docs/pictures/*.png."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    small = Image.open(ROOT / "examples" / "dog.png")
    original = Image.open(ROOT / "examples" / "dog-original.png")
    result = Upscaler.from_pretrained("dcls-light-x4").up(small)
    size = (small.width * SCALE, small.height * SCALE)
    box = tuple(SCALE * edge for edge in DETAIL)
    for name, picture in (
        ("input", small.resize(size, Image.Resampling.NEAREST)),
        ("bicubic", small.resize(size, Image.Resampling.BICUBIC)),
        ("dcls", result.image),
        ("original", original),
    ):
        picture.crop(box).save(PICTURES / f"dog-{name}.png", optimize=True)
    kernel = np.clip(result.kernel / result.kernel.max(), 0, 1)
    grey = Image.fromarray((255 * np.sqrt(kernel)).astype(np.uint8))
    side = grey.width * KERNEL_ZOOM
    grey.resize((side, side), Image.Resampling.NEAREST).save(PICTURES / "dog-kernel.png")


if __name__ == "__main__":
    main()
