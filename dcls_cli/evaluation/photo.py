"""The `photo` benchmark: eight fixed kinds of damage that ordinary photographs have.

It shares no code with the damage of training: blur by numpy's FFT, reduction, unsharp mask and JPEG
by Pillow (libjpeg), noise drawn in linear light. `docs/benchmark.md` publishes the definition; a
change of anything in it needs a new `VERSION`.
"""

import math
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from dcls_cli.evaluation.samples import Sample, TrueKernel, fitting, random_of

VERSION = "photo/1"

#: Taps of the blurs, HR pixels at scale 4; widths and taps shrink with the scale.
KERNEL_SIZE = 25

#: Scale at which the widths of the recipes are given.
REFERENCE_SCALE = 4


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One kind of damage, in the order in which it happens.

    Attributes:
        name: what a photographer would call it.
        sigma: widths of the Gaussian blur along and across, HR pixels at scale 4; 0: no blur.
        angle_deg: of its wide axis: 0 is to the right, 90 up.
        read: standard deviation of the noise in the dark, in linear light, full range 1.
        shot: variance of the noise over the linear light of the pixel.
        grained: the camera smooths its noise: it is grain of two to three pixels.
        sharpening: per cent of Pillow's unsharp mask of radius 1.
        quality: of JPEG; None: no JPEG.
        subsampled: whether JPEG halves the chroma both ways (4:2:0).
    """

    name: str
    sigma: tuple[float, float]
    angle_deg: float = 0.0
    read: float = 0.0
    shot: float = 0.0
    grained: bool = False
    sharpening: int = 0
    quality: int | None = None
    subsampled: bool = True


RECIPES = (
    Recipe(name="sharp", sigma=(0, 0), quality=100, subsampled=False),
    Recipe(name="good camera", sigma=(1.2, 1.2), read=0.001, shot=1e-4, quality=95),
    Recipe(
        name="phone", sigma=(1.8, 1.8), read=0.002, shot=5e-4, grained=True, sharpening=60,
        quality=90,
    ),
    Recipe(
        name="astigmatic lens", sigma=(3.0, 1.2), angle_deg=30, read=0.001, shot=1e-4, quality=92,
        subsampled=False,
    ),
    Recipe(name="high ISO", sigma=(1.5, 1.5), read=0.004, shot=2e-3, quality=95),
    Recipe(
        name="web page", sigma=(2.2, 2.2), read=0.001, shot=2e-4, sharpening=40, quality=75
    ),
    Recipe(
        name="shaken", sigma=(3.6, 0.9), angle_deg=110, read=0.002, shot=4e-4, grained=True,
        quality=85,
    ),
    Recipe(name="out of focus", sigma=(3.2, 3.2), read=0.002, shot=3e-4, quality=60),
)  # fmt: skip


def photo_sample(image: str, hr: NDArray[np.uint8], scale: int) -> Sample:
    """Damage an HR image, (3, H, W), by every recipe.

    Raises:
        ImageError: too small to be compared, or not 8-bit RGB.
    """
    hr = fitting(image, hr, scale)
    kernels = [blur_kernel(recipe, scale) for recipe in RECIPES]
    levels = [
        decoded(damaged(hr, recipe, scale, random_of(VERSION, hr, index)))
        for index, recipe in enumerate(RECIPES)
    ]
    widths = (math.hypot(*recipe.sigma) / math.sqrt(2) for recipe in RECIPES)
    return Sample(
        image=image,
        scale=scale,
        hr=hr,
        lr=np.stack(levels),
        sigmas=tuple(width * scale / REFERENCE_SCALE for width in widths),
        cases=tuple(recipe.name for recipe in RECIPES),
        kernels=tuple(TrueKernel(kernel, "bicubic") for kernel in kernels),
    )


def blur_kernel(recipe: Recipe, scale: int) -> NDArray[np.float64]:
    """Taps of a recipe's Gaussian at a scale, HR pixels: (KERNEL_SIZE, KERNEL_SIZE), sum 1."""
    offset = np.arange(KERNEL_SIZE) - KERNEL_SIZE // 2
    down, right = np.meshgrid(offset, offset, indexing="ij")
    if not any(recipe.sigma):
        return np.asarray((down == 0) & (right == 0), np.float64)
    along, across = (sigma * scale / REFERENCE_SCALE for sigma in recipe.sigma)
    angle = math.radians(recipe.angle_deg)
    u = math.cos(angle) * right - math.sin(angle) * down
    v = math.sin(angle) * right + math.cos(angle) * down
    taps = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2))
    return np.asarray(taps / taps.sum())


