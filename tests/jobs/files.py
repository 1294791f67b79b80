"""Small pictures and trees of them for the tests of batches."""

from pathlib import Path

import numpy as np
from PIL import Image

from dcls_cli.jobs.catalogue import Source


def picture(path: Path, size: tuple[int, int] = (12, 8), seed: int = 0) -> Path:
    """Write coarse noise; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (size[1] // 4 + 1, size[0] // 4 + 1, 3), np.uint8)
    array = coarse.repeat(4, axis=0).repeat(4, axis=1)[: size[1], : size[0]]
    Image.fromarray(array).save(path)
    return path


def sources(*names: str) -> list[Source]:
    """Sources below `in`, none of which exists."""
    return [Source(Path("in") / name, Path(name)) for name in names]
