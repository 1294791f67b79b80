"""The page of an evaluation: figures, curves, and originals under sliders."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from dcls_cli import __version__
from dcls_cli.reports.pictures import Picture, page_resource, slider


@dataclass(frozen=True)
class FigureTable:
    """Figures for the page.

    Attributes:
        caption: what they are.
        head: of the columns.
        lines: cells as they are printed; the first of a line names it.
        marked: places of lines that others have published.
        groups: what several columns have in common, and how many those are; from the second
            column on.
        first: places of lines with which something new begins.
    """

    caption: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    marked: frozenset[int] = frozenset()
    groups: tuple[tuple[str, int], ...] = ()
    first: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Comparison:
    """Two pictures of one image under a slider.

    Attributes:
        before: the left one.
        after: the right one, of the same size.
        labels: names of both.
        caption: what is seen, with figures.
        kernels: pictures of kernels with what they are.
    """

    before: Picture
    after: Picture
    labels: tuple[str, str]
    caption: str
    kernels: tuple[tuple[Picture, str], ...] = ()


def comparison_page(
    title: str,
    introduction: Sequence[str],
    tables: Sequence[FigureTable],
    comparisons: Sequence[Comparison],
    curves: Picture | None,
) -> str:
    """Build the page: one HTML document with everything in it."""
    drawn = (
        ""
        if curves is None
        else _section("curves", "PSNR against the width of the blur", _curves(curves))
    )
    return Template(page_resource("comparison.html")).substitute(
        title=escape(title),
        css=page_resource("page.css") + page_resource("slider.css"),
        js=page_resource("slider.js"),
        introduction="\n".join(f"<p>{escape(text)}</p>" for text in introduction),
        tables="\n".join(map(_table, tables)),
        curves=drawn,
        comparisons="\n".join(map(_view, comparisons)),
        version=escape(__version__),
    )


def _table(table: FigureTable) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    spans = "".join(
        f'<th scope="colgroup" colspan="{count}">{escape(name)}</th>'
        for name, count in table.groups
    )
    above = f"<tr><td></td>{spans}</tr>\n" if spans else ""
    lines = []
    for place, line in enumerate(table.lines):
        kinds = {"published": place in table.marked, "first": place in table.first}
        names = " ".join(name for name, has in kinds.items() if has)
        kind = f' class="{names}"' if names else ""
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in line[1:])
        lines.append(f'<tr{kind}><th scope="row">{escape(line[0])}</th>{cells}</tr>')
    body = "\n".join(lines)
    return (
        f'<div class="wide"><table class="figures"><caption>{escape(table.caption)}</caption>\n'
        f"<thead>{above}<tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _curves(picture: Picture) -> str:
    return (
        f'<img src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        'alt="PSNR on Y over the width of the blur, a curve for each method">'
    )


def _view(item: Comparison) -> str:
    kernels = "".join(
        f'<figure><img class="taps" src="{kernel.uri}" width="{kernel.width}" '
        f'height="{kernel.height}" alt="{escape(text)}"><figcaption>{escape(text)}</figcaption>'
        "</figure>"
        for kernel, text in item.kernels
    )
    beside = f'<div class="kernels">{kernels}</div>' if kernels else ""
    return (
        f'<div class="view">{slider(item.before, item.after, item.labels)}\n'
        f"<p>{escape(item.caption)}</p>{beside}</div>"
    )


def _section(name: str, heading: str, content: str) -> str:
    return (
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(heading)}</h2>\n'
        f"{content}\n</section>"
    )
