"""A folder of pictures that no camera took, to train on beside photographs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dcls_cli.errors import TrainingError
from dcls_cli.files.atomic import atomic_write
from dcls_cli.training.graphics import emblems, lettering, patterns

Draw = Callable[[np.random.Generator, int, Sequence[Path]], Image.Image]


def _without_fonts(draw: Callable[[np.random.Generator, int], Image.Image]) -> Draw:
    return lambda random, side, _: draw(random, side)


#: What is drawn, in turn; text and screens come twice.
KINDS: Mapping[str, Draw] = {
    "page": lettering.page,
    "flags": _without_fonts(emblems.flags),
    "screen": lettering.screen,
    "logos": _without_fonts(emblems.logos),
    "sign": lettering.sign,
    "line-art": _without_fonts(emblems.line_art),
    "chart": patterns.chart,
    "halftone": _without_fonts(patterns.halftone),
    "small-print": lettering.page,
    "gradients": _without_fonts(patterns.gradients),
    "desktop": lettering.screen,
    "sprites": _without_fonts(patterns.sprites),
    "gratings": _without_fonts(patterns.gratings),
}
#: No picture is smaller, pixels.
MIN_SIDE = 128


def draw_graphic(index: int, seed: int, side: int = 512, fonts: Sequence[Path] = ()) -> Image.Image:
    """One picture, which depends on its arguments alone.

    Args:
        index: of the picture; its kind is `KINDS` in turn.
        seed: of the folder.
        side: width and height, pixels.
        fonts: TrueType files; by default free ones that come with matplotlib.

    Raises:
        TrainingError: too small for its content.
    """
    if side < MIN_SIDE:
        raise TrainingError(f"drawings are at least {MIN_SIDE} pixels a side, got {side}")
    draw = list(KINDS.values())[index % len(KINDS)]
    return draw(np.random.default_rng([seed, index]), side, fonts or lettering.bundled_fonts())


def draw_graphics(
    folder: Path,
    count: int = 200,
    seed: int = 0,
    side: int = 512,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write `count` PNGs; the first ones are the same, however many are drawn.

    Args:
        folder: made where it is missing; files of the same names are replaced.
        count: pictures.
        seed: of all of them.
        side: width and height, pixels.
        progress: called with (pictures drawn, pictures).

    Returns:
        The files.

    Raises:
        TrainingError: too small, or a file cannot be written.
    """
    names, files = list(KINDS), []
    for index in range(count):
        picture = draw_graphic(index, seed, side)

        path = folder / f"{index:04d}-{names[index % len(names)]}.png"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            atomic_write(path, partial(picture.save, format="PNG"), overwrite=True)
        except OSError as error:
            raise TrainingError(f"{path}: cannot be written ({error.strerror or error})") from error
        files.append(path)
        if progress is not None:
            progress(index + 1, count)
    return files
