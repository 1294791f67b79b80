"""Layouts of flags: bands, crosses, discs, stars, cantons, saltires, triangles."""

from collections.abc import Sequence

from dcls_cli.evaluation.graphics.canvas import BLACK, HEIGHT, WHITE, WIDTH, Canvas, Colour

CRIMSON: Colour = (200, 16, 46)
BLUE: Colour = (0, 85, 164)
NAVY: Colour = (0, 33, 105)
YELLOW: Colour = (255, 205, 0)


def bands(
    colours: Sequence[Colour],
    canvas: Canvas,
    *,
    upright: bool = False,
    weights: Sequence[float] = (),
) -> None:
    """Parallel bands from the top, or from the left where `upright`."""
    shares = weights or [1.0] * len(colours)
    side = WIDTH if upright else HEIGHT
    at = 0.0
    for colour, share in zip(colours, shares, strict=True):
        to = at + side * share / sum(shares)
        if upright:
            canvas.box(at, 0, to, HEIGHT, colour)
        else:
            canvas.box(0, at, WIDTH, to, colour)
        at = to


def nordic(field: Colour, cross: Colour, inner: Colour | None, canvas: Canvas) -> None:
    """A cross whose upright arm is nearer to the mast."""
    canvas.box(0, 0, WIDTH, HEIGHT, field)
    _cross(canvas, (0.37 * WIDTH, HEIGHT / 2), 24, cross)
    if inner is not None:
        _cross(canvas, (0.37 * WIDTH, HEIGHT / 2), 12, inner)


def _cross(canvas: Canvas, centre: tuple[float, float], half: float, colour: Colour) -> None:
    """Arms to all four sides."""
    canvas.box(centre[0] - half, 0, centre[0] + half, HEIGHT, colour)
    canvas.box(0, centre[1] - half, WIDTH, centre[1] + half, colour)


def centred_cross(field: Colour, colour: Colour, canvas: Canvas) -> None:
    """A cross with arms of equal distance."""
    canvas.box(0, 0, WIDTH, HEIGHT, field)
    _cross(canvas, (WIDTH / 2, HEIGHT / 2), 26, colour)


def disc(field: Colour, colour: Colour, radius: float, canvas: Canvas, x: float = 0.5) -> None:
    """A disc; `x` is its place, of the width."""
    canvas.box(0, 0, WIDTH, HEIGHT, field)
    canvas.disc((x * WIDTH, HEIGHT / 2), radius * HEIGHT, colour)


def crescent(field: Colour, colour: Colour, canvas: Canvas) -> None:
    """A crescent and a star."""
    canvas.box(0, 0, WIDTH, HEIGHT, field)
    canvas.disc((0.38 * WIDTH, HEIGHT / 2), 0.26 * HEIGHT, colour)
    canvas.disc((0.43 * WIDTH, HEIGHT / 2), 0.21 * HEIGHT, field)
    canvas.star((0.6 * WIDTH, HEIGHT / 2), 0.13 * HEIGHT, colour)


def star(field: Colour, colour: Colour, canvas: Canvas) -> None:
    """A large star."""
    canvas.box(0, 0, WIDTH, HEIGHT, field)
    canvas.star((WIDTH / 2, HEIGHT / 2), 0.3 * HEIGHT, colour)


def hoist(colours: Sequence[Colour], triangle: Colour, canvas: Canvas, reach: float = 0.42) -> None:
    """Bands with a triangle at the mast."""
    bands(colours, canvas)
    canvas.polygon([(0, 0), (reach * WIDTH, HEIGHT / 2), (0, HEIGHT)], triangle)


def canton(stripes: Sequence[Colour], canton: Colour, stars: Colour | None, canvas: Canvas,
            count: int = 13) -> None:  # fmt: skip
    """Many stripes, and a field in the upper corner."""
    bands([stripes[index % len(stripes)] for index in range(count)], canvas)
    rows = (count + 1) // 2
    bottom = HEIGHT * rows / count
    canvas.box(0, 0, 0.4 * WIDTH, bottom, canton)
    if stars is None:
        return
    for row in range(5):
        for column in range(6 - row % 2):
            x = (column + 0.7 + 0.5 * (row % 2)) * 0.4 * WIDTH / 6.4
            canvas.star((x, (row + 0.7) * bottom / 5.4), 7, stars)


def greece(canvas: Canvas) -> None:
    """Nine stripes and a cross in the corner."""
    canton((BLUE, WHITE), BLUE, None, canvas, count=9)
    canvas.box(62, 0, 82, HEIGHT * 5 / 9, WHITE)
    canvas.box(0, HEIGHT * 2 / 9, 144, HEIGHT * 3 / 9, WHITE)


