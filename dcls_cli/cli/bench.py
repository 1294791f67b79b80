"""`dcls bench`: speed of training and inference on this machine."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from dcls_cli.cli import console
from dcls_cli.cli.training_options import PresetOption

if TYPE_CHECKING:
    from dcls_cli.benchmark.comparing import Comparison
    from dcls_cli.benchmark.tiles import TileSpeed


def bench(
    *,
    preset: Annotated[
        PresetOption, typer.Option(help="Measure the network of this preset of `dcls train`.")
    ] = "light",
    scale: Annotated[
        int, typer.Option("--scale", "-s", metavar="N", help="Enlarge 2, 3 or 4 times.")
    ] = 4,
    device: Annotated[
        str, typer.Option("--device", "-d", metavar="NAME", help="Measure on cpu or cuda[:N].")
    ] = "cpu",
    threads: Annotated[
        int, typer.Option("--threads", min=1, metavar="N", help="Use N CPU threads.")
    ] = 1,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, metavar="N", help="Measure each for N seconds.")
    ] = 5.0,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            metavar="N",
            help="Train on N patches a step. [default: that of the preset]",
        ),
    ] = None,
    side: Annotated[
        int, typer.Option("--side", min=8, metavar="N", help="Restore an LR image of N x N pixels.")
    ] = 256,
    tile: Annotated[
        int, typer.Option("--tile", min=8, metavar="N", help="Restore tiles of N x N LR pixels.")
    ] = 64,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Measure training, inference, and how much faster it is than a plain implementation.

    Without PyTorch, the released networks on ONNX Runtime alone.
    """
    from dcls_cli.backends import has_torch

    options = Options(preset, scale, device, threads, seconds, batch, side, tile)
    if has_torch():
        _measure_pytorch(options, json=json)
    else:
        console.note(
            "ONNX Runtime is measured alone: training needs PyTorch, which is not installed"
        )
    _measure_onnx(options, json=json)


class Options(NamedTuple):
    """What the command was asked for."""

    preset: PresetOption
    scale: int
    device: str
    threads: int
    seconds: float
    batch: int | None
    side: int
    tile: int


def _measure_pytorch(options: Options, *, json: bool) -> None:
    """Training, inference and the comparisons, with random weights."""
    import torch

    from dcls_cli.backends.devices import DTYPES, select_device, select_precision
    from dcls_cli.benchmark.comparing import compare
    from dcls_cli.benchmark.tiles import measure_tiles
    from dcls_cli.config import checked_scale
    from dcls_cli.machine import use_large_pages
    from dcls_cli.training.presets import PRESETS
    from dcls_cli.training.throughput import measure_inference, measure_training

    preset, scale, device, threads, seconds, batch, side, tile = options
    use_large_pages()
    where = select_device(device)
    torch.set_num_threads(threads)
    known = checked_scale(scale)
    model = PRESETS[preset].network(known)
    config = PRESETS[preset].training(known, **({} if batch is None else {"batch": batch}))
    setup = f"{preset} x{scale}, {where}"
    if where.type == "cpu":
        setup += f", {_threads(threads)}"
    training = measure_training(model, config, where, seconds)
    types = {"fp32": torch.float32, "bf16": torch.bfloat16}
    inference = {
        name: measure_inference(model, kind, side, where, seconds) for name, kind in types.items()
    }
    half = select_precision("auto", where)
    comparisons = [
        compare(model, DTYPES[name], side, where, seconds) for name in dict.fromkeys(("fp32", half))
    ]
    tiles = measure_tiles(model, half, tile, where, seconds)
    if json:
        console.event("training", setup=setup, **asdict(training))
        for name, run in inference.items():
            console.event("inference", setup=setup, precision=name, **asdict(run))
        for found in comparisons:
            ratios = {"ratio": found.ratio, "share": found.share}
            console.event("comparison", setup=setup, **asdict(found), **ratios)
        gains = {"batch_ratio": tiles.batch_ratio, "captured_ratio": tiles.captured_ratio}
        console.event("tiles", setup=setup, **asdict(tiles), **gains)
        return
    console.say(
        f"training   {setup}: {training.patches_per_s:.1f} patches/s (LR {config.patch} px, batch "
        f"{config.batch}), {training.degradation_share:.0%} of a step makes the batch"
    )
    for name, run in inference.items():
        console.say(f"inference  {setup}, {name}: {run.us_per_px:.2f} us per LR pixel")
    for found in comparisons:
        tell(found, setup)
    tell_tiles(tiles, setup)


def _measure_onnx(options: Options, *, json: bool) -> None:
    """The released networks of the preset, if there are any."""
    from dcls_cli.backends import has_torch, require_torch
    from dcls_cli.benchmark.released import measure_release, releases_of
    from dcls_cli.config import checked_scale
    from dcls_cli.errors import BackendError

    preset, scale, device, threads, seconds, _, side, tile = options
    released = releases_of(preset, checked_scale(scale))
    if not released:
        require_torch(f"--preset {preset} -s {scale}, which has no released network,")
    setup = f"{preset} x{scale}"
    for item in released:
        try:
            found = measure_release(
                item, device, side_px=side, tile_px=tile, seconds=seconds, threads=threads
            )
        except BackendError as error:
            if not has_torch():
                raise
            console.note(f"ONNX Runtime is not measured: {error}")
            continue
        for speed in found:
            where = f"{setup}, {speed.device}"
            if speed.device.startswith("cpu"):
                where += f", {_threads(threads)}"
            if json:
                console.event("released", setup=where, **asdict(speed))
                continue
            console.say(
                f"released   {where}, {speed.model}, {speed.precision}: {speed.us_per_px:.2f} us "
                f"per LR pixel of {speed.side_px} x {speed.side_px}, {speed.tile_us_per_px:.2f} of "
                f"a tile of {speed.tile_px} px"
            )


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def tell(found: "Comparison", setup: str) -> None:
    """Print a comparison in two lines."""
    console.say(
        f"ratio      {setup}, {found.precision}: {found.ratio:.2f} times as fast as plainly "
        f"(fp32, channels first, complex FFTs channel by channel): {found.us_per_px:.2f} against "
        f"{found.plain_us_per_px:.2f} us per LR pixel of {found.side_px} x {found.side_px}"
    )
    console.say(
        f"roofline   {setup}, {found.precision}: {found.gmac_per_s:.0f} GMAC/s, "
        f"{found.share:.0%} of the {found.convolutions_gmac_per_s:.0f} GMAC/s of its convolutions "
        f"alone, {found.gmac_per_s / found.matrix_gmac_per_s:.0%} of the "
        f"{found.matrix_gmac_per_s:.0f} GMAC/s of a matrix product"
    )


def tell_tiles(found: "TileSpeed", setup: str) -> None:
    """Print in one line what batches bring, and on a GPU what CUDA graphs add."""
    captured = ""
    if found.captured_us_per_px is not None:
        captured = (
            f"; as a CUDA graph {found.captured_us_per_px:.2f}, "
            f"{found.captured_ratio:.2f} times as fast as launched call by call"
        )
    console.say(
        f"tiles      {setup}, {found.precision}: {found.batch} tiles of {found.side_px} px at a "
        f"time {found.batch_us_per_px:.2f} us per LR pixel, {found.batch_ratio:.2f} times as fast "
        f"as one by one{captured}"
    )
