"""Other colours for training images: grey ones, exchanged channels, equally bright neighbours.

In photographs a change of colour is a change of brightness nearly always. Flags, logos, text and
paintings are not like that, and grey pictures must stay grey.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from dcls_cli.degradation.classical import sent
from dcls_cli.degradation.jpeg import TO_YCBCR

GREY_SHARE = 0.08
EXCHANGED_SHARE = 0.18
TURNED_SHARE = 0.1
#: Of images whose brightness is nearly even, so that only their colours have edges.
EVEN_SHARE = 0.1

#: Gain of turned colours.
TURNED_CHROMA = (0.5, 1.5)
#: Gains of even images.
EVEN_LUMA, EVEN_CHROMA = (0.05, 0.5), (1.2, 2.0)
#: Brightness that even images come near to.
EVEN_LEVEL = (0.3, 0.7)

#: All orders of the channels but the usual one.
ORDERS = ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@dataclass(frozen=True, eq=False)
class Recolouring:
    """x -> matrix x + level for the colours of B images.

    Attributes:
        matrix: (B, 3, 3), whose rows have the same sum: grey stays grey.
        level: (B,).
        grey: (B,) bool, whether all colour is taken away.
    """

    matrix: Tensor
    level: Tensor
    grey: Tensor

    @classmethod
    def draw(cls, count: int, random: torch.Generator) -> Self:
        """Draw the colours of `count` images, on the CPU; most keep theirs."""
        kind, luma, chroma, angle, level = torch.rand(5, count, generator=random)
        order = torch.randint(len(ORDERS), (count,), generator=random)
        limits = torch.tensor([GREY_SHARE, EXCHANGED_SHARE, TURNED_SHARE, EVEN_SHARE]).cumsum(0)
        grey, exchanged, turned, even = (
            torch.searchsorted(limits, kind, right=True) == index for index in range(4)
        )
        unchanged = torch.eye(3)
        by_order = unchanged[torch.tensor(ORDERS)][order]
        gain = torch.where(even, _between(EVEN_LUMA, luma), 1.0)
        chroma_range = torch.where(
            even, _between(EVEN_CHROMA, chroma), _between(TURNED_CHROMA, chroma)
        )
        by_hue = _turned(gain, torch.where(grey, 0.0, chroma_range), 2 * math.pi * angle)
        matrix = torch.where(_each(exchanged), by_order, unchanged)
        matrix = torch.where(_each(grey | turned | even), by_hue, matrix)
        return cls(matrix, (1 - gain) * _between(EVEN_LEVEL, level), grey)

    def part(self, which: slice) -> Self:
        """Of some of the images."""
        return type(self)(self.matrix[which], self.level[which], self.grey[which])

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] on any device -> the same, clamped; `images` is not kept.

        A grey image has three equal channels to the last bit.
        """
        unchanged = torch.eye(3)
        for index, (matrix, level) in enumerate(zip(self.matrix, self.level, strict=True)):
            if torch.equal(matrix, unchanged):
                continue
            # A grey image gets its only channel three times.
            rows = matrix[:1] if self.grey[index] else matrix
            rows = sent(rows.to(images.dtype), images.device)
            mixed = torch.einsum("ij,jhw->ihw", rows, images[index]) + float(level)
            images[index] = mixed.clamp(0, 1)
        return images


def _turned(luma: Tensor, chroma: Tensor, angle: Tensor) -> Tensor:
    """RGB matrices of a gain of Y, and of a gain and rotation of (Cb, Cr): (B, 3, 3)."""
    to_ycbcr = torch.tensor(TO_YCBCR, dtype=torch.float64)
    inner = torch.zeros(len(luma), 3, 3, dtype=torch.float64)
    inner[:, 0, 0] = luma
    inner[:, 1, 1] = inner[:, 2, 2] = chroma * angle.cos()
    inner[:, 1, 2] = -chroma * angle.sin()
    inner[:, 2, 1] = chroma * angle.sin()
    turned: Tensor = torch.linalg.inv(to_ycbcr) @ inner @ to_ycbcr
    return turned.float()


def _between(limits: tuple[float, float], share: Tensor) -> Tensor:
    """The value at a share of the way from the lower limit to the upper one."""
    low, high = limits
    return low + (high - low) * share


def _each(values: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1)."""
    return values[:, None, None]
