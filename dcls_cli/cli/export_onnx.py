"""`dcls export-onnx`: a network as ONNX graphs that any runtime can use."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dcls_cli.cli import commands, console
from dcls_cli.errors import UsageError

if TYPE_CHECKING:
    from dcls_cli.export import ExportOptions, ExportReport


def export_onnx(
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.onnx",
            help="Write to this file. [default: the name of the network, here; for darktable "
            "upscale-dcls.dtmodel]",
            rich_help_panel=commands.OUTPUT,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="NAME",
            help="Export this network: a name of `dcls models list`, or hf:OWNER/REPO.",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "-w",
            "--weights",
            metavar="FILE",
            help="Export your own weights.",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            "-s",
            "--scale",
            metavar="N",
            help="Export the usual network for 2, 3 or 4 times the size. [default: 4]",
            rich_help_panel=commands.NETWORK,
        ),
    ] = None,
    target: Annotated[
        Literal["onnx", "darktable"],
        typer.Option(
            help="Write one network as ONNX, or the networks for x2 and x4 as a .dtmodel, which "
            "darktable 5.6 imports.",
        ),
    ] = "onnx",
    fft: Annotated[
        Literal["auto", "dft", "matmul"],
        typer.Option(
            help="Compute transforms as DFT operators, or as matrix products: for GPU and web, "
            "exact at any size, slow beyond sides of 1000 pixels. auto: dft where spectra have "
            "sides of powers of two, as by default, else matmul."
        ),
    ] = "auto",
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="1x3xHxW",
            help="Accept any size (1x3xHxW), or a fixed one. [default: any, 1x3x214x214 --fused]",
        ),
    ] = None,
    split: Annotated[
        bool,
        typer.Option(
            "--split/--fused",
            help="Write graphs for tiles (FILE-estimator.onnx, FILE-restorer.onnx, ...), or one.",
        ),
    ] = False,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Use half precision for convolutions.")
    ] = False,
    int8: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="With --split, also write a restorer in int8, calibrated on these pictures.",
        ),
    ] = None,
    opset: Annotated[
        int, typer.Option(metavar="N", help="Use this version of ONNX operators.")
    ] = 20,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare with PyTorch before writing.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing outputs.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line on stdout.")
    ] = False,
) -> None:
    """Write a network as an ONNX graph that any runtime can use, checked against PyTorch."""
    from dcls_cli.cli.downloads import choose_weights
    from dcls_cli.graphs import SUFFIX

    suffix = SUFFIX if target == "onnx" else ".dtmodel"
    if output is not None and output.suffix != suffix:
        raise UsageError(f"{output}: the output of an export must end in {suffix}")
    chosen = (model, weights, scale, shape, int8)
    if target == "darktable" and (chosen != (None,) * len(chosen) or split or fft != "auto"):
        raise UsageError(
            "--target darktable packs this version's networks for x2 and x4, for any size: "
            "leave out -m, -w, -s, --fft, --shape, --split and --int8"
        )
    path = None if target == "darktable" else choose_weights(model, weights, scale)[0]
    from dcls_cli.export import ExportOptions, Shape, export
    from dcls_cli.export.darktable import ID, export_darktable

    options = ExportOptions(
        fft="matmul" if path is None else fft,
        shape=None if shape is None else Shape.parse(shape).sides,
        split=split,
        half=fp16,
        opset=opset,
        int8=int8,
    )
    if path is None:
        output = output or Path(ID + suffix)
        report = export_darktable(output, options, verify=verify, overwrite=overwrite)
    else:
        output = output or Path(path.with_suffix(SUFFIX).name)
        report = export(path, output, options, verify=verify, overwrite=overwrite)
    print_report(report, options, json=json)


def print_report(report: "ExportReport", options: "ExportOptions", *, json: bool) -> None:
    """Print what was written and how it compares: lines, or one event."""
    if json:
        console.event("done", **asdict(report))
        return
    for graph in report.graphs:
        console.say(
            f"{graph.path}  {graph.network} {graph.kind} {graph.precision}  "
            f"{graph.size / 1e6:.1f} MB  opset {options.opset}"
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
