"""Learns the rule of `-m auto` from what `label_networks.py` found, and writes it.

    python docs/learn_choice.py labels/labels.csv [more.csv ...] [-o dcls_cli/models/auto.json]

The rule adds up steps, each of one feature: gradient boosting of stumps (Friedman 2001) on the
gain of the photo network over the light one. Printed are the mean losses against always choosing
right: of the rule in cross-validation, where no picture is judged by a rule that has seen it, and
of always taking one network.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from label_damage import FILTERS

from dcls_cli.models.auto import Step, suits_photo

FEATURES = (
    "noise",
    "whiteness",
    "grid",
    "blocking",
    "plain_noise",
    "equal",
    "flat",
    "nearly_flat",
    "colours",
    "quality",
)
STEPS = 60
RATE = 0.15
#: Larger gains count no more than these, dB: few pictures would make the rule otherwise.
LARGEST_DB = 1.5
LEAST_PICTURES = 12
FOLDS = 8


def main() -> None:
    """Read, judge, learn, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tables", type=Path, nargs="+", help="labels.csv")
    parser.add_argument("-o", "--output", type=Path, help="auto.json")
    chosen = parser.parse_args()
    rows = [row for table in chosen.tables for row in csv.DictReader(table.open(newline=""))]
    seen = np.array([[float(row[name]) for name in FEATURES] for row in rows])
    light, photo = (np.array([float(row[f"psnr_{name}"]) for row in rows])
                    for name in ("light", "photo"))  # fmt: skip
    names = sorted({row["source"] for row in rows})
    fold = np.array([names.index(row["source"]) % FOLDS for row in rows])
    gains = np.zeros(len(rows))
    for out in range(FOLDS):
        start, steps = learn(seen[fold != out], (photo - light)[fold != out])
        gains[fold == out] = score(seen[fold == out], start, steps)
    print(f"{len(rows)} pictures of {len(names)} sources")
    of_rule = np.array(
        [
            suits_photo(gain, dict(zip(FEATURES, values, strict=True)))
            for gain, values in zip(gains, seen, strict=True)
        ]
    )
    for name, taken in (
        ("the rule", of_rule),
        ("always photo", np.ones(len(rows), bool)),
        ("always light", np.zeros(len(rows), bool)),
    ):
        lost = np.maximum(light, photo) - np.where(taken, photo, light)
        clean = np.array([is_clean(row["damage"]) for row in rows])
        print(f"{name}: {lost.mean():.3f} dB lost, {lost[clean].mean():.3f} of clean pictures")
    for right, text in ((photo > light, "photo"), (photo <= light, "light")):
        taken = of_rule[right]
        print(f"{text} is right: {taken.sum()} photo, {(~taken).sum()} light")
    if chosen.output:
        start, steps = learn(seen, photo - light)
        table = {"start": start, "steps": [list(step) for step in steps]}
        chosen.output.write_text(json.dumps(table, indent=1) + "\n")


def is_clean(damage: str) -> bool:
    """Whether a row is of a picture that was only reduced."""
    return damage in ("webp, lossless", *(f"png, {name}" for name in FILTERS))


def learn(seen: np.ndarray, gains: np.ndarray) -> tuple[float, list[Step]]:
    """Fit steps to gains: (n, features) and (n,) -> start and steps."""
    left = gains.clip(-LARGEST_DB, LARGEST_DB)
    start = round(float(left.mean()), 4)
    left = left - start
    steps = []
    for _ in range(STEPS):
        step = best_step(seen, left)
        steps.append(step)
        left = left - score(seen, 0.0, [step])
    return start, steps


def best_step(seen: np.ndarray, left: np.ndarray) -> Step:
    """The step that leaves the least squares."""
    best, found = -np.inf, None
    for column, name in enumerate(FEATURES):
        order = np.argsort(seen[:, column], kind="stable")
        values, sums = seen[order, column], left[order].cumsum()
        count = np.arange(1, len(values))
        gained = sums[:-1] ** 2 / count + (sums[-1] - sums[:-1]) ** 2 / (len(values) - count)
        allowed = (values[1:] > values[:-1]) & (count >= LEAST_PICTURES)
        allowed &= len(values) - count >= LEAST_PICTURES
        gained = np.where(allowed, gained, -np.inf)
        place = int(gained.argmax())
        if gained[place] > best:
            best = gained[place]
            limit = float((values[place] + values[place + 1]) / 2)
            below = sums[place] / (place + 1)
            above = (sums[-1] - sums[place]) / (len(values) - place - 1)
            found = Step(name, round(limit, 5), round(RATE * below, 4), round(RATE * above, 4))
    assert found is not None
    return found


def score(seen: np.ndarray, start: float, steps: Sequence[Step]) -> np.ndarray:
    """The gain that the rule expects: (n,)."""
    total = np.full(len(seen), start)
    for step in steps:
        values = seen[:, FEATURES.index(step.feature)]
        total += np.where(values < step.limit, step.below, step.above)
    return total


if __name__ == "__main__":
    main()
