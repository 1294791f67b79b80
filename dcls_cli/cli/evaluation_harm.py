"""The harm that `dcls eval` counts, as it is printed."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

from dcls_cli.evaluation.harm import NOTICED_DB, Harm, harms
from dcls_cli.evaluation.rows import Row, finite

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


def harm_fields(harm: Harm) -> dict[str, object]:
    """Figures as JSON holds them."""
    return {
        key: finite(value) if isinstance(value, float) else value
        for key, value in asdict(harm).items()
    }


def harm_markdown(by_method: dict[str, list[Harm]]) -> Iterator[str]:
    """Lines of a table for each method."""
    for method, found in by_method.items():
        yield from ("", f"{method} beside bicubic:", "")
        yield from (f"| group | {' | '.join(HARM_FIGURES)} |", "| --- " * 8 + "|")
        for harm in found:
            yield f"| {' | '.join(harm_cells(harm))} |"
