"""Makes a labelled set for the rule of `-m auto`: which x4 network suits which small picture.

    python docs/label_networks.py --photos Set5/x4/HR photos/ -o labels/ [--count 480]

Sharp pictures, from the folders and drawn, are reduced four times and saved in many ways. Both
networks restore each; the one with the higher PSNR over RGB is the right one. `labels.csv` has the
features of each picture; the confusion of today's rule and what it loses are printed.
`learn_choice.py` learns the rule from such files.
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from label_damage import FILTERS, as_photographed, damages
from PIL import Image

from dcls_cli.backends import Backend
from dcls_cli.backends.loading import load_backend
from dcls_cli.evaluation.graphics import draw
from dcls_cli.evaluation.restorers import UpscaleCommand
from dcls_cli.image import decode
from dcls_cli.models.auto import choose, features
from dcls_cli.models.hub import find
from dcls_cli.training.graphics import KINDS, draw_graphic

SCALE = 4
#: Of the sharp pictures, pixels.
SIDE = 320
NETWORKS = ("dcls-light-x4", "dcls-photo-x4")
SEED = 20260
FIRST_FRESH = 100
FRESH = (
    "logos",
    "charts",
    "maps",
    "screens",
    "text",
    "drawings",
    "sprites",
    "gradients",
    "halftone",
)


class Source(NamedTuple):
    """A sharp picture: its name, and how it is drawn or read."""

    name: str
    load: Callable[[], Image.Image]


def main() -> None:
    """Make, restore, measure, and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of labels.csv")
    parser.add_argument("--count", type=int, default=480, help="pictures")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    rows = []
    with (chosen.output / "labels.csv").open("w", newline="") as file:
        writer = None
        for row in labelled(sources(chosen.photos), chosen.count):
            writer = writer or csv.DictWriter(file, list(row))
            if not rows:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            rows.append(row)
            sys.stderr.write(f"\r{len(rows)} of {chosen.count}")
    sys.stderr.write("\n")
    print("\n".join(verdict(rows)))


def sources(folders: Sequence[Path]) -> list[Source]:
    """Photos and drawings in turn, so that each damage meets both."""
    photos = [
        Source(f"photo-{path.stem}", lambda path=path: centre(path))
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in (".png", ".webp", ".jpg")
    ]
    kinds = list(KINDS)
    drawn = [
        Source(
            f"{kinds[index % len(kinds)]}-{index}",
            lambda index=index: draw_graphic(index, SEED, SIDE),
        )
        for index in range(4 * len(kinds))
    ]
    tiles = [Source(f"tiles-{index}", lambda index=index: tiled(index)) for index in range(8)]
    # Numbers that the benchmark does not use: its generators, other pictures.
    fresh = [
        Source(f"{kind}-{FIRST_FRESH + index}", lambda kind=kind, index=index: drawing(kind, index))
        for index in range(6)
        for kind in FRESH
    ]
    graphics = [one for pair in zip(drawn, fresh, strict=False) for one in pair] + tiles
    count = max(len(photos), len(graphics))
    pairs = ((photos[k % len(photos)], graphics[k % len(graphics)]) for k in range(count))
    return [source for pair in pairs for source in pair]


def centre(path: Path) -> Image.Image:
    """The middle of a photo, SIDE pixels or what there is in multiples of the scale."""
    with Image.open(path) as opened:
        photo = opened.convert("RGB")
    width, height = (min(SIDE, side // SCALE * SCALE) for side in photo.size)
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return photo.crop((left, top, left + width, top + height))


def drawing(kind: str, index: int) -> Image.Image:
    """Of the kinds of `--benchmark graphics`, with the sizes that a reduced picture still shows."""
    levels = draw(f"{kind}-{FIRST_FRESH + index}")
    return Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))


