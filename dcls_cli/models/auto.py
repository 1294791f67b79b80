"""Which of the released models suits a photo: the rule behind `--model auto`.

The rule is learnt: `docs/label_networks.py` makes pictures, restores each with both networks, and
notes which one was better; `docs/learn_choice.py` fits a sum of steps to that, `auto.json`. Each
step looks at one feature, so that the rule can say what it chose by.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from dcls_cli.config import Scale
from dcls_cli.image.photo import Photo
from dcls_cli.image.traces import measure_traces
from dcls_cli.models.releases import photo_release, release

#: Quality that stands for files without loss, and for lossy ones that do not tell theirs.
LOSSLESS_QUALITY = 101
UNKNOWN_QUALITY = 80

#: Expected gains, dB, from which the model for photographs is taken: where a picture shows damage,
#: and where it does not.
LIKELY_DB = 0.1
SURE_DB = 0.35

#: What a JPEG of a lower quality has lost shows in any picture; so it does in other lossy files.
SHOWING_QUALITY = 95

#: What shows damage in a file without loss: noise that is white enough to be no texture, and steps
#: on a grid of blocks (see `Traces`).
NOISE_LIMIT = 1.0
WHITENESS_LIMIT = 0.55
GRID_LIMIT = 5.0
BLOCKING_LIMIT = 0.15

#: Noise that is so strong and so white is no texture, whatever else the picture shows.
EVIDENT_NOISE = 2.0
EVIDENT_WHITENESS = 0.75

#: Features that show noise, and those that show an earlier JPEG.
_OF_NOISE = ("noise", "whiteness", "plain_noise")
_OF_JPEG = ("grid", "blocking")


class Step(NamedTuple):
    """A part of the rule: what a feature adds below a limit, and from it on.

    What is added is the gain of the model for photographs over the other, dB.
    """

    feature: str
    limit: float
    below: float
    above: float


@dataclass(frozen=True)
class Choice:
    """A model for a photo.

    Attributes:
        model: name of a release.
        reason: what it was chosen by, for people to read.
    """

    model: str
    reason: str


def choose(photo: Photo, scale: Scale, *, exact: bool = False) -> Choice:
    """Choose the model that restores a photo better, as far as the photo tells.

    The photo model knows noise, JPEG and blur of any direction; the light model restores more
    where there is none of that, and sharpens it where there is.

    Args:
        photo: what is to be restored.
        scale: up-scaling factor.
        exact: whether the model must have this very scale; otherwise that for photographs may have
            a larger one, whose result is reduced.

    Raises:
        WeightsError: there is no model for the scale.
    """
    default = release(scale)
    seen = features(photo)
    start, steps = rule()
    gains: dict[str, float] = {}
    for step in steps:
        gain = step.below if seen[step.feature] < step.limit else step.above
        gains[step.feature] = gains.get(step.feature, 0.0) + gain
    if not suits_photo(start + sum(gains.values()), seen):
        return Choice(default.name, _why_light(photo, seen))
    why = _why_photo(photo, seen, gains)
    item = photo_release(scale, exact=exact)
    if item is None:
        return Choice(default.name, f"{why}, but there is no model for photographs at x{scale}")
    if item.scale != scale:
        why += f" (its x{item.scale} result is reduced)"
    return Choice(item.name, why)


def suits_photo(gain: float, seen: Mapping[str, float]) -> bool:
    """Whether an expected gain is enough to take the model for photographs.

    Args:
        gain: of that model over the other, dB.
        seen: see `features`.
    """
    noisy = seen["noise"] > NOISE_LIMIT and seen["whiteness"] > WHITENESS_LIMIT
    blocks = seen["grid"] > GRID_LIMIT or seen["blocking"] > BLOCKING_LIMIT
    lossy = seen["quality"] < LOSSLESS_QUALITY
    if seen["quality"] < SHOWING_QUALITY or _evidently_noisy(seen):
        return True
    return gain > (LIKELY_DB if lossy or noisy or blocks else SURE_DB)


def _evidently_noisy(seen: Mapping[str, float]) -> bool:
    return seen["noise"] > EVIDENT_NOISE and seen["whiteness"] > EVIDENT_WHITENESS


def features(photo: Photo) -> dict[str, float]:
    """What the rule looks at: the traces of a photo, and the quality of its file."""
    quality = photo.quality or (LOSSLESS_QUALITY if photo.lossless else UNKNOWN_QUALITY)
    return {**asdict(measure_traces(photo.colour, photo.transparency)), "quality": float(quality)}


@lru_cache(maxsize=1)
def rule() -> tuple[float, tuple[Step, ...]]:
    """The gain that all photos have in common, and the steps that are added to it."""
    text = (resources.files("dcls_cli.models") / "auto.json").read_text(encoding="utf-8")
    table = json.loads(text)
    return float(table["start"]), tuple(Step(*step) for step in table["steps"])


def _why_photo(photo: Photo, seen: Mapping[str, float], gains: Mapping[str, float]) -> str:
    """The strongest argument for the model for photographs."""
    if not photo.lossless:
        return f"{photo.format} compresses with loss"
    of_noise, of_jpeg = (sum(gains.get(name, 0.0) for name in of) for of in (_OF_NOISE, _OF_JPEG))
    if of_jpeg > max(of_noise, 0) and not _evidently_noisy(seen):
        return "it shows traces of an earlier JPEG"
    if _evidently_noisy(seen) or (of_noise > 0 and seen["noise"] > NOISE_LIMIT):
        return f"it shows noise of {seen['noise']:.1f} levels of 255"
    return "it looks like a photograph that is not quite clean"


def _why_light(photo: Photo, seen: Mapping[str, float]) -> str:
    """What speaks for clean data."""
    if not photo.lossless:
        return f"what {photo.format} has lost does not show"
    if seen["equal"] > seen["colours"]:
        return "it has the flat colours of a drawing"
    return "it shows no noise and no compression"
