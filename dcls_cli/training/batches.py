"""Batches that depend on the seed and the step alone."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple, Self

import torch
from torch import Tensor

from dcls_cli.degradation import degrade_isotropic, gaussian_kernel, quantise
from dcls_cli.degradation.classical import degrade_anisotropic, draw_kernels, sent
from dcls_cli.degradation.draws import draw_damage
from dcls_cli.degradation.photo import PhotoDamage, damage_photo
from dcls_cli.training.config import TrainConfig
from dcls_cli.training.images import ImageStore
from dcls_cli.training.recolouring import Recolouring

#: LR pixels around a patch that absorb the borders of blur and bicubic, then are cut off.
MARGIN = 6
#: Patches that `TrainConfig.softness` makes less sharp.
SOFT_SHARE = 0.4
#: A Gaussian as narrow as this is the unit impulse.
NO_BLUR = 1e-2
#: Detail is measured at every so many pixels.
DETAIL_STEP = 4


class Batch(NamedTuple):
    """lr (B, 3, p, p) rounded to 8 bit, hr (B, 3, sp, sp), kernel (B, 1, k, k) in HR pixels.

    clear (B, 3, p, p) and blurred (B, 3, p, p) are the unrounded LR images before and after the
    blur where Eq. 7 needs them, else None. noise (B,): power of noise over power of the image for
    damaged photos, else None.
    """

    lr: Tensor
    hr: Tensor
    kernel: Tensor
    clear: Tensor | None = None
    blurred: Tensor | None = None
    noise: Tensor | None = None

    def parts(self, count: int) -> Iterator[Self]:
        """The batch in `count` parts of the same size, one after the other."""
        pieces = [
            [None] * count if tensor is None else torch.tensor_split(tensor, count)
            for tensor in self
        ]
        for part in zip(*pieces, strict=True):
            yield type(self)(*part)


class PatchSampler:
    """Random crops, flips, rotations and blurs; the same for a step however often it is asked."""

    def __init__(
        self, store: ImageStore, config: TrainConfig, scale: int, kernel_size: int, images: bool
    ) -> None:
        """`images` adds the clear and blurred LR images that Eq. 7 needs."""
        self.store, self.config, self.scale = store, config, scale
        self.kernel_size, self.images = kernel_size, images
        self.window = (config.patch + 2 * MARGIN) * scale
        areas = (store.sizes - self.window + 1).clamp(min=1).prod(1).double()
        self.cumulative = areas.cumsum(0) / areas.sum()

    @staticmethod
    def min_side(config: TrainConfig, scale: int) -> int:
        """Smallest side of an image that a window fits into, HR pixels."""
        return (config.patch + 2 * MARGIN) * scale

    def batch(self, step: int, salt: int, rank: int = 0, world: int = 1) -> Batch:
        """The batch of a step, or every `world`-th patch of it from `rank` on.

        Args:
            step: training step.
            salt: changes every batch; counts roll-backs, so that a batch is not met twice.
            rank: index of this process.
            world: number of processes.
        """
        config, device = self.config, self.store.pixels.device
        random = torch.Generator().manual_seed(_seed(config.seed, salt) ^ step)
        count, n = config.batch, config.candidates
        image = torch.searchsorted(
            self.cumulative, torch.rand(count * n, generator=random, dtype=torch.float64)
        ).clamp(max=len(self.cumulative) - 1)
        corner = torch.rand(count * n, 2, generator=random, dtype=torch.float64)
        corner = (corner * (self.store.sizes[image] - self.window + 1)).long()
        draws = torch.rand(count, 2, generator=random)
        position = draws.mean(1) if config.sigma_centred else draws[:, 0]
        sigma = config.sigma_min + position * (config.sigma_max - config.sigma_min)
        symmetry = torch.randint(8, (count,), generator=random)

        mine = slice(rank, None, world)
        image, corner = image.view(count, n)[mine], corner.view(count, n, 2)[mine]
        start, width = self.store.windows(image, corner[..., 0], corner[..., 1])
        hr = self.store.crop(*self._with_most_detail(start, width), self.window)
        hr = _orient(hr, symmetry[mine])
        if config.softness > 0:
            hr = _softened(hr, _soft_widths(count, config.softness, random)[mine])
        if config.degradation == "photo":
            size = (self.window // self.scale,) * 2
            widths = (config.sigma_min, config.sigma_max)
            colours = Recolouring.draw(count, random)
            damage = draw_damage(count, size, self.kernel_size, widths, self.scale, random=random)
            damage = damage.neutral(colours.grey)
            return self._photograph(colours.part(mine)(hr), damage.part(mine, device))
        if config.degradation == "anisotropic":
            widths = (config.sigma_min, config.sigma_max)
            kernel = draw_kernels(count, self.kernel_size, widths, config.disturbance, random)
            kernel = sent(kernel[mine], device)
            blurred = degrade_anisotropic(hr, kernel, self.scale)
        else:
            sigma = sent(sigma[mine], device)
            kernel = gaussian_kernel(sigma, self.kernel_size)
            blurred = degrade_isotropic(hr, sigma, self.scale, self.kernel_size)
        noise = None
        if config.noise_level > 0:
            noise = torch.randn(count, 3, config.patch, config.patch, generator=random)
            noise = sent(noise[mine], device) * (config.noise_level / 255)
        return self._gaussian(hr, kernel, blurred, noise)

    def _with_most_detail(self, start: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Of (B, n) windows the (B,) whose pixels, sampled coarsely, differ most."""
        if start.shape[1] == 1:
            return start[:, 0], width[:, 0]
        green = self.store.pixels[:, 1]
        span = torch.arange(0, self.window - 1, DETAIL_STEP, device=green.device)
        index = start[..., None, None] + span[:, None] * width[..., None, None] + span
        below = (index + width[..., None, None]).flatten()
        index = index.flatten()
        here = green[index].short()
        detail = (here - green[index + 1].short()).abs() + (here - green[below].short()).abs()
        best = detail.float().view(*start.shape, -1).mean(-1).argmax(1, keepdim=True)
        return start.gather(1, best)[:, 0], width.gather(1, best)[:, 0]

    def _gaussian(self, hr: Tensor, kernel: Tensor, blurred: Tensor, noise: Tensor | None) -> Batch:
        """Add noise, round, and cut the margins off."""
        s, m = self.scale, MARGIN
        blurred = blurred[..., m:-m, m:-m]
        clear = None
        if self.images:
            no_blur = torch.full((len(hr),), NO_BLUR, device=hr.device)
            clear = degrade_isotropic(hr, no_blur, s, self.kernel_size)[..., m:-m, m:-m]
        lr = quantise(blurred if noise is None else blurred + noise)
        target = hr[..., m * s : -m * s, m * s : -m * s]
        return Batch(lr, target, kernel, clear, blurred if self.images else None)

    def _photograph(self, hr: Tensor, damage: PhotoDamage) -> Batch:
        s, m = self.scale, MARGIN
        lr, noise, kernel = damage_photo(hr, damage, s)
        target = hr[..., m * s : -m * s, m * s : -m * s]
        return Batch(lr[..., m:-m, m:-m], target, kernel, noise=noise)


