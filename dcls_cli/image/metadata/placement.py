"""Where the pixels of a photo lie in the picture that is made of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")

#: Orientations in which the first row is the lowest, or the first column the right one, after
#: rows and columns changed places.
UPSIDE_DOWN, LEFT_TO_RIGHT = (3, 4, 7, 8), (2, 3, 6, 7)


@dataclass(frozen=True)
class Placement:
    """Where the pixels of a picture lie in another one, which is turned, then scaled by axes.

    Attributes:
        orientation: how it is turned, 1 to 8, as EXIF counts.
        before: width and height before, pixels.
        after: the same of the picture that it becomes.
    """

    orientation: int
    before: tuple[int, int]
    after: tuple[int, int]

    @property
    def swapped(self) -> bool:
        """Whether rows become columns."""
        return self.orientation >= 5

    @property
    def mirrored(self) -> bool:
        """Whether left and right hands change."""
        return self.orientation in (2, 4, 5, 7)

    @property
    def scales(self) -> tuple[float, float]:
        """Pixels after for each one before that lies in the same direction after turning."""
        width, height = self.turned(*self.before)
        return self.after[0] / width, self.after[1] / height

    def turned(self, across: Item, down: Item) -> tuple[Item, Item]:
        """A pair of sizes, or of anything else that belongs to the axes, after turning."""
        return (down, across) if self.swapped else (across, down)

    def size(self, width: float, height: float) -> tuple[float, float]:
        """A size in pixels."""
        across, down = self.turned(width, height)
        return across * self.scales[0], down * self.scales[1]

    def share(self, x: float, y: float) -> tuple[float, float]:
        """A place, as shares of the width and height; those of the upper left corner are 0."""
        x, y = self.turned(x, y)
        if self.orientation in UPSIDE_DOWN:
            y = 1 - y
        if self.orientation in LEFT_TO_RIGHT:
            x = 1 - x
        return x, y

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A place in pixels from the upper left corner."""
        x, y = self.share(x / self.before[0], y / self.before[1])
        return x * self.after[0], y * self.after[1]

    def share_of_box(
        self, left: float, top: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """A rectangle, as shares: its upper left corner and its size."""
        x, y = self.share(left + width / 2, top + height / 2)
        width, height = self.turned(width, height)
        return x - width / 2, y - height / 2, width, height

    def density(self, across: float, down: float) -> tuple[float, float]:
        """Pixels to a unit of the scene or of the sensor."""
        across, down = self.turned(across, down)
        return across * self.scales[0], down * self.scales[1]

    def subject(self, area: Sequence[float]) -> tuple[int, ...] | None:
        """EXIF's SubjectArea: a point, a circle (centre, diameter) or a rectangle (centre, size).

        Returns:
            The same in whole pixels; None for what is none of these.
        """
        if len(area) not in (2, 3, 4) or not all(map(math.isfinite, area)):
            return None
        x, y = self.point(area[0], area[1])
        if not (0 <= x <= self.after[0] and 0 <= y <= self.after[1]):
            return None
        placed = [min(round(x), self.after[0] - 1), min(round(y), self.after[1] - 1)]
        if len(area) == 3:
            placed.append(round(area[2] * math.sqrt(math.prod(self.scales))))
        if len(area) == 4:
            placed += map(round, self.size(area[2], area[3]))
        return tuple(placed)


#: Proportions are equal up to such a part, as sizes are whole pixels.
_EQUAL = 0.02


def are_alike(size: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two sizes have equal proportions, up to one pixel of the smaller one."""
    if min(*size, *other) <= 0:
        return False
    slack = max(_EQUAL, 1 / min(*size, *other))
    return abs(math.log(size[0] * other[1] / (size[1] * other[0]))) <= slack
