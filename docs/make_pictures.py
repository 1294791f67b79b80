"""Makes the pictures of README, the guides and weights/README.md from the example photo."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dcls_cli import Upscaler
from dcls_cli.degradation import degrade_isotropic, quantise
from dcls_cli.degradation.draws import draw_damage
from dcls_cli.degradation.photo import PhotoDamage, damage_photo
from dcls_cli.models.releases import RELEASES

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
SCALE = 4
#: Left, top, right, bottom in pixels of the small photo.
DETAIL = (30, 36, 94, 116)
KERNEL_ZOOM = 12

#: Left, top, right, bottom of a strip's detail, pixels of the original.
STRIP = (120, 192, 360, 432)
GAP_PX = 8
#: In the middle of the range that each scale is measured at.
SIGMAS = {2: 1.2, 3: 1.9, 4: 2.5}
KERNEL_SIZE = 21


def main() -> None:
    """Write docs/pictures/*.png."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    example()
    original = Image.open(ROOT / "examples" / "dog-original.png").convert("RGB")
    for item in RELEASES:
        strip(original, item.name, item.scale, photo=item.preset == "photo")
    fidelities(original)


def example() -> None:
    """The detail of the example photo that README shows."""
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


def strip(original: Image.Image, model: str, scale: int, *, photo: bool) -> None:
    """Input, bicubic, network and original side by side."""
    small = damaged(original, scale) if photo else reduced(original, scale)
    panels = [
        small.resize(original.size, Image.Resampling.NEAREST),
        small.resize(original.size, Image.Resampling.BICUBIC),
        Upscaler.from_pretrained(model).up(small).image,
        original,
    ]
    width, height = STRIP[2] - STRIP[0], STRIP[3] - STRIP[1]
    sheet = Image.new("RGB", (len(panels) * (width + GAP_PX) - GAP_PX, height), "white")
    for place, panel in enumerate(panels):
        sheet.paste(panel.crop(STRIP), (place * (width + GAP_PX), 0))
    sheet.save(PICTURES / f"strip-{model}.png", optimize=True)


def fidelities(original: Image.Image) -> None:
    """One photo with noise and JPEG damage: bicubic, then with less and less cleaned away."""
    small = damaged(original, SCALE)
    upscaler = Upscaler.from_pretrained("dcls-photo-x4")
    panels = {"bicubic": small.resize(original.size, Image.Resampling.BICUBIC)}
    for fidelity in (0, 0.25, 1):
        panels[f"{fidelity:g}"] = upscaler.up(small, fidelity=fidelity).image
    for name, panel in (panels | {"original": original}).items():
        panel.crop(STRIP).save(PICTURES / f"fidelity-{name}.png", optimize=True)


def reduced(original: Image.Image, scale: int) -> Image.Image:
    """Isotropic blur, antialiased bicubic, 8 bits: what the light networks expect."""
    sigma = torch.tensor([SIGMAS[scale]])
    return to_image(quantise(degrade_isotropic(to_tensor(original), sigma, scale=scale)))


def damaged(original: Image.Image, scale: int) -> Image.Image:
    """What the photo network expects: slanted blur, sharpening, noise, JPEG."""
    size = (original.height // scale, original.width // scale)
    draws = torch.Generator().manual_seed(4)
    drawn = draw_damage(1, size, KERNEL_SIZE, (2.0, 3.0), scale, random=draws)
    named = {"sharpening": 0.3, "noise": 3 / 255, "quality": 85.0}
    fixed = {name: torch.tensor([value]) for name, value in named.items()}
    damage = PhotoDamage(**(vars(drawn) | fixed))
    return to_image(damage_photo(to_tensor(original), damage, scale).lr)


def to_tensor(picture: Image.Image) -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255


def to_image(batch: Tensor) -> Image.Image:
    """The only picture of a batch in [0, 1]."""
    return Image.fromarray((batch[0].permute(1, 2, 0) * 255).round().byte().numpy())


if __name__ == "__main__":
    main()
