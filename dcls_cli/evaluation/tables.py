"""The results of an evaluation as tables: lines of cells, Markdown, CSV, events for JSON."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dcls_cli.evaluation.benchmarks import BENCHMARKS
from dcls_cli.evaluation.harm import BICUBIC, Harm, harm_by_method, harm_markdown
from dcls_cli.evaluation.published import (
    SELF_CHECK,
    SELF_CHECK_TOLERANCE_DB,
    Published,
    data_set_of,
    published,
)
from dcls_cli.evaluation.rows import (
    Row,
    json_fields,
    mean_row,
    rows_by,
    rows_by_case,
    rows_by_image,
)
from dcls_cli.evaluation.running import Plan
from dcls_cli.files.atomic import printable

FIGURES = ("PSNR Y", "SSIM Y", "PSNR RGB", "SSIM RGB")
READING_FIGURES = ("words, %", "invented, %")
KERNEL_FIGURES = ("LR-PSNR", "error HR", "error LR")
#: Figures of a row as they are printed.
Cells = Callable[[Row], list[str]]

READING_TITLE = "words read and letters invented, % of those on the pages"

MARK = "published by others, not measured here"


@dataclass(frozen=True)
class Block:
    """Lines of a table: their names, and for each method a row."""

    names: tuple[str, ...]
    rows: tuple[tuple[Row, ...], ...]


class Results:
    """The results of an evaluation, and what others have published."""

    def __init__(self, plan: Plan, rows: dict[str, list[Row]], folder: Path | None) -> None:
        """`folder` holds the set, whose name it may be."""
        self.plan, self.rows = plan, rows
        self.benchmark = BENCHMARKS[plan.benchmark]
        self.data_set = None if folder is None else data_set_of(folder)
        self.folder = folder
        self.published = published(plan.benchmark, plan.scale, self.data_set)

    @property
    def title(self) -> str:
        """Set, scale, benchmark."""
        name = self.data_set or ("" if self.folder is None else self.folder.resolve().name)
        of = f"{printable(Path(name))}, " if name else ""
        return f"{of}x{self.plan.scale}, {self.benchmark.version}"

    @property
    def blocks(self) -> list[Block]:
        """By case where there are several, by kind or image where there are several, the mean."""
        blocks = []
        if self.benchmark.cases:
            blocks.append(self._block(rows_by_case, "case"))
        kind = self.benchmark.kind
        if kind is not None:
            blocks.append(
                self._block(lambda rows: rows_by(rows, lambda row: kind(row.image)), "image")
            )
        elif len(self.plan.items) > 1:
            blocks.append(self._block(rows_by_image, "image"))
        means = tuple(mean_row(rows) for rows in self.rows.values())
        return [*blocks, Block(("mean",), (means,))]

    @property
    def harm(self) -> dict[str, list[Harm]]:
        """Of each method but bicubic: by kind, by case, of all; nothing where it is not asked."""
        kind = self.benchmark.kind
        if not self.benchmark.harmful or kind is None:
            return {}
        return harm_by_method(self.rows, kind)

    @property
    def sizes(self) -> dict[str, str]:
        """Parameters of each method, as they are printed."""
        return {method.name: size_cell(method.parameters_m()) for method in self.plan.methods}

    @property
    def has_kernels(self) -> bool:
        """Whether an estimated kernel was measured."""
        return any(row.lr_psnr is not None for rows in self.rows.values() for row in rows)

    @property
    def has_reading(self) -> bool:
        """Whether pages were read."""
        return any(row.words_read is not None for rows in self.rows.values() for row in rows)

    @property
    def estimating(self) -> list[str]:
        """The methods whose kernels were measured."""
        return [name for name, rows in self.rows.items() if rows[0].lr_psnr is not None]

    def _block(self, group: Callable[[Sequence[Row]], list[Row]], name: str) -> Block:
        columns = [group(rows) for rows in self.rows.values()]
        names = tuple(getattr(row, name) for row in columns[0])
        return Block(names, tuple(zip(*columns, strict=True)))

    def events(self) -> Iterator[tuple[str, dict[str, object]]]:
        """For programs: rows, then means of each case, each image and all, then what is published.

        Events are `row`, `sigma` or `case`, `image`, `mean`, `harm` and `published`.
        """
        common = {
            "scale": self.plan.scale,
            "protocol": self.plan.benchmark,
            "version": self.benchmark.version,
        }
        kind = "sigma" if self.benchmark.cases == "sigma" else "case"
        for method, rows in self.rows.items():
            events = [("row", row) for row in rows]
            if self.benchmark.cases:
                events += [(kind, row) for row in rows_by_case(rows)]
            events += [("image", row) for row in rows_by_image(rows)]
            for name, row in [*events, ("mean", mean_row(rows))]:
                yield name, {"method": method, **common, **json_fields(asdict(row))}
        for method, groups in self.harm.items():
            for harm in groups:
                yield "harm", {"method": method, **common, **json_fields(asdict(harm))}
        for item in self.published:
            yield "published", {**common, "set": self.data_set, **asdict(item)}

    def markdown(self) -> list[str]:
        """Lines of the tables."""
        lines = [
            f"{self.title}; PSNR in dB.",
            "",
            *self._markdown_table(FIGURES, cells, list(self.rows)),
        ]
        if self.has_reading:
            table = self._markdown_table(READING_FIGURES, reading_cells, list(self.rows))
            lines += ["", f"{READING_TITLE.capitalize()}:", "", *table]
        lines += harm_markdown(self.harm)
        if self.has_kernels:
            table = self._markdown_table(KERNEL_FIGURES, kernel_cells, self.estimating)
            lines += ["", "Kernels:", "", *table]
        if self.published:
            lines += ["", f"{MARK.capitalize()}:", "", "| method | parameters | PSNR Y | SSIM Y |"]
            lines += ["| --- | --- | --- | --- |"]
            lines += [f"| {' | '.join(published_cells(item))} |" for item in self.published]
        return lines

    def csv(self) -> str:
        """The file."""
        text = io.StringIO()
        fields = [name for name in asdict(Row("", None, 0, None, 0))]
        head = ["source", "benchmark", "scale", "method", *fields]
        writer = csv.DictWriter(text, head, lineterminator="\n", restval="")
        writer.writeheader()
        common = {"benchmark": self.benchmark.version, "scale": self.plan.scale}
        for method, rows in self.rows.items():
            for row in rows:
                line = {key: _plain(value) for key, value in asdict(row).items()}
                writer.writerow({"source": "measured", "method": method, **common, **line})
        for item in self.published:
            line = {"image": "mean", "psnr_y": item.psnr_y, "ssim_y": _plain(item.ssim_y)}
            writer.writerow({"source": "published", "method": item.method, **common, **line})
        return text.getvalue()

    def self_check(self) -> str | None:
        """Whether bicubic has the figure that it must have under the protocol; None: unknown."""
        known = SELF_CHECK.get((self.data_set or "", self.plan.scale))
        if known is None or self.plan.benchmark != "gaussian8" or BICUBIC not in self.rows:
            return None
        measured = mean_row(self.rows[BICUBIC]).psnr_y
        if abs(measured - known[0]) <= SELF_CHECK_TOLERANCE_DB:
            return f"protocol check: bicubic {measured:.3f} dB on {self.data_set}, as it must be"
        return (
            f"protocol check failed: bicubic {measured:.3f} dB, on {self.data_set} it must be "
            f"{known[0]:.3f}; these are other images, or they were changed"
        )

    def lines(self, of: Cells, methods: list[str]) -> list[tuple[str, ...]]:
        """Each case, each image and the mean: its name, then the cells of some methods."""
        places = [list(self.rows).index(method) for method in methods]
        return [
            (name, *(cell for place in places for cell in of(line[place])))
            for block in self.blocks
            for name, line in zip(block.names, block.rows, strict=True)
        ]

    def _markdown_table(self, figures: tuple[str, ...], of: Cells, methods: list[str]) -> list[str]:
        heads = [f"{method}, {figure}" for method in methods for figure in figures]
        lines = [f"| {self.benchmark.cases or 'image'} | {' | '.join(heads)} |"]
        lines.append("| --- " * (1 + len(heads)) + "|")
        return lines + [f"| {' | '.join(line)} |" for line in self.lines(of, methods)]


def cells(row: Row) -> list[str]:
    """Figures of a row as they are printed."""
    return [
        f"{row.psnr_y:.3f}",
        _printed(row.ssim_y, 4),
        f"{row.psnr_rgb:.3f}",
        _printed(row.ssim_rgb, 4),
    ]


def kernel_cells(row: Row) -> list[str]:
    """Figures of the kernel as they are printed."""
    return [
        _printed(row.lr_psnr, 2),
        _small(row.kernel_error_hr),
        _small(row.kernel_error_lr),
    ]


def reading_cells(row: Row) -> list[str]:
    """Words read and letters invented as they are printed, per cent."""
    shares = (row.words_read, row.letters_invented)
    return ["-" if share is None else f"{100 * share:.1f}" for share in shares]


def published_cells(item: Published) -> list[str]:
    """Method, parameters and figures as they are printed."""
    size = size_cell(item.parameters_m)
    return [item.method, size, f"{item.psnr_y:.2f}", _printed(item.ssim_y, 4)]


def size_cell(parameters_m: float | None) -> str:
    """Millions of parameters as they are printed."""
    return "-" if parameters_m is None else f"{parameters_m:.2f} M"


def _printed(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"


def _plain(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6)
    return "" if value is None else value
