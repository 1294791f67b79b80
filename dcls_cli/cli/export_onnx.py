"""`dcls export-onnx`: a network as ONNX graphs that any runtime can use."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dcls_cli.cli import console
from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from dcls_cli.export import ExportOptions, ExportReport


def export_onnx(
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.onnx", help="The graph to write.")
    ],
    model: Annotated[
        str | None, typer.Option("-m", "--model", metavar="NAME", help="Model, or hf:OWNER/REPO.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("-w", "--weights", metavar="FILE", help="Your own weights.")
    ] = None,
    scale: Annotated[
        int | None, typer.Option("-s", "--scale", help="Default weights of scale 2, 3 or 4.")
    ] = None,
    fft: Annotated[
        Literal["dft", "matmul"],
        typer.Option(help="Transforms as DFT operators, or as matrix products for GPU and web."),
    ] = "dft",
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="1x3xHxW", help="H and W for any size, or numbers. [fused: 1x3x214x214]"
        ),
    ] = None,
    split: Annotated[
        bool,
        typer.Option(
            "--split/--fused", help="Graphs for tiles, FILE-restorer.onnx and others, or one."
        ),
    ] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Convolutions in half precision.")] = False,
    int8: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="With --split: a restorer in int8 too, its ranges measured on these pictures.",
        ),
    ] = None,
    opset: Annotated[int, typer.Option(help="Version of the ONNX operators.")] = 20,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare with PyTorch before writing.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing outputs.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print NDJSON on stdout.")] = False,
) -> None:
    """Write a network as ONNX: one file, checked against PyTorch before it gets its name."""
    from dcls_cli.cli.downloads import choose_weights
    from dcls_cli.graphs import SUFFIX

    if output.suffix != SUFFIX:
        raise UsageError(f"{output}: the output of an export must end in {SUFFIX}")
    path, _ = choose_weights(model, weights, scale)
    from dcls_cli.export import ExportOptions, Shape, export

    options = ExportOptions(
        fft=fft,
        shape=None if shape is None else Shape.parse(shape).sides,
        split=split,
        half=fp16,
        opset=opset,
        int8=int8,
    )
    report = export(path, output, options, verify=verify, overwrite=overwrite)
    tell(report, options, json=json)


def tell(report: "ExportReport", options: "ExportOptions", *, json: bool) -> None:
    """Print what was written and how it compares: lines, or one event."""
    if json:
        console.event("done", **asdict(report))
        return
    for graph in report.graphs:
        console.say(
            f"{graph.path}  {graph.kind} {graph.precision}  {graph.size / 1e6:.1f} MB  opset "
            f"{options.opset}"
        )
        if graph.beyond_cuda:
            console.note(
                f"{graph.path}: {', '.join(graph.beyond_cuda)} run on the CPU even with CUDA; "
                "--fft matmul makes a graph that stays on the GPU"
            )
    for parity in report.parity:
        console.say(
            f"{parity.image}: at most {parity.largest:.1e} from PyTorch, {parity.psnr_db:.0f} dB"
        )
