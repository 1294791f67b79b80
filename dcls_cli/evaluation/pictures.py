"""Pictures of an evaluation: a few images, what each method makes of them, and the kernels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcls_cli.evaluation.benchmarks import BENCHMARKS
from dcls_cli.evaluation.kernel_metrics import Estimate
from dcls_cli.evaluation.running import Plan, loaded_method
from dcls_cli.evaluation.samples import as_input
from dcls_cli.reports.comparison import Comparison
from dcls_cli.reports.pictures import Panel, Picture, bicubic, encode, enlarge, montage, to_levels
from dcls_cli.reports.views import most_detailed

#: Images that are shown, spread over the set.
SHOWN = 4
#: Side of the details of the montage, about, HR pixels.
DETAIL_PX = 192
#: Larger pictures are cut to their most detailed part for the page, HR pixels.
PAGE_PX = 512
KERNEL_PX = 110

_SPACES = {"hr": "HR pixels", "lr": "LR pixels"}


@dataclass(frozen=True, eq=False)
class Version:
    """What a method made of an image: (H, W, 3) uint8, PSNR on Y in dB, and its kernel."""

    method: str
    levels: np.ndarray
    psnr_y: float
    estimate: Estimate | None


@dataclass(frozen=True, eq=False)
class Example:
    """One image of the set.

    Attributes:
        name: of the image, and what was done to it.
        scale: up-scaling factor.
        lr, hr: (h, w, 3) and (s h, s w, 3) uint8.
        true: the kernel of the benchmark, where known.
        versions: of each method.
    """

    name: str
    scale: int
    lr: np.ndarray
    hr: np.ndarray
    true: np.ndarray | None
    versions: tuple[Version, ...]


def restore_examples(plan: Plan) -> list[Example]:
    """Restore some images again, one case of each, and keep the pictures."""
    last, count = len(plan.items) - 1, min(SHOWN, len(plan.items))
    chosen = [round(turn * last / max(count - 1, 1)) for turn in range(count)]
    examples = []
    for turn, place in enumerate(chosen):
        sample = BENCHMARKS[plan.benchmark].prepare(plan.items[place], plan.scale)
        # Another case for each image, from the second on: extremes are not typical.
        cases = len(sample.lr)
        index = (2 * turn + cases // 4) % cases
        versions = []
        for spec in plan.methods:
            method = loaded_method(spec, plan.scale)
            restored = method.restore(as_input(sample.lr[index]), sample.file(index))
            row = sample.row(index, restored.sr, with_ssim=False)
            versions.append(
                Version(spec.name, _upright(restored.sr), row.psnr_y, restored.estimate)
            )
        kernel = sample.kernels[index]
        case = f", {_case_name(plan, sample.cases[index])}" if cases > 1 else ""
        examples.append(
            Example(
                name=f"{sample.image}{case}",
                scale=plan.scale,
                lr=np.ascontiguousarray(sample.lr[index].transpose(1, 2, 0)),
                hr=np.ascontiguousarray(sample.hr.transpose(1, 2, 0)),
                true=None if kernel is None else kernel.taps,
                versions=tuple(versions),
            )
        )
    return examples


def draw_montage(examples: Sequence[Example]) -> np.ndarray:
    """A row for each image: input, each method with its kernel, original with the true one."""
    side = min(DETAIL_PX, *(min(item.hr.shape[:2]) for item in examples))
    side -= side % examples[0].scale
    rows = []
    for item in examples:
        rows_, columns = _detail(item, side)
        small = item.lr[_over(rows_, item.scale), _over(columns, item.scale)]
        panels = [Panel(f"{item.name}\ninput", enlarge(small, item.scale))]
        for version in item.versions:
            taps = None if version.estimate is None else version.estimate.taps
            title = f"{version.method}\n{_decibels(version.psnr_y)}"
            panels.append(Panel(title, version.levels[rows_, columns], taps))
        panels.append(Panel("original\ntrue kernel" if item.true is not None else "original",
                            item.hr[rows_, columns], item.true))  # fmt: skip
        rows.append(panels)
    return montage(rows)


def comparisons(examples: Sequence[Example]) -> list[Comparison]:
    """Sliders: bicubic enlargement, or another method, against the first network."""
    pairs = []
    for item in examples:
        after = item.versions[0]
        others = [version for version in item.versions[1:] if version.method == "bicubic"]
        before = others[0].levels if others else bicubic(item.lr, *item.hr.shape[1::-1])
        part = (slice(None), slice(None))
        if max(item.hr.shape[:2]) > PAGE_PX:
            side = min(PAGE_PX, *item.hr.shape[:2])
            part = _detail(item, side - side % item.scale)
        figures = ", ".join(f"{v.method} {_decibels(v.psnr_y)}" for v in item.versions)
        pairs.append(
            Comparison(
                before=encode(np.ascontiguousarray(before[part])),
                after=encode(np.ascontiguousarray(after.levels[part])),
                labels=("bicubic", after.method),
                caption=f"{item.name}: {figures} (PSNR Y of the whole image).",
                kernels=_kernels(item),
            )
        )
    return pairs


def _kernels(item: Example) -> tuple[tuple[Picture, str], ...]:
    known = [
        (version.estimate.taps, f"{version.method}, {_SPACES[version.estimate.space]}")
        for version in item.versions
        if version.estimate is not None
    ]
    if item.true is not None:
        known.append((item.true, "true, HR pixels"))
    pictures = []
    for taps, text in known:
        grey = to_levels(taps / max(float(taps.max()), 1e-12))
        pictures.append((encode(enlarge(grey, max(1, KERNEL_PX // len(taps)))), text))
    return tuple(pictures)


def _detail(item: Example, side: int) -> tuple[slice, slice]:
    """The square with the most detail whose sides are multiples of the scale."""
    image = item.hr.transpose(2, 0, 1)
    places = most_detailed(image, side, 1)
    top, left = places[0] if places else (0, 0)
    return slice(top, top + side), slice(left, left + side)


def _over(span: slice, scale: int) -> slice:
    return slice(span.start // scale, span.stop // scale)


def _upright(image: np.ndarray) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8."""
    return np.ascontiguousarray(to_levels(image).transpose(1, 2, 0))


def _decibels(value: float) -> str:
    return f"{value:.2f} dB" if math.isfinite(value) else "equal"


def _case_name(plan: Plan, case: str) -> str:
    kind = BENCHMARKS[plan.benchmark].cases
    return f"sigma {case}" if kind == "sigma" else case
