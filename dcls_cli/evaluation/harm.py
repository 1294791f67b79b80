"""Where a method is worse than bicubic enlargement, how often and by how much."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from dcls_cli.errors import UsageError
from dcls_cli.evaluation.rows import Row

#: Two bicubics that round otherwise differ by less, dB: such results are equal.
EQUAL_DB = 0.01

#: Losses above it are counted by themselves, dB.
NOTICED_DB = 0.3

ALL = "all"


@dataclass(frozen=True)
class Harm:
    """What a method does to a group of pictures, beside bicubic; PSNR over all three channels.

    The brightness alone would not do: between colours of one brightness it has no edges.

    Attributes:
        group: name of the group, or "all".
        count: results.
        psnr_rgb: mean of the method, dB; of results that are not exact.
        bicubic_psnr_rgb: mean of bicubic, dB; of results that are not exact.
        below: share of the results that are worse than bicubic by more than `EQUAL_DB`, 0 to 1.
        noticed: share that is worse by more than `NOTICED_DB`.
        worst_db: the largest loss against bicubic; negative where every result is better.
        worst: image and case that it is of.
    """

    group: str
    count: int
    psnr_rgb: float
    bicubic_psnr_rgb: float
    below: float
    noticed: float
    worst_db: float
    worst: str


def harms(
    rows: Sequence[Row], bicubic: Sequence[Row], groups: Sequence[Callable[[Row], str]] = ()
) -> list[Harm]:
    """The harm to each group, group by group in the order of the rows, and to all.

    Args:
        rows: of a method.
        bicubic: of the same images and cases in the same order.
        groups: what tells the group of a row; each divides all rows anew.

    Raises:
        UsageError: there are no rows, or they are of other images.
    """
    places = [(row.image, row.case) for row in rows]
    if not rows or places != [(row.image, row.case) for row in bicubic]:
        raise UsageError("harm is counted over results of the same images, one at least")
    pairs = list(zip(rows, bicubic, strict=True))
    found = []
    for group in groups:
        members: dict[str, list[tuple[Row, Row]]] = {}
        for pair in pairs:
            members.setdefault(group(pair[0]), []).append(pair)
        found += [_harm(name, of_group) for name, of_group in members.items()]
    return [*found, _harm(ALL, pairs)]


def _harm(group: str, pairs: Sequence[tuple[Row, Row]]) -> Harm:
    losses = [_loss_db(row.psnr_rgb, reference.psnr_rgb) for row, reference in pairs]
    place = max(range(len(pairs)), key=losses.__getitem__)
    row = pairs[place][0]
    return Harm(
        group=group,
        count=len(pairs),
        psnr_rgb=_mean([row.psnr_rgb for row, _ in pairs]),
        bicubic_psnr_rgb=_mean([reference.psnr_rgb for _, reference in pairs]),
        below=fmean(loss > EQUAL_DB for loss in losses),
        noticed=fmean(loss > NOTICED_DB for loss in losses),
        worst_db=losses[place],
        worst=f"{row.image}, {row.case}" if row.case else row.image,
    )


def _loss_db(psnr: float, reference: float) -> float:
    """How much worse than the reference; two exact results differ by nothing."""
    return 0.0 if psnr == reference else reference - psnr


def _mean(values: Sequence[float]) -> float:
    """Of the finite values; infinity where each is exact."""
    known = [value for value in values if math.isfinite(value)]
    return fmean(known) if known else math.inf
