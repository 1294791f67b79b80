"""Makes README's three photographs: each enlarged by bicubic, by dcls and by Real-ESRGAN.

Real-ESRGAN runs in the environment that `docs/ncnn_enlarge.py` describes:

    python docs/make_photos.py --python ncnn-venv/bin/python
"""

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from dcls_cli import upscale_file

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"

GAP_PX = 8

#: What the GAN sees around the detail, so that the border of the picture does not show.
MARGIN_PX = 24

#: Real-ESRGAN has no network for photographs at ×2: its ×4 result is reduced.
GAN_SCALE = 4


@dataclass(frozen=True)
class Photo:
    """A photograph of `examples/` and the detail to show.

    Attributes:
        file: name in `examples/`.
        scale: up-scaling factor.
        left: of the detail, pixels of the photo, as are the others.
        top: of the detail.
        width: of the detail.
        height: of the detail.
    """

    file: str
    scale: int
    left: int
    top: int
    width: int
    height: int

    def box(self, scale: int, margin: int = 0) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the detail in an enlarged photo."""
        return (
            scale * (self.left - margin),
            scale * (self.top - margin),
            scale * (self.left + self.width + margin),
            scale * (self.top + self.height + margin),
        )


PHOTOS = (
    Photo("rocket.jpg", 2, 500, 250, 136, 120),
    Photo("tesla.jpg", 4, 100, 80, 68, 60),
    Photo("patch.png", 4, 14, 20, 68, 60),
)


def main() -> None:
    """Write docs/pictures/photo-*.jpg."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="of the environment of ncnn_enlarge.py")
    options = parser.parse_args()
    for photo in PHOTOS:
        panels = (bicubic(photo), dcls(photo), gan(photo, options.python))
        width, height = panels[0].size
        sheet = Image.new("RGB", (len(panels) * (width + GAP_PX) - GAP_PX, height), "white")
        for place, panel in enumerate(panels):
            sheet.paste(panel, (place * (width + GAP_PX), 0))
        path = PICTURES / f"photo-{Path(photo.file).stem}.jpg"
        sheet.save(path, quality=93, subsampling="4:4:4", optimize=True)


def source(photo: Photo) -> Image.Image:
    """The photo as it is in `examples/`."""
    return Image.open(ROOT / "examples" / photo.file).convert("RGB")


def bicubic(photo: Photo) -> Image.Image:
    """The detail, enlarged by bicubic interpolation."""
    picture = source(photo)
    size = (picture.width * photo.scale, picture.height * photo.scale)
    return picture.resize(size, Image.Resampling.BICUBIC).crop(photo.box(photo.scale))


def dcls(photo: Photo) -> Image.Image:
    """The detail as `dcls upscale FILE -s SCALE` restores it."""
    with TemporaryDirectory() as folder:
        output = Path(folder) / "photo.png"
        upscale_file(ROOT / "examples" / photo.file, output, scale=photo.scale, device="cpu")
        return Image.open(output).convert("RGB").crop(photo.box(photo.scale))


def gan(photo: Photo, python: str) -> Image.Image:
    """The detail as Real-ESRGAN makes it."""
    picture = source(photo)
    left, top, right, bottom = photo.box(1, MARGIN_PX)
    left, top = max(left, 0), max(top, 0)
    seen = picture.crop((left, top, min(right, picture.width), min(bottom, picture.height)))
    script = Path(__file__).with_name("ncnn_enlarge.py")
    with TemporaryDirectory() as folder:
        given = Path(folder) / "given.png"
        seen.save(given)
        command = [python, script, "realesrgan", given, "-o", Path(folder) / "out"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        large = Image.open(Path(folder) / "out" / "given.png").convert("RGB")
    detail = (photo.left - left, photo.top - top)
    detail += (detail[0] + photo.width, detail[1] + photo.height)
    cut = large.crop(tuple(GAN_SCALE * edge for edge in detail))
    size = (photo.width * photo.scale, photo.height * photo.scale)
    return cut if cut.size == size else cut.resize(size, Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
