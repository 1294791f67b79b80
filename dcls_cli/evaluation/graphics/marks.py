"""Pictures with hardly an edge, and logos of two colours."""

import math
from collections.abc import Callable, Mapping

import numpy as np

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


def _of(
    draw: Callable[..., None], *arguments: object, **options: object
) -> Callable[[Canvas], None]:
    return lambda canvas: draw(*arguments, canvas, **options)


_RED, _BLUE, _TEAL, _ORANGE = (230, 40, 40), (40, 40, 230), (20, 150, 220), (240, 130, 20)

#: Where the blur can hardly be seen: a few edges, most of them parallel.
EDGES: Mapping[str, Callable[[Canvas], None]] = {
    "black-white": _of(_half, (10, 10, 10), (240, 240, 240)),
    "greys": _of(_half, GREY_LOW, GREY_HIGH),
    "greys-level": _of(_half, GREY_LOW, GREY_HIGH, upright=False),
    "yellow-blue": _of(_half, (250, 220, 30), (20, 60, 190), upright=False),
    "red-blue": _of(_half, _RED, _BLUE),
    "orange-teal": _of(_half, _ORANGE, _TEAL, upright=False),
    "faint": _of(_half, (128, 128, 128), (136, 136, 136)),
    "slant-3": _of(_slanted, (235, 235, 235), (30, 30, 30), 3),
    "slant-20": _of(_slanted, (60, 140, 70), (200, 220, 240), 20),
    "slant-45": _of(_slanted, _ORANGE, _TEAL, 45),
    "line": _of(_one_line, WHITE, BLACK, 4, upright=True),
    "line-thin": _of(_one_line, WHITE, BLACK, 1, upright=False),
    "line-red": _of(_one_line, (0, 120, 150), (225, 20, 30), 6, upright=False),
    "frame": _of(_framed, WHITE, BLACK, 3),
    "frame-equal": _of(_framed, _BLUE, _RED, 8),
    "square-12": _of(_square, _BLUE, _RED, 12),
    "square-48": _of(_square, (200, 200, 190), (40, 90, 60), 48),
    "steps-grey": _of(_steps, (BLACK, WHITE), 9),
    "steps-colour": _of(_steps, (_RED, _BLUE), 6),
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
