"""What the pictures are drawn on: four times as fine, then averaged, so that outlines are smooth.

Nothing here is shared with the drawings of training. Pillow draws in integers and numpy's
`RandomState` never changes its stream, so that every machine draws the same.
"""

import functools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

#: Pixels of a picture, multiples of every scale; small, so that a CPU restores hundreds.
WIDTH, HEIGHT = 360, 264

#: Times finer than the picture.
_FINE = 4

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)


class Canvas:
    """A picture in the making; all places and widths are in its pixels, fractions included."""

    def __init__(self, ground: Colour, zoom: float = 1) -> None:
        """Begin with one colour; a `zoom` enlarges all that is drawn from the upper left corner."""
        self._fine = _FINE * zoom
        self._image = Image.new("RGB", (WIDTH * _FINE, HEIGHT * _FINE), ground)
        self._draw = ImageDraw.Draw(self._image)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill from `left` up to `right`, which is the first column that is not filled."""
        x0, y0, x1, y1 = (round(part * self._fine) for part in (left, top, right, bottom))
        if x1 > x0 and y1 > y0:
            self._draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)

    def frame(
        self, place: tuple[float, float, float, float], colour: Colour, width: float = 1
    ) -> None:
        """The rim of a box: left, top, right, bottom."""
        left, top, right, bottom = place
        self.box(left, top, right, top + width, colour)
        self.box(left, bottom - width, right, bottom, colour)
        self.box(left, top, left + width, bottom, colour)
        self.box(right - width, top, right, bottom, colour)

    def polygon(self, corners: Iterable[Point], colour: Colour) -> None:
        """Fill between corners."""
        self._draw.polygon([self._at(point) for point in corners], fill=colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        (x, y), reach = self._at(centre), round(radius * self._fine)
        self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)

    def star(
        self, centre: Point, radius: float, colour: Colour, points: int = 5, depth: float = 0.382
    ) -> None:
        """Fill a star that points upwards; `depth` is the inner radius over the outer one."""
        corners = []
        for index in range(2 * points):
            reach = radius * (depth if index % 2 else 1)
            angle = math.pi * index / points
            corners.append(
                (centre[0] + reach * math.sin(angle), centre[1] - reach * math.cos(angle))
            )
        self.polygon(corners, colour)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1) -> None:
        """Straight pieces, and round joints where they are wide enough to show them."""
        thick = max(1, round(width * self._fine))
        joint = "curve" if thick > 2 else None
        self._draw.line([self._at(point) for point in points], colour, thick, joint)

    def text(self, place: Point, words: str, size: float, colour: Colour) -> float:
        """Write to the right of `place`, its upper left corner; the width in pixels."""
        letters = font(round(size * self._fine))
        self._draw.text(self._at(place), words, fill=colour, font=letters)
        return float(letters.getlength(words)) / self._fine

    def levels(self) -> NDArray[np.uint8]:
        """The picture: (3, HEIGHT, WIDTH)."""
        small = self._image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
        return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))

    def _at(self, point: Point) -> tuple[int, int]:
        return round(point[0] * self._fine), round(point[1] * self._fine)


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Aileron, a free font within Pillow, without the shaping that not every Pillow has.

    Raises:
        OSError: this Pillow was built without FreeType.
    """
    letters = ImageFont.load_default(size)
    if not isinstance(letters, ImageFont.FreeTypeFont):
        raise OSError("this Pillow has no FreeType, with which letters are drawn")
    return letters.font_variant(layout_engine=ImageFont.Layout.BASIC)


def grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of all pixels: two arrays (HEIGHT, WIDTH)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    return rows, columns


def levels_of(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH) or (HEIGHT, WIDTH, 3) in [0, 1] -> (3, HEIGHT, WIDTH)."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    rounded = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return np.ascontiguousarray(rounded.transpose(2, 0, 1))


def luma(colour: Colour) -> float:
    """BT.601, 0 to 255."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def equally_bright(random: np.random.RandomState) -> tuple[Colour, Colour]:
    """Two colours far apart with the same sum of red, green and blue, or nearly so."""
    while True:
        one = tuple(int(part) for part in random.randint(10, 246, 3))
        other = tuple(int(part) for part in random.randint(10, 246, 3))
        apart = sum(abs(a - b) for a, b in zip(one, other, strict=True))
        if abs(sum(one) - sum(other)) <= 6 and apart > 220:
            return (one[0], one[1], one[2]), (other[0], other[1], other[2])


def contrasting(random: np.random.RandomState) -> tuple[Colour, Colour]:
    """Paper and ink: black on white, grey on grey, or two colours that differ in brightness."""
    kind = random.randint(5)
    if kind == 0:
        return WHITE, BLACK
    while True:
        if kind == 1:
            one, other = (int(part) for part in random.randint(0, 256, 2))
            pair = (one, one, one), (other, other, other)
        else:
            values = [int(part) for part in random.randint(0, 256, 6)]
            pair = (values[0], values[1], values[2]), (values[3], values[4], values[5])
        if abs(luma(pair[0]) - luma(pair[1])) > 80:
            return pair