def saltire(field: Colour, colour: Colour, canvas: Canvas, width: float = 44) -> None:
    """A diagonal cross."""
    canvas.box(0, 0, WIDTH, HEIGHT, field)
    canvas.line([(-20, -15), (WIDTH + 20, HEIGHT + 15)], colour, width)
    canvas.line([(-20, HEIGHT + 15), (WIDTH + 20, -15)], colour, width)


def union(canvas: Canvas) -> None:
    """Saltires and crosses; red arms are not counterchanged."""
    saltire(NAVY, WHITE, canvas, 52)
    _diagonals(canvas, CRIMSON, 16)
    _cross(canvas, (WIDTH / 2, HEIGHT / 2), 42, WHITE)
    _cross(canvas, (WIDTH / 2, HEIGHT / 2), 25, CRIMSON)


def _diagonals(canvas: Canvas, colour: Colour, width: float) -> None:
    canvas.line([(-20, -15), (WIDTH + 20, HEIGHT + 15)], colour, width)
    canvas.line([(-20, HEIGHT + 15), (WIDTH + 20, -15)], colour, width)


def jamaica(canvas: Canvas) -> None:
    """A diagonal cross between triangles."""
    canvas.box(0, 0, WIDTH, HEIGHT, (0, 155, 58))
    canvas.polygon([(0, 0), (WIDTH / 2, HEIGHT / 2), (0, HEIGHT)], BLACK)
    canvas.polygon([(WIDTH, 0), (WIDTH / 2, HEIGHT / 2), (WIDTH, HEIGHT)], BLACK)
    _diagonals(canvas, YELLOW, 40)


def diagonal(first: Colour, second: Colour, middle: Colour, canvas: Canvas) -> None:
    """Two halves, and a band from the lower left to the upper right."""
    canvas.box(0, 0, WIDTH, HEIGHT, first)
    canvas.polygon([(WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], second)
    canvas.line([(-20, HEIGHT + 15), (WIDTH + 20, -15)], middle, 60)


def serrated(teeth: int, left: Colour, right: Colour, canvas: Canvas) -> None:
    """Two fields with teeth between them."""
    canvas.box(0, 0, WIDTH, HEIGHT, right)
    corners = [(0.0, 0.0), (0.28 * WIDTH, 0.0)]
    for index in range(teeth):
        corners.append((0.4 * WIDTH, (index + 0.5) * HEIGHT / teeth))
        corners.append((0.28 * WIDTH, (index + 1.0) * HEIGHT / teeth))
    canvas.polygon([*corners, (0, HEIGHT)], left)


def swiss(canvas: Canvas) -> None:
    """A free cross."""
    canvas.box(0, 0, WIDTH, HEIGHT, (218, 41, 28))
    canvas.box(152, 50, 208, 214, WHITE)
    canvas.box(98, 104, 262, 160, WHITE)


def quarters(canvas: Canvas) -> None:
    """As Panama: two white quarters with stars, one blue, one red."""
    canvas.box(0, 0, WIDTH, HEIGHT, WHITE)
    canvas.box(WIDTH / 2, 0, WIDTH, HEIGHT / 2, (210, 16, 52))
    canvas.box(0, HEIGHT / 2, WIDTH / 2, HEIGHT, (0, 82, 147))
    canvas.star((WIDTH / 4, HEIGHT / 4), 30, (0, 82, 147))
    canvas.star((3 * WIDTH / 4, 3 * HEIGHT / 4), 30, (210, 16, 52))


def brazil(canvas: Canvas) -> None:
    """A disc in a rhomb."""
    canvas.box(0, 0, WIDTH, HEIGHT, (0, 156, 59))
    rhomb = [(30.0, HEIGHT / 2), (WIDTH / 2, 24.0), (WIDTH - 30.0, HEIGHT / 2)]
    canvas.polygon([*rhomb, (WIDTH / 2, HEIGHT - 24.0)], (255, 223, 0))
    canvas.disc((WIDTH / 2, HEIGHT / 2), 62, (0, 39, 118))


def china(canvas: Canvas) -> None:
    """A large star and four small ones."""
    canvas.box(0, 0, WIDTH, HEIGHT, (238, 28, 37))
    canvas.star((62, 66), 40, (255, 255, 0))
    for x, y in ((122, 26), (146, 52), (146, 88), (122, 114)):
        canvas.star((x, y), 13, (255, 255, 0))


def mast(left: Colour, rest: Sequence[Colour], canvas: Canvas) -> None:
    """A broad band at the mast, bands beside it."""
    bands(rest, canvas)
    canvas.box(0, 0, 0.3 * WIDTH, HEIGHT, left)


def emblem(colours: Sequence[Colour], star: Colour, canvas: Canvas) -> None:
    """Three level bands with a star."""
    bands(colours, canvas)
    canvas.star((WIDTH / 2, HEIGHT / 2), 38, star)
