"""The damage of ordinary photographs: blur of any direction, sharpening, sensor noise, JPEG."""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from dcls_cli.degradation.classical import degrade, quantise, sent
from dcls_cli.degradation.jpeg import compressed, compressed_elsewhere, from_ycbcr

#: A Gaussian as narrow as this leaves white noise white.
WHITE = 0.05
#: Below it taps are 0: processors take a hundred times longer for denormal numbers.
SMALLEST_TAP = 1e-6


def grained(pattern: Tensor, width: Tensor) -> Tensor:
    """Blur white noise (B, C, h, w) by a Gaussian of a width (B,) and make it as strong as before.

    `WHITE` leaves it as it is. Neighbours at a distance d then correlate by exp(-d² / 4 width²),
    and every pixel, those of the border too, keeps the variance 1.
    """
    rows, columns = (_matrix(width, side) for side in pattern.shape[-2:])
    return rows @ pattern @ columns.mT


def _matrix(width: Tensor, side: int) -> Tensor:
    """(B, 1, side, side): Gaussians around each pixel, the squares of each row's taps sum to 1."""
    pixel = torch.arange(side, device=width.device, dtype=width.dtype)
    distance = (pixel[:, None] - pixel).square()
    taps = torch.exp(-0.5 * distance / width[:, None, None].square())
    taps = torch.where(taps < SMALLEST_TAP, 0.0, taps)
    return (taps / taps.square().sum(2, keepdim=True).sqrt())[:, None]


def blotches(pattern: Tensor, width: Tensor) -> Tensor:
    """Noise of colour alone: (B, 2, h, w) standard normal -> (B, 3, h, w) RGB without luma.

    Cb and Cr are standard normal, of grain as of `grained`.
    """
    chroma = grained(pattern, width)
    return from_ycbcr(torch.cat((torch.zeros_like(chroma[:, :1]), chroma), 1))


#: The mask's blur: the binomial (1 2 1) / 4 in both directions.
TAPS = (0.25, 0.5, 0.25)


def binomial(image: Tensor) -> Tensor:
    """Blur by `TAPS` in both directions, borders replicated: (B, C, h, w) -> the same."""
    side, middle, _ = TAPS
    for axis in (-2, -1):
        padding = (1, 1, 0, 0) if axis == -1 else (0, 0, 1, 1)
        padded = F.pad(image, padding, mode="replicate")
        length = image.shape[axis]
        neighbours = padded.narrow(axis, 0, length) + padded.narrow(axis, 2, length)
        image = middle * image + side * neighbours
    return image


def sharpened(image: Tensor, amount: Tensor) -> Tensor:
    """The unsharp mask x + a (x - b * x) of a binomial b: (B, C, h, w), a (B,) -> the same shape.

    Not clamped; an amount of 0 changes nothing.
    """
    return torch.lerp(binomial(image), image, 1 + amount[:, None, None, None])


def effective_kernel(kernel: Tensor, amount: Tensor, scale: int) -> Tensor:
    """The HR kernel of a blur (B, 1, n, n) whose reduced image is then sharpened; sum 1.

    The mask is linear, and its taps lie `scale` HR pixels apart: blur k and mask together are
    k * (d + a (d - b_s)), where d is the unit impulse and b_s the binomial with scale - 1 zeros
    between its taps. The result is cropped to the width of k, which it exceeds by `scale` on each
    side: what a wide blur loses there is a little of its negative rim.
    """
    side, middle, _ = TAPS
    smooth = kernel
    for axis in (-2, -1):
        padding = (scale, scale, 0, 0) if axis == -1 else (0, 0, scale, scale)
        padded = F.pad(smooth, padding)
        length = kernel.shape[axis]
        neighbours = padded.narrow(axis, 0, length) + padded.narrow(axis, 2 * scale, length)
        smooth = middle * smooth + side * neighbours
    full = torch.lerp(smooth, kernel, 1 + amount[:, None, None, None])
    return full / full.sum((-2, -1), keepdim=True)


