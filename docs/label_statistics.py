"""What `label_networks.py` measures of a small picture: what today's rule uses, and more."""

import io

import numpy as np
from PIL import Image

from dcls_cli.image import Photo
from dcls_cli.image.traces import traces

#: Luminance table of Annex K of JPEG at quality 50, its sum.
ANNEX_K_SUM = 3688


def statistics(photo: Photo, file: bytes) -> dict[str, object]:
    """By name; a quality of 0 where there is no table."""
    levels = np.rint(photo.pixels * 255).astype(int)
    seen = traces(photo.colour)
    near, exact = flat_blocks(levels)
    eighth, others = steps_by_phase(levels.mean(2))
    return {
        "format": photo.format,
        "noise": round(seen.noise, 3),
        "whiteness": round(seen.whiteness, 3),
        "grid": round(seen.grid, 3),
        "equal": round(equal_neighbours(levels), 4),
        "near_flat": round(near, 4),
        "exactly_flat": round(exact, 4),
        "flat_share": round(exact / near, 4) if near else 1.0,
        "grid_8": round(eighth, 4),
        "grid_others": round(others, 4),
        "plain_noise": round(plain_noise(levels), 3),
        "colours": len(np.unique(levels.reshape(-1, 3), axis=0)),
        "quality": quality_of(file),
        "halved_chroma": int(halved_chroma(file)),
        "lossless_webp": int(file[12:16] == b"VP8L" or b"VP8L" in file[:64]),
        "pixels": photo.width * photo.height,
    }


def equal_neighbours(levels: np.ndarray) -> float:
    """Share of the pixels that equal those to the right and below in every channel."""
    across = (levels[:-1, :-1] == levels[:-1, 1:]).all(2)
    down = (levels[:-1, :-1] == levels[1:, :-1]).all(2)
    return float((across & down).mean())


def flat_blocks(levels: np.ndarray) -> tuple[float, float]:
    """Shares of the 4x4 blocks that vary by less than 9 levels, and by none."""
    rows, columns = (side // 4 for side in levels.shape[:2])
    blocks = levels[: 4 * rows, : 4 * columns].reshape(rows, 4, columns, 4, 3)
    extent = np.ptp(blocks.transpose(0, 2, 1, 3, 4).reshape(rows, columns, 16, 3), axis=2).max(2)
    return float((extent < 9).mean()), float((extent == 0).mean())


def steps_by_phase(grey: np.ndarray) -> tuple[float, float]:
    """Excess of steps on the borders of 8x8 blocks, and the largest one elsewhere.

    Only steps of less than 6 levels count, next to others as small: no edges of the picture.
    """
    means = np.zeros(8)
    for axis in (0, 1):
        step = np.abs(np.diff(grey, axis=axis)).swapaxes(0, axis)
        middle, around = step[1:-1], np.maximum(step[:-2], step[2:])
        small = (middle < 6) & (around < 6)
        excess = np.where(small, middle - (step[:-2] + step[2:]) / 2, 0)
        for phase in range(8):
            count = small[phase::8].sum()
            means[phase] += excess[phase::8].sum() / max(count, 1) / 2
    # Step number 7 of `step` lies on a border, number 6 of those with two neighbours.
    return float(means[6]), float(np.delete(means, 6).max())


def plain_noise(levels: np.ndarray) -> float:
    """Standard deviation of the finest detail, in the quietest third of blocks that are not flat.

    Blocks of exactly one colour are left out, as they have no noise but may hide that of others.
    """
    grey = levels.mean(2)
    detail = (grey[:-1, :-1] - grey[:-1, 1:] - grey[1:, :-1] + grey[1:, 1:]) / 2
    rows, columns = (side // 4 for side in detail.shape)
    blocks = detail[: 4 * rows, : 4 * columns].reshape(rows, 4, columns, 4)
    power = (blocks**2).mean(axis=(1, 3)).ravel()
    power = power[power > 0]
    return float(np.sqrt(np.quantile(power, 1 / 3))) if power.size else 0.0


def quality_of(file: bytes) -> int:
    """Of a JPEG by its luminance table, as libjpeg scales it; 0 of other files."""
    with Image.open(io.BytesIO(file)) as picture:
        tables = getattr(picture, "quantization", None)
    if not tables:
        return 0
    percent = 100 * sum(tables[0]) / ANNEX_K_SUM
    return round(100 - percent / 2 if percent <= 100 else 5000 / percent)


def halved_chroma(file: bytes) -> bool:
    """Whether a JPEG has chroma of half the width."""
    with Image.open(io.BytesIO(file)) as picture:
        layers = getattr(picture, "layer", None)
    return bool(layers) and len(layers) == 3 and layers[0][1] > layers[1][1]
