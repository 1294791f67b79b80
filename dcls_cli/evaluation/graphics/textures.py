"""Line drawings, sprites, gradients, halftone screens and dither."""

import numpy as np
from numpy.typing import NDArray

from dcls_cli.evaluation.graphics.canvas import (
    BLACK,
    HEIGHT,
    WHITE,
    WIDTH,
    Canvas,
    contrasting,
    grid,
    levels_of,
)


def drawing(random: np.random.RandomState, index: int) -> NDArray[np.uint8]:
    """Outlines in ink, 1 to 4 pixels wide: curves, hatching, a plan, concentric polygons."""
    paper, ink = (WHITE, BLACK) if index % 2 else contrasting(random)
    canvas = Canvas(paper)
    width = (1, 1.5, 2.5, 4)[index % 4]
    kind = index // 4 % 4
    if kind == 0:
        turn = np.linspace(0, 2 * np.pi, 240)
        for _ in range(5):
            a, b = random.randint(1, 6, 2)
            x = WIDTH * (0.5 + 0.45 * np.sin(a * turn + random.uniform(0, 6)))
            y = HEIGHT * (0.5 + 0.45 * np.sin(b * turn))
            canvas.line(list(zip(x.tolist(), y.tolist(), strict=True)), ink, width)
    elif kind == 1:
        for start in np.arange(-HEIGHT, WIDTH, 5 * width + 3).tolist():
            canvas.line([(start, 0), (start + HEIGHT, HEIGHT)], ink, width)
        canvas.disc((120, 130), 70, paper)
        canvas.disc((250, 110), 40, ink)
    elif kind == 2:
        canvas.frame((20, 20, WIDTH - 20, HEIGHT - 20), ink, 2 * width)
        for _ in range(6):
            x, y = random.uniform(40, WIDTH - 40), random.uniform(40, HEIGHT - 40)
            canvas.box(x, 20, x + width, y, ink)
            canvas.box(20, y, x, y + width, ink)
    else:
        for ring in range(9):
            turn = np.arange(8) * 2 * np.pi / 7 + ring * 0.1
            reach = 14.0 * (ring + 1)
            points = [
                (WIDTH / 2 + reach * float(np.cos(a)), HEIGHT / 2 + reach * float(np.sin(a)))
                for a in turn
            ]
            canvas.line(points, ink, width)
    return canvas.levels()


def sprite(random: np.random.RandomState, index: int) -> NDArray[np.uint8]:
    """Tiles of 8 or 16 cells in few colours, a cell of 4, 8, 16 or 32 pixels."""
    zoom = (4, 8, 16, 32)[index % 4]
    cells = 16 if index // 4 % 2 else 8
    palette = random.randint(0, 256, (5, 3)).astype(np.uint8)
    rows, columns = -(-HEIGHT // zoom), -(-WIDTH // zoom)
    canvas = np.zeros((rows + cells, columns + cells), int)
    tiles = []
    for _ in range(4):
        half = random.randint(0, 5, (cells, cells // 2)) * (random.rand(cells, cells // 2) < 0.6)
        tiles.append(np.concatenate((half, half[:, ::-1]), axis=1))
    for top in range(0, rows, cells):
        for left in range(0, columns, cells):
            canvas[top : top + cells, left : left + cells] = tiles[random.randint(4)]
    large = palette[canvas].repeat(zoom, 0).repeat(zoom, 1)[:HEIGHT, :WIDTH]
    return np.ascontiguousarray(large.transpose(2, 0, 1))


def gradient(random: np.random.RandomState, index: int) -> NDArray[np.uint8]:
    """A slow change of colour, alone, with one hard line or with a disc; every third is grey."""
    y, x = grid()
    ends = random.uniform(0, 1, (2, 3))
    if index % 3 == 0:
        ends = ends[:, :1].repeat(3, axis=1)
    angle = random.uniform(0, 2 * np.pi)
    if index % 2:
        ramp = np.clip(np.hypot(x - 120, y - 90) / 300, 0, 1)
    else:
        ramp = np.clip(
            0.5 + ((x - 180) * np.cos(angle) + (y - 132) * np.sin(angle)) / 320, 0, 1
        )  # fmt: skip
    image = ends[0] + ramp[..., None] * (ends[1] - ends[0])
    kind = index // 2 % 3
    if kind == 1:
        image[120:126] = 1 - image[120:126]
    elif kind == 2:
        inside = np.clip(60.5 - np.hypot(x - 220, y - 140), 0, 1)[..., None]
        image = image + inside * (1 - 2 * image)
    return levels_of(image)


def halftone(random: np.random.RandomState, index: int) -> NDArray[np.uint8]:
    """A soft picture in dots, lines, three inks, or dither."""
    y, x = grid()
    kind = index % 4
    scene = _scene(random)
    if kind != 2:
        scene = scene.mean(2, keepdims=True)
    period = (9.0, 14.0, 20.0)[index // 4 % 3]
    if kind == 3:
        return levels_of(_dithered(scene[..., 0], 4 * (1 + index // 4 % 3)))
    planes = []
    for channel in range(scene.shape[2]):
        angle = np.deg2rad((45.0, 15.0, 75.0)[channel])
        u = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period
        v = 2 * np.pi * (y * np.cos(angle) - x * np.sin(angle)) / period
        wave = np.cos(u) if kind == 1 else (np.cos(u) + np.cos(v)) / 2
        threshold = 0.5 + 0.45 * wave
        planes.append(np.clip((scene[..., channel] - threshold) * 5 + 0.5, 0, 1))
    return levels_of(planes[0] if len(planes) == 1 else np.stack(planes, axis=2))


def _scene(random: np.random.RandomState) -> NDArray[np.float64]:
    """Slow waves of light: (HEIGHT, WIDTH, 3) in [0, 1]."""
    y, x = grid()
    image = np.zeros((HEIGHT, WIDTH, 3))
    for channel in range(3):
        for _ in range(3):
            fx, fy = random.uniform(-2, 2, 2)
            phase = random.uniform(0, 2 * np.pi)
            image[..., channel] += np.sin(2 * np.pi * (fx * x / WIDTH + fy * y / HEIGHT) + phase)
    return np.asarray(0.5 + image / 6.5)


def _dithered(grey: NDArray[np.float64], dot: int) -> NDArray[np.float64]:
    """Black and white by an ordered 4x4 matrix; a dot is so many pixels wide and high."""
    matrix = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
    small = grey[::dot, ::dot]
    rows, columns = small.shape
    tiled = np.tile((matrix + 0.5) / 16, (rows // 4 + 1, columns // 4 + 1))[:rows, :columns]
    return np.asarray((small > tiled).astype(float).repeat(dot, 0).repeat(dot, 1))
