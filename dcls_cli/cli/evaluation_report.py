"""What `dcls eval --out` writes: a page, a montage, curves, figures as files."""

import importlib.util
import io
from itertools import accumulate
from pathlib import Path

from dcls_cli.cli import console
from dcls_cli.cli.evaluation_harm import HARM_FIGURES, harm_cells
from dcls_cli.cli.evaluation_output import (
    FIGURES,
    KERNEL_FIGURES,
    Cells,
    Output,
    cells,
    kernel_cells,
    published_cells,
)
from dcls_cli.cli.kernels import write_bytes
from dcls_cli.evaluation.benchmarks import BENCHMARKS
from dcls_cli.evaluation.rows import rows_by_case
from dcls_cli.evaluation.showing import comparisons, draw_montage, show
from dcls_cli.installation import install_command
from dcls_cli.reports.comparison import FigureTable, comparison_page
from dcls_cli.reports.pictures import encode_png, picture_of_png


def write_report(output: Output, out: Path) -> None:
    """Write everything into a folder; files of an earlier evaluation are replaced.

    Raises:
        ImageError: a file cannot be written.
    """
    shown = show(output.plan)
    curves = _curves(output)
    page = comparison_page(
        title=f"dcls eval: {output.title}",
        introduction=_introduction(output),
        tables=_tables(output),
        comparisons=comparisons(shown),
        curves=None if curves is None else picture_of_png(curves),
    )
    files = {
        "figures.csv": output.csv().encode(),
        "figures.md": ("\n".join(output.markdown()) + "\n").encode(),
        "montage.png": encode_png(draw_montage(shown)),
        "report.html": page.encode(),
    }
    if curves is not None:
        files["curves.png"] = curves
    for name, content in files.items():
        write_bytes(content, out / name, overwrite=True)
    if output.plan.benchmark == "div2krk-like":
        _write_substitute(output, out)
    console.note(f"{out}: {', '.join(sorted(files))}")


def _curves(output: Output) -> bytes | None:
    """PSNR over the width, where the cases are widths and there is something that draws."""
    if output.benchmark.cases != "sigma":
        return None
    if importlib.util.find_spec("matplotlib") is None:
        console.note(f"curves are not drawn: matplotlib is missing: {install_command('train')}")
        return None
    from dcls_cli.reports.figures import draw_curves

    points = {
        method: [(row.sigma or 0.0, row.psnr_y) for row in rows_by_case(rows)]
        for method, rows in output.results.items()
    }
    best = output.published[-1:]
    levels = {item.method: item.psnr_y for item in best}
    return draw_curves(points, output.title, levels)


def _introduction(output: Output) -> list[str]:
    count = len(output.plan.items)
    texts = [
        f"Benchmark {output.benchmark.version}: {output.benchmark.describes}. {count} "
        f"image{'s' * (count > 1)}, x{output.plan.scale}. PSNR and SSIM of 8-bit pictures, "
        f"{output.plan.scale} pixels of border left out.",
    ]
    if output.published:
        texts.append("Figures in italics are published by others and were not measured here.")
    return texts


def _tables(output: Output) -> list[FigureTable]:
    tables = [_summary(output)]
    caption = "Each case, each image and the mean."
    tables.append(_detailed(output, FIGURES, cells, list(output.results), caption))
    for method, found in output.harm.items():
        caption = f"{method} beside bicubic: PSNR in dB over RGB, and what is worse."
        lines = tuple(tuple(harm_cells(harm)) for harm in found)
        tables.append(FigureTable(caption, ("group", *HARM_FIGURES), lines))
    if output.has_kernels:
        caption = "Estimated kernels: LR-PSNR in dB, errors of taps in HR and in LR space."
        tables.append(_detailed(output, KERNEL_FIGURES, kernel_cells, output.estimating, caption))
    return tables


def _summary(output: Output) -> FigureTable:
    """Means of all methods, and what is published."""
    means = dict(zip(output.results, output.blocks[-1].rows[0], strict=True))
    lines = [(method, "", *cells(row)) for method, row in means.items()]
    marked = range(len(lines), len(lines) + len(output.published))
    for item in output.published:
        method, size, psnr, ssim = published_cells(item)
        lines.append((f"{method} (published)", size, psnr, ssim, "", ""))
    head = ("method", "parameters", *FIGURES)
    return FigureTable("Means over all images and cases.", head, tuple(lines), frozenset(marked))


def _detailed(
    output: Output, figures: tuple[str, ...], of: Cells, methods: list[str], caption: str
) -> FigureTable:
    head = (output.benchmark.cases or "image", *figures * len(methods))
    lines = tuple(output.lines(of, methods))
    starts = accumulate(len(block.names) for block in output.blocks[:-1])
    return FigureTable(
        caption,
        head,
        lines,
        groups=tuple((method, len(figures)) for method in methods),
        first=frozenset(starts),
    )


def _write_substitute(output: Output, out: Path) -> None:
    """Kernels and LR images of the DIV2KRK-like benchmark, for others to use."""
    import numpy as np

    for folder in ("kernels", "lr"):
        (out / folder).mkdir(exist_ok=True)
    for item in output.plan.items:
        sample = BENCHMARKS[output.plan.benchmark].prepare(item, output.plan.scale)
        kernel = sample.kernels[0]
        assert kernel is not None
        stem = f"{item.hr.stem}x{output.plan.scale}"
        buffer = io.BytesIO()
        np.save(buffer, kernel.taps)
        write_bytes(buffer.getvalue(), out / "kernels" / f"{stem}.npy", overwrite=True)
        levels = np.ascontiguousarray(sample.lr[0].transpose(1, 2, 0))
        write_bytes(encode_png(levels), out / "lr" / f"{stem}.png", overwrite=True)
