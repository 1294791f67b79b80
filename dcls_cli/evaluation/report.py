"""What `dcls eval --out` writes: a page, a montage, curves, figures as files."""

import importlib.util
import io
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

from dcls_cli.evaluation.benchmarks import BENCHMARKS
from dcls_cli.evaluation.harm import HARM_FIGURES, harm_cells
from dcls_cli.evaluation.pictures import comparisons, draw_montage, restore_examples
from dcls_cli.evaluation.rows import rows_by_case, write_bytes
from dcls_cli.evaluation.samples import distinct_names
from dcls_cli.evaluation.tables import (
    FIGURES,
    KERNEL_FIGURES,
    READING_FIGURES,
    READING_TITLE,
    Cells,
    Results,
    cells,
    kernel_cells,
    published_cells,
    reading_cells,
)
from dcls_cli.installation import install_command
from dcls_cli.reports.comparison import FigureTable, comparison_page
from dcls_cli.reports.pictures import encode_png, picture_of_png


def write_report(results: Results, out: Path, note: Callable[[str], None]) -> None:
    """Write everything into a folder; files of an earlier evaluation are replaced.

    Args:
        results: of the evaluation.
        out: the folder.
        note: called with what was written, and with what could not be drawn.

    Raises:
        ImageError: a file cannot be written.
    """
    examples = restore_examples(results.plan)
    curves = _curves(results, note)
    page = comparison_page(
        title=f"dcls eval: {results.title}",
        introduction=_introduction(results),
        tables=_tables(results),
        comparisons=comparisons(examples),
        curves=None if curves is None else picture_of_png(curves),
    )
    files = {
        "figures.csv": results.csv().encode(),
        "figures.md": ("\n".join(results.markdown()) + "\n").encode(),
        "montage.png": encode_png(draw_montage(examples)),
        "report.html": page.encode(),
    }
    if curves is not None:
        files["curves.png"] = curves
    for name, content in files.items():
        write_bytes(content, out / name)
    if results.plan.benchmark == "div2krk-like":
        _write_substitute(results, out)
    note(f"{out}: {', '.join(sorted(files))}")


def _curves(results: Results, note: Callable[[str], None]) -> bytes | None:
    """PSNR over the width, where the cases are widths and there is something that draws."""
    if results.benchmark.cases != "sigma":
        return None
    if importlib.util.find_spec("matplotlib") is None:
        note(f"curves are not drawn: matplotlib is missing: {install_command('train')}")
        return None
    from dcls_cli.reports.figures import draw_curves

    points = {
        method: [(row.sigma or 0.0, row.psnr_y) for row in rows_by_case(rows)]
        for method, rows in results.rows.items()
    }
    best = results.published[-1:]
    levels = {item.method: item.psnr_y for item in best}
    return draw_curves(points, results.title, levels)


def _introduction(results: Results) -> list[str]:
    count = len(results.plan.items)
    texts = [
        f"Benchmark {results.benchmark.version}: {results.benchmark.describes}. {count} "
        f"image{'s' * (count > 1)}, x{results.plan.scale}. PSNR and SSIM of 8-bit pictures, "
        f"{results.plan.scale} pixels of border left out.",
    ]
    if results.published:
        texts.append("Figures in italics are published by others and were not measured here.")
    return texts


def _tables(results: Results) -> list[FigureTable]:
    tables = [_summary(results)]
    caption = "Each case, each image and the mean."
    tables.append(_detailed(results, FIGURES, cells, list(results.rows), caption))
    for method, groups in results.harm.items():
        caption = f"{method} beside bicubic: PSNR in dB over RGB, and what is worse."
        lines = tuple(tuple(harm_cells(harm)) for harm in groups)
        tables.append(FigureTable(caption, ("group", *HARM_FIGURES), lines))
    if results.has_reading:
        names = list(results.rows)
        caption = f"{READING_TITLE.capitalize()}."
        tables.append(_detailed(results, READING_FIGURES, reading_cells, names, caption))
    if results.has_kernels:
        caption = "Estimated kernels: LR-PSNR in dB, errors of taps in HR and in LR space."
        tables.append(_detailed(results, KERNEL_FIGURES, kernel_cells, results.estimating, caption))
    return tables


def _summary(results: Results) -> FigureTable:
    """Means of all methods, and what is published."""
    means = dict(zip(results.rows, results.blocks[-1].rows[0], strict=True))
    lines = [(method, results.sizes[method], *cells(row)) for method, row in means.items()]
    marked = range(len(lines), len(lines) + len(results.published))
    for item in results.published:
        method, size, psnr, ssim = published_cells(item)
        lines.append((f"{method} (published)", size, psnr, ssim, "", ""))
    head = ("method", "parameters", *FIGURES)
    return FigureTable("Means over all images and cases.", head, tuple(lines), frozenset(marked))


def _detailed(
    results: Results, figures: tuple[str, ...], of: Cells, methods: list[str], caption: str
) -> FigureTable:
    head = (results.benchmark.cases or "image", *figures * len(methods))
    lines = tuple(results.lines(of, methods))
    starts = accumulate(len(block.names) for block in results.blocks[:-1])
    return FigureTable(
        caption,
        head,
        lines,
        groups=tuple((method, len(figures)) for method in methods),
        first=frozenset(starts),
    )


def _write_substitute(results: Results, out: Path) -> None:
    """Kernels and LR images of the DIV2KRK-like benchmark, for others to use."""
    import numpy as np

    for folder in ("kernels", "lr"):
        (out / folder).mkdir(exist_ok=True)
    items = results.plan.items
    for item, name in zip(items, distinct_names([item.hr.name for item in items]), strict=True):
        sample = BENCHMARKS[results.plan.benchmark].prepare(item, results.plan.scale)
        kernel = sample.kernels[0]
        assert kernel is not None
        stem = f"{name}x{results.plan.scale}"
        buffer = io.BytesIO()
        np.save(buffer, kernel.taps)
        write_bytes(buffer.getvalue(), out / "kernels" / f"{stem}.npy")
        levels = np.ascontiguousarray(sample.lr[0].transpose(1, 2, 0))
        write_bytes(encode_png(levels), out / "lr" / f"{stem}.png")
