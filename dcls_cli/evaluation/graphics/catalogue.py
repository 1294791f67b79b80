"""The names of the pictures, and each one drawn."""

import hashlib
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from dcls_cli.evaluation.graphics import marks, papers, textures
from dcls_cli.evaluation.graphics.canvas import WHITE, Canvas
from dcls_cli.evaluation.graphics.flags import FLAGS

#: Changes with anything that changes a picture.
VERSION = "graphics/1"

Draw = Callable[[np.random.RandomState, int], NDArray[np.uint8]]


def _levels(draw: Callable[[np.random.RandomState, int], Canvas]) -> Draw:
    return lambda random, index: draw(random, index).levels()


#: Kinds of which each picture is drawn by chance, and how many of each there are.
_DRAWN: Mapping[str, tuple[Draw, int]] = {
    "logos": (_levels(marks.logo), 24),
    "charts": (_levels(papers.chart), 16),
    "maps": (_levels(papers.street_map), 12),
    "screens": (_levels(papers.screen), 16),
    "text": (_levels(papers.text), 12),
    "drawings": (textures.drawing, 16),
    "sprites": (textures.sprite, 12),
    "gradients": (textures.gradient, 12),
    "halftone": (textures.halftone, 12),
}
#: Kinds whose pictures are known by name.
_NAMED: Mapping[str, Mapping[str, Callable[[Canvas], None]]] = {
    "flags": FLAGS,
    "edges": marks.EDGES,
}


def names() -> tuple[str, ...]:
    """All pictures in order: the kind, a hyphen, and a number or a name."""
    named = [f"{kind}-{name}" for kind, pictures in _NAMED.items() for name in pictures]
    drawn = [f"{kind}-{index:02d}" for kind, (_, count) in _DRAWN.items() for index in range(count)]
    return (*named, *drawn)


def kind_of(name: str) -> str:
    """What a picture is of: flags, edges, logos and so on."""
    return name.partition("-")[0]


def draw(name: str) -> NDArray[np.uint8]:
    """One picture: (3, HEIGHT, WIDTH).

    Raises:
        KeyError: there is no such picture.
    """
    kind, _, rest = name.partition("-")
    if kind in _NAMED:
        canvas = Canvas(WHITE)
        _NAMED[kind][rest](canvas)
        return canvas.levels()
    return _DRAWN[kind][0](random_for(name), int(rest))


def random_for(name: str) -> np.random.RandomState:
    """Random numbers that depend on the version and the name alone."""
    digest = hashlib.sha256(f"{VERSION} {name}".encode()).digest()
    return np.random.RandomState(np.frombuffer(digest, "<u4").astype(np.uint32))