def tiled(index: int) -> Image.Image:
    """Sprites whose tiles have 8 pixels when they are reduced, and so lie on JPEG's grid."""
    random = np.random.default_rng([SEED, index])
    palette = random.integers(0, 256, (6, 3), np.uint8)
    tiles = random.integers(0, 6, (4, 8, 8)) * (random.random((4, 8, 8)) < 0.5)
    rows = SIDE // SCALE // 8
    plan = random.integers(0, 4, (rows, rows))
    cells = np.block([[tiles[plan[y, x]] for x in range(rows)] for y in range(rows)])
    return Image.fromarray(palette[cells].repeat(SCALE, 0).repeat(SCALE, 1))


def labelled(pictures: Sequence[Source], count: int) -> Iterator[dict[str, object]]:
    """Rows of the table: each damage in turn, each time of another picture."""
    backends = {name: load_backend(find(name), "cpu", "fp32") for name in NETWORKS}
    known: dict[bytes, list[float]] = {}
    kinds, filters = damages(), list(FILTERS)
    for index in range(count):
        turn, place = divmod(index, len(kinds))
        damage, source = kinds[place], pictures[(7 * turn + 3 * place) % len(pictures)]
        random = np.random.default_rng([SEED, index])
        sharp = source.load()
        name = damage.name.partition(", ")[2]
        way = name if name in FILTERS else filters[random.integers(len(filters))]
        if damage.recipe is None:
            small = sharp.resize((sharp.width // SCALE, sharp.height // SCALE), FILTERS[way])
        else:
            small = as_photographed(sharp, damage.recipe, SCALE)
        file = damage.save(damage.change(small, random))
        photo = decode(io.BytesIO(file))
        pixels = photo.samples.tobytes()
        if pixels not in known:
            known[pixels] = [psnr(backend, file, sharp) for backend in backends.values()]
        light, better = known[pixels][0], NETWORKS[int(np.argmax(known[pixels]))]
        yield {
            "source": source.name,
            "damage": damage.name,
            "filter": way,
            "psnr_light": round(light, 3),
            "psnr_photo": round(known[pixels][1], 3),
            "truth": better,
            "rule": choose(photo, SCALE).model,
            **{name: round(value, 4) for name, value in features(photo).items()},
        }


def psnr(backend: Backend, file: bytes, sharp: Image.Image) -> float:
    """Of what `dcls upscale` makes of a file, over RGB, dB; transparent pixels do not count."""
    photo = decode(io.BytesIO(file))
    made = UpscaleCommand([backend], ["only"], 0.0).restore(np.zeros(0), file).sr
    error = (np.rint(255 * made) - np.asarray(sharp, float).transpose(2, 0, 1)) ** 2
    seen = np.ones(error.shape[1:], bool)
    if photo.alpha is not None:
        seen = (photo.alpha == 1).repeat(SCALE, 0).repeat(SCALE, 1)
    inner = np.s_[..., SCALE:-SCALE, SCALE:-SCALE]
    mean = error[inner][:, seen[inner]].mean()
    return float(10 * np.log10(255**2 / max(mean, 1e-3)))


def verdict(rows: Sequence[dict[str, object]]) -> list[str]:
    """Confusion of today's rule, and the mean loss against always choosing right, dB."""
    lines = ["| right | " + " | ".join(f"rule: {name}" for name in NETWORKS) + " |"]
    lines.append("| --- | --- | --- |")
    for truth in NETWORKS:
        counts = [sum(r["truth"] == truth and r["rule"] == name for r in rows) for name in NETWORKS]
        lines.append(f"| {truth} | {' | '.join(map(str, counts))} |")
    lines.append("")
    always = {"the rule": [str(row["rule"]) for row in rows]}
    always |= {f"always {name}": [name] * len(rows) for name in NETWORKS}
    for who, choices in always.items():
        lost = [
            loss_db(row, name) for row, name in zip(rows, choices, strict=True)
        ]  # fmt: skip
        lines.append(f"{who}: {np.mean(lost):.3f} dB lost on average, {max(lost):.2f} at most")
    return lines


def loss_db(row: dict[str, object], name: str) -> float:
    """What a choice loses against the right one."""
    light, photo = float(str(row["psnr_light"])), float(str(row["psnr_photo"]))
    return max(light, photo) - (light if name == NETWORKS[0] else photo)


if __name__ == "__main__":
    main()