#: No picture is compressed first at a size above this many times its own.
LARGEST_FACTOR = 1.4
#: A quality that stands for no compression.
UNCOMPRESSED = 101.0


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoDamage:
    """What happens to each of B photos; every field is (B, ...).

    Attributes:
        blur: (B, 1, k, k), HR pixels.
        kernel: (B, 1, k, k) of blur and reduction, for the antialiased bicubic; HR pixels.
        sharpening: amount of the unsharp mask; 0: none.
        noise: standard deviation at mid grey, in units of the full range.
        noise_first: whether the noise is sharpened too.
        shot: share of the noise's variance that grows with the light.
        grey: share of the noise's variance that is the same in all channels.
        grain: standard deviation of the grain, LR pixels; `WHITE`: none.
        blotches: standard deviation of the noise of Cb and Cr, in units of the full range.
        blotch: its grain.
        colour_pattern: (B, 3, h, w) standard normal.
        grey_pattern: (B, 1, h, w) standard normal.
        blotch_pattern: (B, 2, h, w) standard normal.
        first_quality: of a JPEG at another size; above 100: there was none.
        first_factor: of that size.
        first_start: (B, 2) where the picture starts within its blocks, pixels, 0 to 16.
        quality: of JPEG; above 100: not compressed.
        subsampled: whether both JPEGs halve the chroma.
        grid: (B, 2) where JPEG's blocks start, pixels, 0 to 15.
    """

    blur: Tensor
    kernel: Tensor
    sharpening: Tensor
    noise: Tensor
    noise_first: Tensor
    shot: Tensor
    grey: Tensor
    grain: Tensor
    blotches: Tensor
    blotch: Tensor
    colour_pattern: Tensor
    grey_pattern: Tensor
    blotch_pattern: Tensor
    first_quality: Tensor
    first_factor: Tensor
    first_start: Tensor
    quality: Tensor
    subsampled: Tensor
    grid: Tensor

    @classmethod
    def none(cls, kernel: Tensor, lr_size: tuple[int, int]) -> Self:
        """Blur alone, by kernels (B, 1, k, k); `replace` adds what is wanted.

        The patterns are 0, so that noise needs some too.
        """
        count = kernel.shape[0]
        nothing, first = kernel.new_zeros(count), kernel.new_ones(count)
        never = nothing.bool()
        patterns = kernel.new_zeros(count, 6, *lr_size)
        return cls(
            blur=kernel,
            kernel=kernel,
            sharpening=nothing,
            noise=nothing,
            noise_first=never,
            shot=nothing,
            grey=nothing,
            grain=WHITE * first,
            blotches=nothing,
            blotch=first,
            colour_pattern=patterns[:, :3],
            grey_pattern=patterns[:, 3:4],
            blotch_pattern=patterns[:, 4:],
            first_quality=UNCOMPRESSED * first,
            first_factor=first,
            first_start=kernel.new_zeros(count, 2),
            quality=UNCOMPRESSED * first,
            subsampled=never,
            grid=torch.zeros(count, 2, dtype=torch.int64, device=kernel.device),
        )

    def neutral(self, grey: Tensor) -> Self:
        """Without colour in the noise of some: (B,) bool."""
        return replace(
            self,
            grey=torch.where(grey, 1.0, self.grey),
            blotches=torch.where(grey, 0.0, self.blotches),
        )

    def part(self, which: slice, device: torch.device) -> Self:
        """Some of the photos, on a device, but for what the CPU decides by: see `_ON_CPU`."""
        parts = {field.name: getattr(self, field.name)[which] for field in fields(self)}
        moved = {name: sent(part, device) for name, part in parts.items() if name not in _ON_CPU}
        return type(self)(**(parts | moved))


#: What stays on the CPU, where the sizes of what follows from it are decided: of a GPU they would
#: have to be fetched, after all that it has to do before.
_ON_CPU = ("kernel", "first_quality")


class Damaged(NamedTuple):
    """lr (B, 3, h, w) of 8 bits; noise (B,); kernel (B, 1, k, k).

    noise: power of everything but blur and sharpening over the variance of the image without it.
    kernel: of blur and sharpening. The reduction's difference from the antialiased bicubic is left
        out: it is 1 % of the picture, but as HR taps it has up to six times the kernel's L1 norm,
        in frequencies that no LR image shows.
    """

    lr: Tensor
    noise: Tensor
    kernel: Tensor


def damage_photo(hr: Tensor, damage: PhotoDamage, scale: int) -> Damaged:
    """Blur, reduce, add noise, sharpen, compress, resize and compress again."""
    reduced = degrade(hr, damage.kernel, scale)
    clean = sharpened(reduced, damage.sharpening)
    # The mask is linear: what it makes of the noise can be added.
    noise = sharpened(_noise(reduced, damage), damage.sharpening * damage.noise_first)
    lr = quantise(_compressed_before(clean + noise, damage))
    lr = compressed(lr, damage.quality, damage.subsampled, damage.grid)
    power = (lr - clean).square().mean((1, 2, 3))
    ratio = power / clean.var((1, 2, 3)).clamp(min=1e-4)
    kernel = effective_kernel(damage.blur, damage.sharpening, scale)
    return Damaged(lr, ratio.clamp(1e-6, 1), kernel)


def _noise(image: Tensor, damage: PhotoDamage) -> Tensor:
    """Shot and read noise, grey and coloured, and blotches of colour: (B, 3, h, w)."""
    pattern = _each((1 - damage.grey).sqrt()) * damage.colour_pattern
    pattern = grained(pattern + _each(damage.grey.sqrt()) * damage.grey_pattern, damage.grain)
    shot = _each(damage.shot)
    variance = 1 - shot + shot * 2 * image.clamp(0, 1)
    noise = _each(damage.noise) * variance.sqrt() * pattern
    return noise + _each(damage.blotches) * blotches(damage.blotch_pattern, damage.blotch)


def _compressed_before(image: Tensor, damage: PhotoDamage) -> Tensor:
    """JPEG at another size, of those photos that had it."""
    some = (damage.first_quality <= 100).nonzero()[:, 0]
    if not len(some):
        return image
    quality = sent(damage.first_quality[some], image.device)
    some = sent(some, image.device)
    before = compressed_elsewhere(
        image[some],
        quality,
        damage.subsampled[some],
        damage.first_factor[some],
        start=damage.first_start[some],
        largest=LARGEST_FACTOR,
    )
    return image.index_copy(0, some, before)


def _each(values: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return values[:, None, None, None]