def _seed(seed: int, salt: int) -> int:
    """32 bits, all that PyTorch's generator on the CPU looks at; steps fill the lower ones."""
    if seed == salt == 0:
        return 0
    return int.from_bytes(hashlib.sha256(f"{seed} {salt}".encode()).digest()[:4])


def _soft_widths(count: int, widest: float, random: torch.Generator) -> Tensor:
    """Blur of the sharp images themselves, HR pixels: none for most, up to `widest` for some."""
    some = torch.rand(count, generator=random) < SOFT_SHARE
    width = widest * torch.rand(count, generator=random)
    return torch.where(some, width, 0.0).clamp(min=NO_BLUR)


def _softened(images: Tensor, width: Tensor) -> Tensor:
    """Blur each image by a Gaussian of its own, rows and columns as two matrix products.

    Weights that would fall off the image are shared by the others, so that borders stay bright.

    Args:
        images: (B, C, n, n).
        width: (B,) HR pixels, on the CPU.
    """
    pixel = torch.arange(images.shape[-1], device=images.device)
    distance = (pixel[:, None] - pixel).square()
    width = sent(width, images.device)[:, None, None]
    matrix = torch.exp(-0.5 * distance / width.square())
    matrix = (matrix / matrix.sum(2, keepdim=True)).unsqueeze(1)
    return matrix @ images @ matrix.mT


def _orient(images: Tensor, symmetry: Tensor) -> Tensor:
    """Flip and rotate each square image by one of the eight symmetries of the square."""
    out = torch.empty_like(images)
    for index, code in enumerate(symmetry.tolist()):
        image = images[index]
        if code & 1:
            image = image.flip(-1)
        if code & 2:
            image = image.flip(-2)
        if code & 4:
            image = image.transpose(-1, -2)
        out[index] = image
    return out
