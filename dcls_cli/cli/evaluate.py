"""`dcls eval`: figures of a network under the Gaussian8 protocol, beside those of bicubic."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli.console import err, event, out, visible
from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from dcls_cli.backends import Backend
    from dcls_cli.evaluation import Restore, Row


class Baseline(StrEnum):
    """What a network can be compared with."""

    BICUBIC = "bicubic"


def evaluate(
    *,
    hr: Annotated[Path, typer.Option("--hr", help="Folder of sharp images (PNG).")],
    scale: Annotated[int, typer.Option("--scale", "-s", help="Up-scaling factor: 2, 3 or 4.")] = 4,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model or hf:OWNER/REPO; default: of the scale."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", "-w", help="Weight file, instead of a model.")
    ] = None,
    against: Annotated[
        Baseline | None, typer.Option("--against", help="Show a baseline beside the network.")
    ] = None,
    device: Annotated[str, typer.Option("--device", "-d", help="auto, cpu or cuda[:N].")] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="fp32 (as for published figures), bf16, fp16, auto.")
    ] = "fp32",
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Measure PSNR and SSIM of a network on sharp images, for eight blurs each (Gaussian8)."""
    from dcls_cli.backends import load_backend
    from dcls_cli.cli.downloads import find_model
    from dcls_cli.evaluation import bicubic_restore, find_hr

    if model is not None and weights is not None:
        raise UsageError("--model and --weights exclude each other; give one of them")
    paths = find_hr(hr)
    path = weights if weights is not None else find_model(model if model is not None else scale)
    backend = load_backend(path, device, precision)
    if backend.config.scale != scale:
        raise UsageError(
            f"{path} is made for scale {backend.config.scale}, not {scale}; "
            f"add -s {backend.config.scale}"
        )
    name = path.stem if weights is not None else _model_name(model, scale)
    methods = {name: _network(backend)}
    if against is not None:
        methods[against.value] = bicubic_restore(scale)
    results = {
        method: _measured(restore, paths, scale, method) for method, restore in methods.items()
    }
    if json:
        _print_json(results, scale)
    else:
        out.print(_table(results, f"{hr}, x{scale}, Gaussian8"))


def _model_name(model: str | None, scale: int) -> str:
    """What heads a model's columns."""
    from dcls_cli.hub import is_hub_name
    from dcls_cli.releases import release

    if model is not None and is_hub_name(model):
        return model
    return release(model if model is not None else scale).name


def _network(backend: "Backend") -> "Restore":
    """Run a network on whole images, with the kernel that it estimates."""
    return lambda lr: backend.restore(lr[None], backend.estimate(lr, tiled=False))[0]


def _measured(restore: "Restore", paths: Sequence[Path], scale: int, method: str) -> "list[Row]":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from dcls_cli.evaluation import gaussian8

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=err, disable=not err.is_terminal, transient=True
    ) as progress:
        task = progress.add_task(visible(method), total=None)
        return gaussian8(
            paths,
            scale,
            restore,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _table(results: "dict[str, list[Row]]", title: str) -> "Table":
    """One line for each sigma and one for the mean; each method has its columns."""
    from rich import box
    from rich.table import Table

    from dcls_cli.evaluation import mean_row, rows_by_sigma

    table = Table(title=visible(title), box=box.SIMPLE if out.is_terminal else None)
    table.add_column("sigma", justify="right")
    for method in results:
        for figure in ("PSNR Y", "SSIM Y", "PSNR RGB"):
            table.add_column(f"{visible(method)}\n{figure}", justify="right")
    by_sigma = zip(*map(rows_by_sigma, results.values()), strict=True)
    for line in by_sigma:
        table.add_row(f"{line[0].sigma:.2f}", *_cells(line))
    table.add_section()
    table.add_row("mean", *_cells([mean_row(rows) for rows in results.values()]))
    return table


def _cells(line: "Sequence[Row]") -> list[str]:
    return [
        cell
        for row in line
        for cell in (f"{row.psnr_y:.3f}", f"{row.ssim_y:.4f}", f"{row.psnr_rgb:.3f}")
    ]


def _print_json(results: "dict[str, list[Row]]", scale: int) -> None:
    """Every image and sigma, then the mean of each sigma and of all."""
    from dcls_cli.evaluation import mean_row, rows_by_sigma

    for method, rows in results.items():
        events = [("row", row) for row in rows]
        events += [("sigma", row) for row in rows_by_sigma(rows)]
        for name, row in [*events, ("mean", mean_row(rows))]:
            fields = {key: _finite(value) for key, value in asdict(row).items()}
            event(name, method=method, scale=scale, protocol="gaussian8", **fields)


def _finite(value: str | float | None) -> str | float | None:
    """JSON has no infinity, which is the PSNR of a perfect restoration."""
    if not isinstance(value, float):
        return value
    return round(value, 6) if math.isfinite(value) else None
