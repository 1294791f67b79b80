"""The table of `dcls ablate`."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from dcls_cli.cli import console
from dcls_cli.evaluation.rows import Row
from dcls_cli.training.ablations import FULL, Arm

HEAD = ("in question", "this network has", "parameters", "PSNR Y", "difference", "SSIM Y",
        "LR-PSNR", "kernel error HR")  # fmt: skip

#: The same for terminals, whose lines are short: what is in question shows in the answer.
SHORT_HEAD = ("this network has", "params", "PSNR Y", "diff.", "SSIM Y", "LR-PSNR", "k. error")


@dataclass(frozen=True)
class Result:
    """What became of one network: its arm, seed, number of parameters and mean figures."""

    arm: Arm
    seed: int
    parameters: int
    mean: Row


def table(results: Sequence[Result]) -> Table:
    """For people."""
    narrow = console.out.is_terminal
    shown = Table(title="ablations", box=box.SIMPLE if narrow else None)
    shown.caption = "differences from the mean of the bases, PSNR in dB, error of taps in HR space"
    for place, head in enumerate(SHORT_HEAD if narrow else HEAD):
        numbers = place >= (1 if narrow else 2)
        shown.add_column(head, justify="right" if numbers else "left", no_wrap=numbers)
    for line in lines(results):
        shown.add_row(*(line[1:] if narrow else line))
    return shown


def markdown_table(results: Sequence[Result]) -> str:
    """For pages."""
    rows = [HEAD, ("---",) * len(HEAD), *lines(results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def lines(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Cells; differences are from the mean of the `full` networks, whose own show the noise."""
    full = [result.mean.psnr_y for result in results if result.arm.name == FULL]
    middle = sum(full) / len(full)
    found: list[tuple[str, ...]] = []
    for result in results:
        mean, seed = result.mean, f", seed {result.seed}" if result.seed else ""
        found.append(
            (
                result.arm.question,
                result.arm.answer + seed,
                f"{result.parameters / 1e6:.2f} M",
                f"{mean.psnr_y:.2f}",
                f"{mean.psnr_y - middle:+.2f}",
                "-" if mean.ssim_y is None else f"{mean.ssim_y:.4f}",
                "-" if mean.lr_psnr is None else f"{mean.lr_psnr:.1f}",
                "-" if mean.kernel_error_hr is None else f"{mean.kernel_error_hr:.1e}",
            )
        )
    return found
