"""Text, code, dialogs, desktops, charts and maps."""

from collections.abc import Sequence

import numpy as np

from dcls_cli.evaluation.graphics.canvas import (
    BLACK,
    HEIGHT,
    WHITE,
    WIDTH,
    Canvas,
    Colour,
    contrasting,
)

_WORDS = (
    "harbour", "of", "a", "copper", "evening", "train", "left", "the", "station", "at", "noon",
    "and", "nobody", "saw", "who", "had", "written", "letter", "Vienna", "12", "1897", "page",
    "Queen", "Jack", "will", "fix", "my", "zinc", "gloves", "under", "seven", "maps", "(see",
    "below)", "No.", "5%", "again,", "where", "hills", "begin.",
)  # fmt: skip
_CODE = (
    "def area(side: float) -> float:", "    return side * side", "for k in range(12):",
    "    total += weights[k] * x[k]", "if not rows: raise ValueError", "x = [n for n in f if n]",
    "while queue: node = queue.pop()", "# sum of squares", "print(f'{mean:.3f}')",
    "import math, json", "assert abs(a - b) < 1e-6", "class Tree(Node): pass",
)  # fmt: skip
_HUES: Sequence[Colour] = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75),
)  # fmt: skip


def text(random: np.random.RandomState, index: int) -> Canvas:
    """A page in one size of letters, 10 to 56 pixels; every third one is black on white."""
    paper, ink = (WHITE, BLACK) if index % 3 == 0 else contrasting(random)
    canvas = Canvas(paper)
    size = (10, 14, 20, 28, 40, 56)[index % 6]
    top = 8.0
    while top < HEIGHT:
        left = 10.0 + (20 if random.rand() < 0.15 else 0)
        while left < WIDTH - 2 * size:
            left += canvas.text((left, top), _WORDS[random.randint(len(_WORDS))], size, ink)
            left += 0.3 * size
        top += 1.4 * size
    return canvas


