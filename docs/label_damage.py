"""The ways in which `label_networks.py` makes and saves small pictures."""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from dcls_cli.evaluation.photo import RECIPES, photo_sample

FILTERS = {
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
QUALITIES = (60, 75, 85, 90, 95, 100)
CHROMA = ("4:4:4", "4:2:0")


class Damage(NamedTuple):
    """A way to make and save a small picture.

    Attributes:
        name: of the row.
        change: of the reduced picture.
        save: to the bytes of a file.
        recipe: of `--benchmark photo`, which reduces and damages in place of the others.
    """

    name: str
    change: Callable[[Image.Image, np.random.Generator], Image.Image]
    save: Callable[[Image.Image], bytes]
    recipe: int | None = None


def damages() -> list[Damage]:
    """Clean files, JPEG and former JPEG, noise, grain, cut-outs, other formats."""

    def same(picture: Image.Image, _: np.random.Generator) -> Image.Image:
        return picture

    found = [Damage(f"png, {name}", same, as_png) for name in FILTERS]
    for quality in QUALITIES:
        for chroma in CHROMA:
            save = jpeg(quality, chroma)
            found.append(Damage(f"jpeg {quality} {chroma}", same, save))

            def former(
                picture: Image.Image,
                _: np.random.Generator,
                save: Callable[[Image.Image], bytes] = save,
            ) -> Image.Image:
                return Image.open(io.BytesIO(save(picture))).convert("RGB")

            found.append(Damage(f"png of jpeg {quality} {chroma}", former, as_png))
    found += [Damage(f"png, noise {sigma}", noise(sigma, grain=False), as_png)
              for sigma in (2, 4, 8, 16, 30)]  # fmt: skip
    found += [Damage(f"png, grain {sigma}", noise(sigma, grain=True), as_png) for sigma in (3, 6)]
    found += [
        Damage(f"png, {recipe.name}", same, as_png, number) for number, recipe in enumerate(RECIPES)
    ]
    found.append(Damage("png, cut-out", cut_out, as_png))
    found.append(Damage("webp, lossless", same, saved("WEBP", lossless=True)))
    found.append(Damage("webp 80", same, saved("WEBP", quality=80)))
    found.append(Damage("avif 100", same, saved("AVIF", quality=100, subsampling="4:4:4")))
    found.append(Damage("avif 70", same, saved("AVIF", quality=70)))
    return found


def as_photographed(sharp: Image.Image, recipe: int, scale: int) -> Image.Image:
    """A picture reduced and damaged by a recipe of `--benchmark photo`."""
    levels = np.ascontiguousarray(np.asarray(sharp).transpose(2, 0, 1))
    lr = photo_sample("labelled", levels, scale).lr[recipe]
    return Image.fromarray(np.ascontiguousarray(lr.transpose(1, 2, 0)))


def saved(form: str, **options: object) -> Callable[[Image.Image], bytes]:
    """To a format of Pillow's."""

    def save(picture: Image.Image) -> bytes:
        file = io.BytesIO()
        picture.save(file, form, **options)
        return file.getvalue()

    return save


as_png = saved("PNG")


def jpeg(quality: int, chroma: str) -> Callable[[Image.Image], bytes]:
    """Of a quality and a layout of the chroma."""
    return saved("JPEG", quality=quality, subsampling=chroma)


def noise(
    sigma: float, *, grain: bool
) -> Callable[[Image.Image, np.random.Generator], Image.Image]:
    """White noise of so many levels, or grain of two to three pixels."""

    def change(picture: Image.Image, random: np.random.Generator) -> Image.Image:
        levels = np.asarray(picture, float)
        pattern = random.normal(0, 1, levels.shape)
        if grain:
            for axis in (0, 1):
                pattern += (np.roll(pattern, 1, axis) + np.roll(pattern, -1, axis)) / 2
            pattern /= pattern.std()
        noisy = np.rint(np.clip(levels + sigma * pattern, 0, 255))
        return Image.fromarray(noisy.astype(np.uint8))

    return change


def cut_out(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """A disc of the picture, with a soft edge of two pixels; the colours stay below."""
    y, x = np.mgrid[: picture.height, : picture.width]
    radius = random.uniform(0.3, 0.5) * picture.height
    distance = np.hypot(y - picture.height / 2, x - picture.width / 2)
    alpha = np.rint(255 * np.clip((radius - distance) / 2 + 0.5, 0, 1)).astype(np.uint8)
    cut = picture.copy()
    cut.putalpha(Image.fromarray(alpha))
    return cut
