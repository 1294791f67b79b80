"""Where a method is worse than bicubic enlargement, how often, by how much, and as a table."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from dcls_cli.errors import UsageError
from dcls_cli.evaluation.rows import Row

#: Two bicubics that round otherwise differ by less, dB: such results are equal.
EQUAL_DB = 0.01

#: Losses above it are counted by themselves, dB.
NOTICED_DB = 0.3

ALL = "all"

BICUBIC = "bicubic"


HARM_FIGURES = (
    "results",
    "PSNR RGB",
    BICUBIC,
    "below, %",
    f"below by {NOTICED_DB} dB, %",
    "worst, dB",
    "where",
)


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
        groups: give the group of a row; each one divides all rows.

    Raises:
        UsageError: there are no rows, or they are of other images.
    """
    places = [(row.image, row.case) for row in rows]
    if not rows or places != [(row.image, row.case) for row in bicubic]:
        raise UsageError("harm is counted over results of the same images, one at least")
    pairs = list(zip(rows, bicubic, strict=True))
    figures = []
    for group in groups:
        members: dict[str, list[tuple[Row, Row]]] = {}
        for pair in pairs:
            members.setdefault(group(pair[0]), []).append(pair)
        figures += [_harm(name, of_group) for name, of_group in members.items()]
    return [*figures, _harm(ALL, pairs)]


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


def harm_by_method(
    results: dict[str, list[Row]], kind: Callable[[str], str]
) -> dict[str, list[Harm]]:
    """Of each method but bicubic: for each kind of picture, each kind of file, and all."""
    groups = (lambda row: kind(row.image), lambda row: row.case)
    return {
        method: harms(rows, results[BICUBIC], groups)
        for method, rows in results.items()
        if method != BICUBIC
    }


def harm_cells(harm: Harm) -> list[str]:
    """Group and figures as they are printed."""
    return [
        harm.group,
        str(harm.count),
        f"{harm.psnr_rgb:.2f}",
        f"{harm.bicubic_psnr_rgb:.2f}",
        f"{100 * harm.below:.1f}",
        f"{100 * harm.noticed:.1f}",
        f"{-harm.worst_db:+.2f}",
        harm.worst,
    ]


def harm_markdown(by_method: dict[str, list[Harm]]) -> Iterator[str]:
    """Lines of a table for each method."""
    for method, groups in by_method.items():
        yield from ("", f"{method} beside bicubic:", "")
        yield from (f"| group | {' | '.join(HARM_FIGURES)} |", "| --- " * 8 + "|")
        for harm in groups:
            yield f"| {' | '.join(harm_cells(harm))} |"
