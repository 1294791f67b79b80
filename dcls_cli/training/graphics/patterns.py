"""Charts, halftone screens, gradients, pixel sprites, gratings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcls_cli.training.graphics.palette import Colour, pair, several, vivid


def chart(random: np.random.Generator, side: int, fonts: Sequence[Path]) -> Image.Image:
    """Axes with numbers, a grid, curves, bars or dots in several colours."""
    paper, ink = pair(random)
    picture = Image.new("RGB", (side, side), paper)
    draw = ImageDraw.Draw(picture)
    path = fonts[int(random.integers(len(fonts)))]
    font = ImageFont.truetype(str(path), int(random.integers(9, 18)))
    faint = _between(paper, ink)
    left, bottom = 50, side - 34
    for index in range(9):
        level = bottom - index * (bottom - 16) // 8
        right = left + index * (side - left - 12) // 8
        draw.line((left, level, side - 8, level), fill=faint)
        draw.text((6, level - 8), f"{index * random.integers(1, 30)}", fill=ink, font=font)
        draw.text((right - 6, bottom + 8), f"{index / 4:.2g}", fill=ink, font=font)
    draw.rectangle((left, 10, side - 8, bottom), outline=ink)
    x = np.linspace(left, side - 10, 60)
    for colour in several(random, int(random.integers(1, 5))):
        walk = np.cumsum(random.normal(0, 1, len(x)))
        y = bottom - 12 - (walk - walk.min()) / (np.ptp(walk) + 1e-9) * (bottom - 40)
        kind = random.integers(3)
        if kind == 0:
            points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
            draw.line(points, fill=colour, width=int(random.integers(1, 4)))
        elif kind == 1:
            for a, b in zip(x[::4], y[::4], strict=True):
                draw.rectangle((a, b, a + 14, bottom - 1), fill=colour)
        else:
            for a, b in zip(x, y, strict=True):
                draw.circle((float(a), float(b)), 3, fill=colour)
    return picture


def halftone(random: np.random.Generator, side: int) -> Image.Image:
    """A soft picture printed by dots on turned screens, in black or in three inks."""
    scene = _soft(random, side)
    y, x = np.mgrid[:side, :side]
    period = random.uniform(4, 10)
    if random.random() < 0.5:
        scene = scene.mean(2, keepdims=True).repeat(3, 2)
        angles = [random.uniform(0, 90)] * 3
    else:
        angles = [15.0, 75.0, 0.0]
    planes = []
    for channel, angle in enumerate(np.deg2rad(angles)):
        u = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period
        v = (y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period
        threshold = 0.5 + 0.25 * (np.cos(u) + np.cos(v))
        planes.append(np.clip((scene[..., channel] - threshold) * 6 + 0.5, 0, 1))
    return _picture(np.stack(planes, 2))


def gradients(random: np.random.Generator, side: int) -> Image.Image:
    """Patches of slow change between two colours, in 8-bit steps, with hard borders."""
    image = np.zeros((side, side, 3))
    y, x = np.mgrid[:side, :side] / side
    for index in range(int(random.integers(5, 14))):
        first, second = np.array(several(random, 2)) / 255
        angle = random.uniform(0, 2 * np.pi)
        if random.random() < 0.5:
            ramp = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)
        else:
            ramp = np.clip(np.hypot(x - random.random(), y - random.random()), 0, 1)
        part = first + ramp[..., None] * (second - first)
        top, left = random.integers(0, side, size=2) if index else (0, 0)
        high, wide = random.integers(side // 8, side // 2, size=2) if index else (side, side)
        where = np.s_[top : top + high, left : left + wide]
        image[where] = part[where]
    return _picture(image)


def sprites(random: np.random.Generator, side: int) -> Image.Image:
    """Figures of few pixels and few colours, mirrored, enlarged two to eight times."""
    zoom = int(random.integers(2, 9))
    cells = -(-side // zoom)
    colours = np.array(several(random, 6), np.uint8)
    canvas = np.zeros((cells, cells, 3), np.uint8) + colours[0]
    size = int(random.integers(8, 17))
    for top in range(0, cells, size + 1):
        for left in range(0, cells, size + 1):
            half = random.random((size, (size + 1) // 2))
            whole = np.concatenate((half, half[:, : size // 2][:, ::-1]), 1)
            skin, mark = colours[1 + random.permutation(len(colours) - 1)[:2]]
            figure = np.where((whole > 0.4)[..., None], skin, colours[0])
            figure = np.where((whole > 0.8)[..., None], mark, figure)
            place = canvas[top : top + size, left : left + size]
            place[:] = figure[: place.shape[0], : place.shape[1]]
    return Image.fromarray(canvas.repeat(zoom, 0).repeat(zoom, 1)[:side, :side])


def gratings(random: np.random.Generator, side: int) -> Image.Image:
    """Fields of stripes, checks and rings, from four pixels a period on."""
    image = np.zeros((side, side, 3))
    count = int(random.integers(2, 5))
    edges = np.linspace(0, side, count + 1).astype(int)
    y, x = np.mgrid[:side, :side].astype(float)
    for top, bottom in zip(edges[:-1], edges[1:], strict=True):
        for left, right in zip(edges[:-1], edges[1:], strict=True):
            paper, ink = np.array(pair(random) if random.random() < 0.6 else several(random, 2))
            period = random.uniform(4, 24)
            angle = random.choice([0, np.pi / 2, random.uniform(0, np.pi)])
            phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period
            kind = random.integers(3)
            if kind == 1:
                across = 2 * np.pi * (y * np.cos(angle) - x * np.sin(angle)) / period
                wave = np.sin(phase) * np.sin(across)
            elif kind == 2:
                centre = (left + right) / 2, (top + bottom) / 2
                wave = np.sin(2 * np.pi * np.hypot(x - centre[0], y - centre[1]) / period)
            else:
                wave = np.sin(phase)
            share = np.clip(0.5 + wave * random.choice([0.5, 2, 8]), 0, 1)[..., None]
            field = (paper + share * (ink - paper)) / 255
            image[top:bottom, left:right] = field[top:bottom, left:right]
    return _picture(image)


def _between(first: Colour, second: Colour) -> Colour:
    """Halfway."""
    red, green, blue = ((one + two) // 2 for one, two in zip(first, second, strict=True))
    return red, green, blue


def _soft(random: np.random.Generator, side: int) -> np.ndarray:
    """Blobs of colour: (side, side, 3) in [0, 1]."""
    coarse = (255 * random.random((6, 6, 3))).astype(np.uint8)
    coarse[random.integers(6), random.integers(6)] = vivid(random)
    large = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(large, float) / 255


def _picture(image: np.ndarray) -> Image.Image:
    """(H, W, 3) in [0, 1]."""
    return Image.fromarray(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8))