def screen(random: np.random.RandomState, index: int) -> Canvas:
    """Code on dark ground, a dialog, a list with icons, or boxes with arrows; some larger."""
    draw = (_code, _dialog, _list, _boxes)[index % 4]
    return draw(random, (1, 1.5, 2, 3)[index // 4 % 4])


def _code(random: np.random.RandomState, zoom: float) -> Canvas:
    canvas = Canvas((30, 30, 30), zoom)
    canvas.box(0, 0, 34, HEIGHT, (44, 44, 44))
    size = random.choice([9, 11, 13])
    colours: Sequence[Colour] = ((212, 212, 212), (86, 156, 214), (206, 145, 120), (106, 153, 85))
    for row in range(int(HEIGHT / (1.4 * size)) + 1):
        top = 4 + 1.4 * size * row
        canvas.text((8, top), str(row + 1), size, (130, 130, 130))
        colour = colours[random.randint(len(colours))]
        canvas.text((42, top), _CODE[random.randint(len(_CODE))], size, colour)
    return canvas


def _dialog(random: np.random.RandomState, zoom: float) -> Canvas:
    accent = _HUES[random.randint(len(_HUES))]
    canvas = Canvas((236, 236, 236), zoom)
    canvas.box(0, 0, WIDTH, 26, accent)
    canvas.text((10, 6), "Preferences", 12, WHITE)
    for row in range(5):
        top = 42 + 32 * row
        canvas.text((16, top + 4), _WORDS[random.randint(len(_WORDS))], 12, (20, 20, 20))
        canvas.box(120, top, 330, top + 22, WHITE)
        canvas.frame((120, top, 330, top + 22), (150, 150, 150))
        words = f"{_WORDS[random.randint(len(_WORDS))]} {random.randint(1000)}"
        canvas.text((126, top + 4), words, 12, BLACK)
    for left, words in ((170, "Cancel"), (255, "OK")):
        canvas.box(left, 216, left + 75, 242, accent)
        canvas.text((left + 16, 221), words, 13, WHITE)
    return canvas


def _list(random: np.random.RandomState, zoom: float) -> Canvas:
    canvas = Canvas(WHITE, zoom)
    canvas.box(0, 0, 96, HEIGHT, (245, 245, 248))
    for row in range(9):
        top = 6 + 29 * row
        hue = _HUES[random.randint(len(_HUES))]
        if random.rand() < 0.5:
            canvas.box(104, top, 124, top + 20, hue)
        else:
            canvas.disc((114, top + 10), 10, hue)
        canvas.text((134, top + 3), _WORDS[random.randint(len(_WORDS))], 13, BLACK)
        canvas.text((250, top + 4), f"{random.randint(1, 900)} KB", 11, (110, 110, 110))
        canvas.box(104, top + 24, WIDTH, top + 25, (225, 225, 225))
        canvas.text((10, top + 3), _WORDS[random.randint(len(_WORDS))], 11, (60, 60, 70))
    return canvas


def _boxes(random: np.random.RandomState, zoom: float) -> Canvas:
    canvas = Canvas(WHITE, zoom)
    centres = []
    for column in range(3):
        for row in range(2):
            left, top = 14 + 118 * column, 30 + 124 * row
            canvas.frame((left, top, left + 90, top + 56), BLACK, 1.5)
            canvas.text((left + 8, top + 6), _WORDS[random.randint(len(_WORDS))], 12, BLACK)
            canvas.box(left, top + 24, left + 90, top + 25, BLACK)
            canvas.text((left + 8, top + 32), f"+ {random.randint(99)}", 11, BLACK)
            centres.append((left + 45.0, top + 28.0))
    for one, other in ((0, 1), (2, 3), (4, 5)):
        (x, y), (_, below) = centres[one], centres[other]
        canvas.line([(x, y + 28), (x, below - 28)], BLACK, 1)
        canvas.polygon([(x - 4, below - 36), (x + 4, below - 36), (x, below - 28)], BLACK)
    return canvas


def chart(random: np.random.RandomState, index: int) -> Canvas:
    """Bars, curves, a pie, or dots, with axes and numbers."""
    paper, ink = (WHITE, BLACK) if index % 3 else contrasting(random)
    canvas = Canvas(paper)
    kind = index % 4
    if kind == 2:
        _pie(random, canvas, ink)
        return canvas
    faint: Colour = tuple((4 * a + b) // 5 for a, b in zip(paper, ink, strict=True))  # type: ignore[assignment]
    for step in range(6):
        level = 230 - 40 * step
        canvas.box(40, level, 350, level + 1, faint)
        canvas.text((8, level - 6), str(25 * step), 10, ink)
    canvas.frame((40, 10, 350, 231), ink)
    if kind == 0:
        for bar in range(10):
            high = random.uniform(10, 210)
            hue = _HUES[bar % 2]
            canvas.box(50 + 30 * bar, 230 - high, 70 + 30 * bar, 230, hue)
            canvas.text((52 + 30 * bar, 236), str(1990 + bar)[2:], 11, ink)
        return canvas
    for line in range(3):
        walk = np.cumsum(random.normal(0, 12, 60)) + 70 + 40 * line
        points = [(42 + 5.2 * place, 230 - float(high)) for place, high in enumerate(walk)]
        hue = _HUES[(line + index) % len(_HUES)]
        if kind == 1:
            canvas.line(points, hue, 1.5)
        else:
            for point in points[::2]:
                canvas.disc(point, 3, hue)
    return canvas


def _pie(random: np.random.RandomState, canvas: Canvas, ink: Colour) -> None:
    shares = np.cumsum(random.uniform(0.5, 2, 5))
    starts = np.concatenate(([0], shares)) / shares[-1] * 2 * np.pi
    for part in range(5):
        turn = np.linspace(starts[part], starts[part + 1], 40)
        rim = [(130 + 100 * float(np.cos(a)), 132 + 100 * float(np.sin(a))) for a in turn]
        canvas.polygon([(130, 132), *rim], _HUES[part])
        canvas.box(250, 60 + 30 * part, 264, 74 + 30 * part, _HUES[part])
        canvas.text((272, 60 + 30 * part), _WORDS[random.randint(len(_WORDS))], 12, ink)


def street_map(random: np.random.RandomState, index: int) -> Canvas:
    """Land, water, streets with rims and names; every fourth one in greys."""
    grey = index % 4 == 3
    land: Colour = (225, 225, 225) if grey else (242, 239, 233)
    water: Colour = (190, 190, 190) if grey else (170, 211, 223)
    park: Colour = (205, 205, 205) if grey else (200, 230, 170)
    canvas = Canvas(land, 1 + index % 2)
    for colour in (park, water, park):
        x, y = random.uniform(0, WIDTH), random.uniform(0, HEIGHT)
        turns = np.arange(9) * 2 * np.pi / 9
        reach = random.uniform(20, 80, 9)
        canvas.polygon(
            [(x + r * float(np.cos(a)), y + r * float(np.sin(a)))
             for a, r in zip(turns, reach, strict=True)],
            colour,
        )  # fmt: skip
    edge: Colour = (140, 140, 140) if grey else (150, 140, 135)
    streets = [_street(random) for _ in range(10)]
    for rim in (2.0, 0.0):
        for number, (points, width) in enumerate(streets):
            major = number % 4 == 0 and not grey
            face: Colour = (249, 178, 156) if major else WHITE
            canvas.line(points, edge if rim else face, width + rim)
    for _ in range(8):
        place = (random.uniform(0, WIDTH - 60), random.uniform(0, HEIGHT - 14))
        word = _WORDS[random.randint(len(_WORDS))].capitalize()
        canvas.text(place, word, random.uniform(8, 13), BLACK)
    return canvas


def _street(random: np.random.RandomState) -> tuple[list[tuple[float, float]], float]:
    """Points from one side to another, and a width."""
    bend = random.uniform(-40, 40)
    if random.rand() < 0.5:
        y, slope = random.uniform(0, HEIGHT), random.uniform(-0.4, 0.4)
        points = [(-10.0, y), (WIDTH / 2, y + bend), (WIDTH + 10.0, y + slope * WIDTH)]
    else:
        x, slope = random.uniform(0, WIDTH), random.uniform(-0.4, 0.4)
        points = [(x, -10.0), (x + bend, HEIGHT / 2), (x + slope * HEIGHT, HEIGHT + 10.0)]
    return points, random.uniform(2, 9)
