"""Colours that go together, equally bright ones among them."""

import colorsys

import numpy as np

Colour = tuple[int, int, int]

#: BT.601, by which JPEG and the networks' metrics tell brightness from colour.
LUMA = np.array([0.299, 0.587, 0.114])

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)


def luma(colour: Colour) -> float:
    """0 to 255."""
    return float(LUMA @ colour)


def vivid(random: np.random.Generator) -> Colour:
    """A colour of any hue, bright and saturated or less so."""
    return _rgb(random.random(), random.uniform(0.4, 1), random.uniform(0.3, 1))


def pale(random: np.random.Generator) -> Colour:
    """Near white."""
    return _rgb(random.random(), random.uniform(0, 0.15), random.uniform(0.88, 1))


def dark(random: np.random.Generator) -> Colour:
    """Near black."""
    return _rgb(random.random(), random.uniform(0, 0.6), random.uniform(0, 0.3))


def pair(random: np.random.Generator) -> tuple[Colour, Colour]:
    """Paper and ink: dark on pale, pale on dark, or two colours that differ by 60 levels."""
    kind = random.integers(8)
    if kind <= 2:
        return WHITE, BLACK
    if kind <= 4:
        return pale(random), dark(random)
    if kind == 5:
        return dark(random), pale(random)
    while True:
        paper, ink = vivid(random), vivid(random)
        if abs(luma(paper) - luma(ink)) > 60:
            return paper, ink


def equally_bright(random: np.random.Generator) -> tuple[Colour, Colour]:
    """Two hues far apart whose luma differs by less than 2 of 255."""
    while True:
        first = vivid(random)
        hue = colorsys.rgb_to_hsv(*(part / 255 for part in first))[0]
        second = _rgb((hue + random.uniform(0.25, 0.75)) % 1, random.uniform(0.4, 1), 1.0)
        second = _scaled(second, luma(first) / luma(second))
        if max(second) <= 255 and abs(luma(second) - luma(first)) < 2:
            return first, second


def several(random: np.random.Generator, count: int) -> list[Colour]:
    """Colours beside each other; in a third of the cases each two are equally bright."""
    if random.random() < 1 / 3:
        colours: list[Colour] = []
        while len(colours) < count:
            colours += equally_bright(random)
        return colours[:count]
    basic = [WHITE, BLACK, (206, 17, 38), (0, 56, 147), (252, 209, 22), (0, 122, 61)]
    if random.random() < 0.5:
        order = random.permutation(len(basic))
        return [basic[order[index % len(order)]] for index in range(count)]
    return [vivid(random) for _ in range(count)]


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _scaled(colour: Colour, factor: float) -> Colour:
    red, green, blue = (round(part * factor) for part in colour)
    return red, green, blue
