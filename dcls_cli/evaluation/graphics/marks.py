"""Flags, pictures with hardly an edge, and logos of two colours."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from dcls_cli.evaluation.graphics import layouts
from dcls_cli.evaluation.graphics.canvas import (
    BLACK,
    HEIGHT,
    WHITE,
    WIDTH,
    Canvas,
    Colour,
    contrasting,
    equally_bright,
)

GREY_LOW: Colour = (90, 90, 90)
GREY_HIGH: Colour = (170, 170, 170)


Fill = Callable[[Canvas], None]

RED: Colour = (206, 17, 38)
CRIMSON: Colour = (200, 16, 46)
BLUE: Colour = (0, 85, 164)
GREEN: Colour = (0, 146, 70)
DEEP_GREEN: Colour = (0, 106, 78)
MAROON: Colour = (138, 21, 56)


def _half(left: Colour, right: Colour, canvas: Canvas, *, upright: bool = True) -> None:
    """One straight edge through the picture."""
    canvas.box(0, 0, WIDTH, HEIGHT, left)
    if upright:
        canvas.box(0.4 * WIDTH + 0.5, 0, WIDTH, HEIGHT, right)
    else:
        canvas.box(0, 0.55 * HEIGHT + 0.25, WIDTH, HEIGHT, right)


def _slanted(first: Colour, second: Colour, angle_deg: float, canvas: Canvas) -> None:
    """One straight edge, so many degrees from the level."""
    canvas.box(0, 0, WIDTH, HEIGHT, first)
    rise = WIDTH / 2 * math.tan(math.radians(angle_deg))
    middle = HEIGHT / 2
    canvas.polygon(
        [(0, middle + rise), (WIDTH, middle - rise), (WIDTH, 4 * HEIGHT), (0, 4 * HEIGHT)], second
    )


def _one_line(ground: Colour, ink: Colour, width: float, canvas: Canvas, *, upright: bool) -> None:
    canvas.box(0, 0, WIDTH, HEIGHT, ground)
    if upright:
        canvas.box(130, 0, 130 + width, HEIGHT, ink)
    else:
        canvas.box(0, 101, WIDTH, 101 + width, ink)


def _framed(ground: Colour, ink: Colour, width: float, canvas: Canvas) -> None:
    canvas.box(0, 0, WIDTH, HEIGHT, ground)
    canvas.frame((41, 37, WIDTH - 42, HEIGHT - 35), ink, width)


def _square(ground: Colour, ink: Colour, side: float, canvas: Canvas) -> None:
    canvas.box(0, 0, WIDTH, HEIGHT, ground)
    canvas.box(151, 103, 151 + side, 103 + side, ink)


def _steps(colours: tuple[Colour, Colour], count: int, canvas: Canvas) -> None:
    """Upright steps from one colour to the other, as on a test chart."""
    for index in range(count):
        part = index / (count - 1)
        red, green, blue = (
            round(a + part * (b - a)) for a, b in zip(colours[0], colours[1], strict=True)
        )
        canvas.box(index * WIDTH / count, 0, WIDTH, HEIGHT, (red, green, blue))


def _button(ground: Colour, face: Colour, words: str, canvas: Canvas) -> None:
    canvas.box(0, 0, WIDTH, HEIGHT, ground)
    canvas.box(60, 90, 300, 170, face)
    canvas.text((150, 112), words, 28, WHITE)


def _of(draw: Callable[..., None], *arguments: object, **options: object) -> Fill:
    return lambda canvas: draw(*arguments, canvas, **options)


_EDGE_RED, _EDGE_BLUE, _EDGE_TEAL, _EDGE_ORANGE = (
    (230, 40, 40),
    (40, 40, 230),
    (20, 150, 220),
    (240, 130, 20),
)

#: Where the blur can hardly be seen: a few edges, most of them parallel.
EDGES: Mapping[str, Fill] = {
    "black-white": _of(_half, (10, 10, 10), (240, 240, 240)),
    "greys": _of(_half, GREY_LOW, GREY_HIGH),
    "greys-level": _of(_half, GREY_LOW, GREY_HIGH, upright=False),
    "yellow-blue": _of(_half, (250, 220, 30), (20, 60, 190), upright=False),
    "red-blue": _of(_half, _EDGE_RED, _EDGE_BLUE),
    "orange-teal": _of(_half, _EDGE_ORANGE, _EDGE_TEAL, upright=False),
    "faint": _of(_half, (128, 128, 128), (136, 136, 136)),
    "slant-3": _of(_slanted, (235, 235, 235), (30, 30, 30), 3),
    "slant-20": _of(_slanted, (60, 140, 70), (200, 220, 240), 20),
    "slant-45": _of(_slanted, _EDGE_ORANGE, _EDGE_TEAL, 45),
    "line": _of(_one_line, WHITE, BLACK, 4, upright=True),
    "line-thin": _of(_one_line, WHITE, BLACK, 1, upright=False),
    "line-red": _of(_one_line, (0, 120, 150), (225, 20, 30), 6, upright=False),
    "frame": _of(_framed, WHITE, BLACK, 3),
    "frame-equal": _of(_framed, _EDGE_BLUE, _EDGE_RED, 8),
    "square-12": _of(_square, _EDGE_BLUE, _EDGE_RED, 12),
    "square-48": _of(_square, (200, 200, 190), (40, 90, 60), 48),
    "steps-grey": _of(_steps, (BLACK, WHITE), 9),
    "steps-colour": _of(_steps, (_EDGE_RED, _EDGE_BLUE), 6),
    "button": _of(_button, (240, 240, 240), (25, 118, 210), "Send"),
}


def logo(random: np.random.RandomState, index: int) -> Canvas:
    """A shape or two with letters in two colours; every second pair is equally bright."""
    ground, ink = equally_bright(random) if index % 2 else contrasting(random)
    canvas = Canvas(ground)
    x, y = WIDTH * random.uniform(0.3, 0.7), HEIGHT * random.uniform(0.4, 0.6)
    radius = random.uniform(60, 110)
    kind = index // 2 % 6
    if kind == 0:
        canvas.disc((x, y), radius, ink)
        canvas.disc((x, y), 0.8 * radius, ground)
        canvas.star((x, y), 0.7 * radius, ink, points=int(random.randint(3, 9)))
    elif kind == 1:
        canvas.disc((x, y), radius, ink)
        canvas.text((x - 0.72 * radius, y - 0.45 * radius), _word(random, 2), radius * 0.9, ground)
    elif kind == 2:
        for ring in range(4):
            canvas.disc((x, y), radius * (1 - ring / 4), ground if ring % 2 else ink)
    elif kind == 3:
        canvas.text((24, y - 40), _word(random, 6), random.uniform(50, 80), ink)
        canvas.box(24, y + 50, WIDTH - 24, y + 50 + random.uniform(2, 10), ink)
    elif kind == 4:
        for turn in range(3):
            left = x - radius + turn * 0.7 * radius
            canvas.polygon([(left, y + radius), (left + radius, y - radius),
                            (left + 1.3 * radius, y - radius), (left + 0.3 * radius, y + radius)],
                           ink)  # fmt: skip
    else:
        canvas.box(x - radius, y - radius, x + radius, y + radius, ink)
        canvas.box(x - 0.6 * radius, y - 0.6 * radius, x + 0.6 * radius, y, ground)
        canvas.disc((x + 0.3 * radius, y + 0.5 * radius), 0.3 * radius, ground)
    return canvas


def _word(random: np.random.RandomState, length: int) -> str:
    letters = "ABCDEGKMNOPRSTUXZ"
    return "".join(letters[random.randint(len(letters))] for _ in range(length))


def _upright(*colours: Colour, weights: Sequence[float] = ()) -> Fill:
    return partial(layouts.bands, colours, upright=True, weights=weights)


def _level(*colours: Colour, weights: Sequence[float] = ()) -> Fill:
    return partial(layouts.bands, colours, weights=weights)


#: By the countries that have them; colours are near the official ones.
FLAGS: Mapping[str, Fill] = {
    "france": _upright(BLUE, WHITE, (239, 65, 53)),
    "italy": _upright(GREEN, WHITE, RED),
    "ireland": _upright((22, 155, 98), WHITE, (255, 136, 62)),
    "belgium": _upright(BLACK, (253, 218, 36), (239, 51, 64)),
    "romania": _upright((0, 43, 127), (252, 209, 22), RED),
    "nigeria": _upright((0, 135, 81), WHITE, (0, 135, 81)),
    "mali": _upright((20, 181, 58), (252, 209, 22), RED),
    "ivory-coast": _upright((247, 127, 0), WHITE, (0, 158, 96)),
    "peru": _upright((217, 16, 35), WHITE, (217, 16, 35)),
    "canada": _upright((255, 0, 0), WHITE, (255, 0, 0), weights=(1, 2, 1)),
    "germany": _level(BLACK, (221, 0, 0), (255, 206, 0)),
    "netherlands": _level((174, 28, 40), WHITE, (33, 70, 139)),
    "russia": _level(WHITE, (0, 57, 166), (213, 43, 30)),
    "austria": _level((200, 16, 46), WHITE, (200, 16, 46)),
    "hungary": _level((206, 41, 57), WHITE, (71, 112, 80)),
    "bulgaria": _level(WHITE, (0, 150, 110), (214, 38, 18)),
    "estonia": _level((0, 114, 206), BLACK, WHITE),
    "lithuania": _level((253, 185, 19), (0, 106, 68), (193, 39, 45)),
    "armenia": _level((217, 0, 18), (0, 51, 160), (242, 168, 0)),
    "gabon": _level((0, 158, 96), (252, 209, 22), (58, 117, 196)),
    "yemen": _level(RED, WHITE, BLACK),
    "ukraine": _level((0, 87, 183), (255, 221, 0)),
    "poland": _level(WHITE, (220, 20, 60)),
    "indonesia": _level((255, 0, 0), WHITE),
    "spain": _level((173, 21, 25), (250, 189, 0), (173, 21, 25), weights=(1, 2, 1)),
    "latvia": _level((164, 52, 58), WHITE, (164, 52, 58), weights=(2, 1, 2)),
    "thailand": _level((165, 25, 49), WHITE, (45, 42, 74), WHITE, (165, 25, 49),
                       weights=(1, 1, 2, 1, 1)),
    "colombia": _level((252, 209, 22), (0, 56, 147), RED, weights=(2, 1, 1)),
    "mauritius": _level((234, 40, 57), (26, 32, 109), (255, 213, 0), (0, 165, 81)),
    "gambia": _level(RED, WHITE, (12, 28, 140), WHITE, (58, 119, 40), weights=(6, 1, 4, 1, 6)),
    "botswana": _level((117, 170, 219), WHITE, BLACK, WHITE, (117, 170, 219),
                       weights=(9, 1, 4, 1, 9)),
    "sweden": partial(layouts.nordic, (0, 106, 167), (254, 204, 2), None),
    "denmark": partial(layouts.nordic, CRIMSON, WHITE, None),
    "finland": partial(layouts.nordic, WHITE, (0, 47, 108), None),
    "norway": partial(layouts.nordic, (186, 12, 47), WHITE, (0, 32, 91)),
    "iceland": partial(layouts.nordic, (2, 82, 156), WHITE, (220, 30, 53)),
    "england": partial(layouts.centred_cross, WHITE, RED),
    "scotland": partial(layouts.saltire, (0, 94, 184), WHITE),
    "britain": layouts.union,
    "jamaica": layouts.jamaica,
    "switzerland": layouts.swiss,
    "japan": partial(layouts.disc, WHITE, (188, 0, 45), 0.3),
    "bangladesh": partial(layouts.disc, DEEP_GREEN, (244, 42, 65), 1 / 3, x=0.45),
    "palau": partial(layouts.disc, (74, 173, 214), (255, 222, 0), 0.3, x=0.45),
    "equal-disc": partial(layouts.disc, (0, 150, 60), (190, 20, 0), 0.3),
    "turkey": partial(layouts.crescent, (227, 10, 23), WHITE),
    "vietnam": partial(layouts.star, (218, 37, 29), (255, 255, 0)),
    "somalia": partial(layouts.star, (65, 137, 221), WHITE),
    "china": layouts.china,
    "ghana": partial(layouts.emblem, (RED, (252, 209, 22), DEEP_GREEN), BLACK),
    "czechia": partial(layouts.hoist, (WHITE, (215, 20, 26)), (17, 69, 126), reach=0.5),
    "sudan": partial(layouts.hoist, ((210, 16, 52), WHITE, BLACK), (0, 114, 41), reach=1 / 3),
    "bahamas": partial(layouts.hoist, ((0, 119, 139), (255, 199, 44), (0, 119, 139)), BLACK),
    "united-states": partial(layouts.canton, ((178, 34, 52), WHITE), (60, 59, 110), WHITE),
    "liberia": partial(layouts.canton, ((191, 10, 48), WHITE), (0, 40, 104), None, count=11),
    "greece": layouts.greece,
    "congo": partial(layouts.diagonal, (0, 149, 67), (220, 36, 31), (251, 222, 74)),
    "qatar": partial(layouts.serrated, 9, WHITE, MAROON),
    "bahrain": partial(layouts.serrated, 5, WHITE, RED),
    "panama": layouts.quarters,
    "brazil": layouts.brazil,
    "benin": partial(layouts.mast, (0, 135, 81), ((252, 209, 22), (232, 17, 45))),
    "madagascar": partial(layouts.mast, WHITE, ((252, 61, 50), (0, 126, 58))),
    "emirates": partial(layouts.mast, (255, 0, 0), ((0, 115, 47), WHITE, BLACK)),
}  # fmt: skip
