"""Which of the released models suits a photo: the rule behind `--model auto`."""

from dataclasses import dataclass

from dcls_cli.config import Scale
from dcls_cli.image.photo import Photo
from dcls_cli.image.traces import traces
from dcls_cli.releases import photo_release, release

#: 8-bit levels of noise that a clean picture rarely has: three times what rounding leaves.
NOISE_LIMIT = 1.0

#: Diagonal over straight detail; texture without noise rarely has as much.
WHITENESS_LIMIT = 0.5

#: Standard errors by which a grid of blocks stands out only where there is one.
GRID_LIMIT = 5.0


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
    """Choose the model for photographs, unless the picture is clean.

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
    found = _damage(photo)
    if found is None:
        return Choice(default.name, "it shows no noise and no compression")
    item = photo_release(scale, exact=exact)
    if item is None:
        return Choice(default.name, f"{found}, but there is no model for photographs at x{scale}")
    if item.scale != scale:
        found += f" (its x{item.scale} result is reduced)"
    return Choice(item.name, found)


def _damage(photo: Photo) -> str | None:
    """What speaks against clean data; None if nothing does."""
    if not photo.lossless:
        return f"{photo.format} compresses with loss"
    seen = traces(photo.colour)
    if seen.noise > NOISE_LIMIT and seen.whiteness > WHITENESS_LIMIT:
        return f"it shows noise of {seen.noise:.1f} levels of 255"
    if seen.grid > GRID_LIMIT:
        return "it shows traces of an earlier JPEG"
    return None
