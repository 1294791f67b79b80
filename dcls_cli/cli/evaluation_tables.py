"""The tables of `dcls eval` for people."""

from collections.abc import Callable

from rich import box
from rich.table import Table

from dcls_cli.cli import console
from dcls_cli.cli.evaluation_harm import HARM_FIGURES, harm_cells
from dcls_cli.cli.evaluation_output import (
    FIGURES,
    MARK,
    Output,
    cells,
    kernel_cell,
    pair_cell,
    published_cells,
)
from dcls_cli.evaluation.harm import Harm
from dcls_cli.evaluation.rows import Row


def print_tables(output: Output) -> None:
    """PSNR and SSIM on Y side by side, the kernels, then all means and what is published."""
    methods = list(output.results)
    console.show(_lines(output, "PSNR Y in dB / SSIM Y", pair_cell, methods))
    if output.has_kernels:
        text = "kernels: LR-PSNR in dB / error of taps in HR / in LR space"
        console.show(_lines(output, text, kernel_cell, output.estimating))
    for method, found in output.harm.items():
        console.show(_harm(method, found))
    console.show(_means(output))


def _lines(output: Output, what: str, of: Callable[[Row], str], methods: list[str]) -> Table:
    """One line for each case, each image and the mean; each method has its column."""
    table = _empty(f"{output.title}\n{what}")
    table.add_column(output.benchmark.cases or "image", justify="right")
    places = [list(output.results).index(method) for method in methods]
    for method in methods:
        table.add_column(console.visible(method), justify="right", overflow="fold")
    for block in output.blocks:
        for name, line in zip(block.names, block.rows, strict=True):
            table.add_row(console.visible(name), *(of(line[place]) for place in places))
        table.add_section()
    return table


def _harm(method: str, found: list[Harm]) -> Table:
    """A line for each group: how much, how often and where at worst it is below bicubic."""
    table = _empty(f"{console.visible(method)} beside bicubic, PSNR in dB over RGB")
    for head in ("group", *HARM_FIGURES):
        table.add_column(head, justify="right", overflow="fold")
    for harm in found:
        table.add_row(*harm_cells(harm))
    return table


def _means(output: Output) -> Table:
    """A line for each method, ours and published ones."""
    table = _empty("means")
    for head in ("method", "parameters", *FIGURES):
        table.add_column(head, justify="left" if head == "method" else "right", overflow="fold")
    means = output.blocks[-1].rows[0]
    for method, row in zip(output.results, means, strict=True):
        table.add_row(console.visible(method), "", *cells(row))
    table.add_section()
    for item in output.published:
        method, *figures = published_cells(item)
        table.add_row(f"{method} *", *figures, "", "")
    if output.published:
        table.caption = f"* {MARK}"
    return table


def _empty(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE if console.out.is_terminal else None)
