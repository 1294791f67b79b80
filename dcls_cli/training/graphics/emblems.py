"""Flags, logos and line art: flat colours with smooth outlines."""

import math

import numpy as np
from PIL import Image, ImageDraw

from dcls_cli.training.graphics.palette import equally_bright, pair, several, vivid

#: Outlines are drawn so much larger and then averaged, as browsers do it.
FINE = 4


def flags(random: np.random.Generator, side: int) -> Image.Image:
    """A grid of flags: bands, crosses, discs, triangles, stars."""
    picture = Image.new("RGB", (side, side), several(random, 1)[0])
    across = int(random.integers(2, 6))
    width = side // across
    height = max(24, round(width * random.uniform(0.5, 0.8)))
    for top in range(0, side, height + 4):
        for left in range(0, side, width):
            picture.paste(_flag(random, width - 4, height), (left, top))
    return picture


def _flag(random: np.random.Generator, width: int, height: int) -> Image.Image:
    w, h = width * FINE, height * FINE
    colours = several(random, 4)
    flag = Image.new("RGB", (w, h), colours[0])
    draw = ImageDraw.Draw(flag)
    kind = random.integers(6)
    if kind <= 1:
        bands = int(random.integers(2, 8))
        for index in range(bands):
            low, high = (round((index + step) * (w if kind else h) / bands) for step in (0, 1))
            box = (low, 0, high, h) if kind else (0, low, w, high)
            draw.rectangle(box, fill=colours[index % 3])
    elif kind == 2:
        arm = round(h * random.uniform(0.08, 0.16))
        centre = round(w * random.uniform(0.3, 0.5))
        for half, colour in ((arm, colours[1]), (arm // 2, colours[2])):
            draw.rectangle((0, h // 2 - half, w, h // 2 + half), fill=colour)
            draw.rectangle((centre - half, 0, centre + half, h), fill=colour)
    elif kind == 3:
        draw.circle((w / 2, h / 2), h * random.uniform(0.2, 0.4), fill=colours[1])
    elif kind == 4:
        draw.rectangle((0, h // 2, w, h), fill=colours[1])
        draw.polygon([(0, 0), (round(w * 0.45), h // 2), (0, h)], fill=colours[2])
    else:
        draw.line((0, 0, w, h), fill=colours[1], width=h // 6)
        draw.line((0, h, w, 0), fill=colours[2], width=h // 8)
    if random.random() < 0.4:
        middle = (w * random.uniform(0.2, 0.8), h * random.uniform(0.3, 0.7))
        points = _star(middle, h * 0.2, int(random.integers(4, 8)), random.random())
        draw.polygon(points, fill=colours[3])
    return flag.resize((width, height), Image.Resampling.BOX)


def logos(random: np.random.Generator, side: int) -> Image.Image:
    """Rings, stars, wedges and blobs of two equally bright colours, now and then a third one."""
    fine = side * FINE
    paper, ink = equally_bright(random)
    picture = Image.new("RGB", (fine, fine), paper)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(random.integers(12, 40))):
        centre = (fine * random.random(), fine * random.random())
        radius = fine * random.uniform(0.02, 0.14)
        colour = (
            vivid(random) if random.random() < 0.15 else (ink, ink, ink, paper)[random.integers(4)]
        )
        kind = random.integers(5)
        box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
        if kind == 0:
            draw.ellipse(box, fill=colour)
        elif kind == 1:
            draw.arc(box, 0, 360, fill=colour, width=round(radius * random.uniform(0.05, 0.5)))
        elif kind == 2:
            draw.polygon(_star(centre, radius, int(random.integers(3, 9)), 0), fill=colour)
        elif kind == 3:
            start = random.uniform(0, 360)
            draw.pieslice(box, start, start + random.uniform(30, 300), fill=colour)
        else:
            draw.rounded_rectangle(box, radius * random.uniform(0, 0.9), fill=colour)
    return picture.resize((side, side), Image.Resampling.BOX)


def line_art(random: np.random.Generator, side: int) -> Image.Image:
    """Ink on paper: polygons, circles, curves and hatching, lines from one pixel on."""
    smooth = random.random() < 0.7
    fine = side * FINE if smooth else side
    paper, ink = pair(random)
    picture = Image.new("RGB", (fine, fine), paper)
    draw = ImageDraw.Draw(picture)
    unit = fine / side
    for _ in range(int(random.integers(10, 40))):
        width = max(1, round(unit * random.uniform(0.7, 4)))
        x, y = fine * random.uniform(-0.1, 1.1), fine * random.uniform(-0.1, 1.1)
        reach = fine * random.uniform(0.03, 0.35)
        kind = random.integers(4)
        if kind == 0:
            box = (x - reach, y - reach * 0.7, x + reach, y + reach * 0.7)
            draw.ellipse(box, outline=ink, width=width)
        elif kind == 1:
            corners = _star((x, y), reach, int(random.integers(2, 6)), random.random())
            draw.line([*corners, corners[0]], fill=ink, width=width)
        elif kind == 2:
            t = np.linspace(0, 2 * math.pi, 80)
            rate = random.integers(1, 6, size=2)
            curve = np.stack((x + reach * np.cos(rate[0] * t), y + reach * np.sin(rate[1] * t)), 1)
            draw.line([tuple(point) for point in curve.tolist()], fill=ink, width=width)
        else:
            step = unit * random.uniform(2.5, 8)
            for offset in np.arange(0, reach, step):
                draw.line((x + offset, y, x + offset + reach / 2, y + reach), ink, width)
    return picture.resize((side, side), Image.Resampling.BOX) if smooth else picture


def _star(
    centre: tuple[float, float], radius: float, points: int, turn: float
) -> list[tuple[float, float]]:
    """Corners of a star, outer and inner in turn."""
    angles = (np.arange(2 * points) / points + 2 * turn) * math.pi
    reach = np.where(np.arange(2 * points) % 2, 0.45 * radius, radius)
    x, y = centre[0] + reach * np.sin(angles), centre[1] - reach * np.cos(angles)
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