def damaged(
    hr: NDArray[np.uint8], recipe: Recipe, scale: int, random: np.random.RandomState
) -> bytes:
    """Blur, reduce and save (3, H, W): a JPEG or PNG of (3, H / scale, W / scale)."""
    small = _reduced(_blurred(hr / 255.0, blur_kernel(recipe, scale)), scale)
    noisy = _noisy(small, recipe, random)
    levels = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))
    if recipe.sharpening:
        mask = ImageFilter.UnsharpMask(radius=1, percent=recipe.sharpening, threshold=0)
        picture = picture.filter(mask)
    coded = BytesIO()
    if recipe.quality is None:
        picture.save(coded, "PNG")
    else:
        sampling = "4:2:0" if recipe.subsampled else "4:4:4"
        picture.save(coded, "JPEG", quality=recipe.quality, subsampling=sampling)
    return coded.getvalue()


def decoded(file: bytes) -> NDArray[np.uint8]:
    """(3, h, w) of a file that `damaged` made."""
    picture = Image.open(BytesIO(file), formats=("JPEG", "PNG")).convert("RGB")
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))


def _blurred(image: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate (3, H, W) with a kernel, edges mirrored ('reflect'), in the frequency domain."""
    reach = len(kernel) // 2
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    size = padded.shape[1:]
    spectrum = np.fft.rfft2(padded) * np.fft.rfft2(kernel[::-1, ::-1], size)
    full = np.fft.irfft2(spectrum, size)
    # The kernel's origin is its corner: what is whole begins 2 x reach pixels in.
    return np.asarray(full[:, 2 * reach :, 2 * reach :])


def _reduced(image: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """Pillow's antialiased bicubic on single-precision planes: (3, H, W) -> (3, h, w)."""
    size = (image.shape[2] // scale, image.shape[1] // scale)
    planes = [
        Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
        for plane in image
    ]
    return np.stack([np.asarray(plane, np.float64) for plane in planes])


def _noisy(
    image: NDArray[np.float64], recipe: Recipe, random: np.random.RandomState
) -> NDArray[np.float64]:
    """Add read and shot noise in linear light, equal parts grey and coloured: (3, h, w)."""
    if not (recipe.read or recipe.shot):
        return image
    linear = _to_linear(np.clip(image, 0, 1))
    grey, colour = (
        random.standard_normal((1, *image.shape[1:])),
        random.standard_normal(image.shape),
    )
    pattern = math.sqrt(0.5) * (grey + colour)
    if recipe.grained:
        pattern = _grain(pattern)
    deviation = np.sqrt(recipe.read**2 + recipe.shot * linear)
    return _to_srgb(np.clip(linear + deviation * pattern, 0, 1))


def _grain(pattern: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 3x3 binomial of white noise, of two thirds of its strength; edges wrap around."""
    for axis in (1, 2):
        pattern = 0.5 * pattern + 0.25 * (np.roll(pattern, 1, axis) + np.roll(pattern, -1, axis))
    # Of the variance (3/8)^2 is left; 16/9 brings the deviation from 3/8 to 2/3.
    return pattern * (16 / 9)


def _to_linear(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """IEC 61966-2-1: sRGB in [0, 1] -> linear light in [0, 1]."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _to_srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `_to_linear`."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
