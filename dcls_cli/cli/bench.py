"""`dcls bench`: speed of training and inference on this machine."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from dcls_cli.cli import console
from dcls_cli.cli.train import PresetOption

if TYPE_CHECKING:
    from dcls_cli.speed.comparison import Comparison
    from dcls_cli.speed.pytorch import TileSpeed


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
            help="Train on N patches a step. [default: as in the preset]",
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
    """Measure training and inference, and compare inference with a plain implementation.

    Without PyTorch, it measures only the released networks on ONNX Runtime.
    """
    from dcls_cli.installation import has_torch

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

    from dcls_cli.backends.devices import select_device
    from dcls_cli.config import checked_scale
    from dcls_cli.speed.pytorch import measure
    from dcls_cli.training.presets import PRESETS

    device = select_device(options.device)
    torch.set_num_threads(options.threads)
    preset, scale = PRESETS[options.preset], checked_scale(options.scale)
    batch = {} if options.batch is None else {"batch": options.batch}
    model, config = preset.network(scale), preset.training(scale, **batch)
    setup = f"{options.preset} x{scale}, {device}"
    if device.type == "cpu":
        setup += f", {_threads(options.threads)}"
    training, inference, comparisons, tiles = measure(
        model,
        config,
        device,
        side_px=options.side,
        tile_px=options.tile,
        seconds=options.seconds,
    )
    if json:
        console.event("training", setup=setup, **asdict(training))
        for name, run in inference.items():
            console.event("inference", setup=setup, precision=name, **asdict(run))
        for each in comparisons:
            ratios = {"ratio": each.ratio, "share": each.share}
            console.event("comparison", setup=setup, **asdict(each), **ratios)
        gains = {"batch_ratio": tiles.batch_ratio, "captured_ratio": tiles.captured_ratio}
        console.event("tiles", setup=setup, **asdict(tiles), **gains)
        return
    console.say(
        f"training   {setup}: {training.patches_per_s:.1f} patches/s (LR {config.patch} px, batch "
        f"{config.batch}), {training.degradation_share:.0%} of a step makes the batch"
    )
    for name, run in inference.items():
        console.say(f"inference  {setup}, {name}: {run.us_per_px:.2f} us per LR pixel")
    for each in comparisons:
        _print_comparison(each, setup)
    _print_tiles(tiles, setup)


def _measure_onnx(options: Options, *, json: bool) -> None:
    """The released networks of the preset, if there are any."""
    from dcls_cli.config import checked_scale
    from dcls_cli.errors import BackendError
    from dcls_cli.installation import has_torch, require_torch
    from dcls_cli.speed.onnx import measure_release, releases_of

    preset, scale, device, threads, seconds, _, side, tile = options
    released = releases_of(preset, checked_scale(scale))
    if not released:
        require_torch(f"--preset {preset} -s {scale}, which has no released network,")
    setup = f"{preset} x{scale}"
    for item in released:
        try:
            speeds = measure_release(
                item, device, side_px=side, tile_px=tile, seconds=seconds, threads=threads
            )
        except BackendError as error:
            if not has_torch():
                raise
            console.note(f"ONNX Runtime is not measured: {error}")
            continue
        for speed in speeds:
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


def _print_comparison(speed: "Comparison", setup: str) -> None:
    """Print a comparison in two lines."""
    console.say(
        f"ratio      {setup}, {speed.precision}: {speed.ratio:.2f} times as fast as plainly "
        f"(fp32, channels first, complex FFTs channel by channel): {speed.us_per_px:.2f} against "
        f"{speed.plain_us_per_px:.2f} us per LR pixel of {speed.side_px} x {speed.side_px}"
    )
    console.say(
        f"roofline   {setup}, {speed.precision}: {speed.gmac_per_s:.0f} GMAC/s, "
        f"{speed.share:.0%} of the {speed.convolutions_gmac_per_s:.0f} GMAC/s of its convolutions "
        f"alone, {speed.gmac_per_s / speed.matrix_gmac_per_s:.0%} of the "
        f"{speed.matrix_gmac_per_s:.0f} GMAC/s of a matrix product"
    )


def _print_tiles(tiles: "TileSpeed", setup: str) -> None:
    """Print in one line what batches bring, and on a GPU what CUDA graphs add."""
    captured = ""
    if tiles.captured_us_per_px is not None:
        captured = (
            f"; as a CUDA graph {tiles.captured_us_per_px:.2f}, "
            f"{tiles.captured_ratio:.2f} times as fast as launched call by call"
        )
    console.say(
        f"tiles      {setup}, {tiles.precision}: {tiles.batch} tiles of {tiles.side_px} px at a "
        f"time {tiles.batch_us_per_px:.2f} us per LR pixel, {tiles.batch_ratio:.2f} times as fast "
        f"as one by one{captured}"
    )
