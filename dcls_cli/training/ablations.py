"""The ablations of the paper's Tables 5-7 (one part left out at a time), and their table.

The base is the `light` network, but with a skip connection that interpolates: the linear
super-resolver of the released networks inverts the blur by itself, and would do so in every arm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dcls_cli.config import ModelConfig, Scale
from dcls_cli.evaluation.rows import Row

FULL = "full"


@dataclass(frozen=True)
class Arm:
    """One network of the study.

    Attributes:
        name: of its folder, and in the table.
        question: what the paper asks with it.
        answer: what this arm has in the place in question.
        changes: of the base's configuration.
    """

    name: str
    question: str
    answer: str
    changes: Mapping[str, Any]

    def config(self, scale: Scale, width: int) -> ModelConfig:
        """Its network; `width` is the base's number of features.

        Raises:
            WeightsError: a network of this width cannot be built.
        """
        return replace(base(scale, width), **self.changes)


#: The first is what all others are compared with.
ARMS: tuple[Arm, ...] = (
    Arm(FULL, "base", "DDLK, DCLS in feature space, two paths", {}),
    Arm("single-layer-kernel", "kernel", "one linear layer, not DDLK", {"kernel_filters": (21,)}),
    Arm("stretch", "use of the kernel", "stretched by PCA", {"deconvolution": "stretch"}),
    Arm("wiener", "deconvolution", "Wiener, one learnt ratio", {"deconvolution": "wiener"}),
    Arm("cls", "deconvolution", "CLS, Laplacian of learnt strength", {"deconvolution": "cls"}),
    Arm("rgb", "space", "DCLS on the RGB image", {"deconvolution_space": "rgb"}),
    Arm("one-path", "paths", "the deconvolved path only", {"dual_path": False}),
)


def base(scale: Scale, width: int) -> ModelConfig:
    """The network that every arm changes in one thing.

    The second path and the deconvolution keep the sixteen channels of the `light` network, fewer
    of which are slow on CPUs.

    Raises:
        WeightsError: a network of this width cannot be built.
    """
    side = ModelConfig.light(scale).path_features
    reduction = max(1, width // side)
    return ModelConfig.light(scale, skip="interpolation", features=width, reduction=reduction)


HEAD = ("in question", "this network has", "parameters", "PSNR Y", "difference", "SSIM Y",
        "LR-PSNR", "kernel error HR")  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One trained network: its arm, seed, number of parameters and mean figures."""

    arm: Arm
    seed: int
    parameters: int
    mean: Row


def markdown_table(results: Sequence[Result]) -> str:
    """The table in Markdown."""
    rows = [HEAD, ("---",) * len(HEAD), *table_lines(results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def table_lines(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Cells; differences are from the mean of the `full` networks, whose own show the noise."""
    full = [result.mean.psnr_y for result in results if result.arm.name == FULL]
    middle = sum(full) / len(full)
    lines: list[tuple[str, ...]] = []
    for result in results:
        mean, seed = result.mean, f", seed {result.seed}" if result.seed else ""
        lines.append(
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
    return lines
