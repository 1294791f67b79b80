"""Every option of a training run that changes its result, with types and ranges, checked."""

import json
import math
import sys
import types
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Literal, Self, Union, get_args, get_origin

from dcls_cli.config import brief
from dcls_cli.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class Range:
    """The numbers that an option may have; `above` and `below` exclude the bound itself."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether a number lies inside; NaN never does."""
        return self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        """Say it in words, with a leading space; nothing where all is allowed."""
        bounds = (
            ("at least", self.least),
            ("above", self.above),
            ("at most", self.most),
            ("below", self.below),
        )
        limits = [
            f"{word} {bound if isinstance(bound, int) else f'{bound:g}'}"
            for word, bound in bounds
            if math.isfinite(bound)
        ]
        return f" {' and '.join(limits)}" if limits else ""


OptimizerName = Literal["muon", "adamw"]
KernelTarget = Literal["expected", "image"]
Degradation = Literal["isotropic", "anisotropic", "photo"]
Precision = Literal["bf16", "fp32"]
Part = Literal["all", "estimator", "restorer"]

#: The margin around a patch absorbs no wider blur.
MAX_SOFTNESS = 1.5

#: Every random generator takes a seed of 32 bits.
MAX_SEED = 2**32 - 1

Count = Annotated[int, Range(least=1)]
Positive = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(least=0)]
Share = Annotated[float, Range(least=0, most=1)]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Options of `dcls train` that change the result; stored in every checkpoint.

    Attributes:
        part: what is trained: `all`, or the `estimator` alone, whose steps cost a tenth, or the
            `restorer` alone. The two share no gradient; after the estimator, the restorer has to
            be trained on with the better estimates.
        seed: of every random number; a step's batch depends on the seed and the step alone.
        iterations: length of the run, and of the learning rate's decay without `max_minutes`.
        max_minutes: length of the run and of the decay in wall-clock minutes instead.
        batch: patches a step, over all processes.
        patch: width of an LR patch, pixels.
        degradation: `isotropic` Gaussian blur, the paper's first setting; `anisotropic` Gaussians
            of any direction, its second; or the damage of `photo`graphs. All round to 8 bits.
        sigma_min, sigma_max: range of blur widths, HR pixels; of both axes, if there are two.
        sigma_centred: draw widths of isotropic blurs from a triangle over the range instead of
            uniformly.
        disturbance: each tap of an anisotropic kernel grows by a random share up to this one.
        noise_level: white Gaussian noise that is added to the LR image before it is rounded,
            standard deviation in 8-bit levels; photographs draw noise of their own.
        candidates: crops drawn for each patch, of which the one with most detail is used.
        softness: widest blur of the sharp images themselves, HR pixels, in four of ten patches.
            Training images are chosen for their sharpness; a network that saw no others takes
            a soft original for blur, and makes it too sharp. 0: none.
        optimizer: `muon` orthogonalises the updates of the convolutions, `adamw` is the paper's
            Adam with decoupled decay.
        learning_rate: peak, after `warmup` steps; decays by a cosine to `final_rate` of it.
        weight_decay: decoupled.
        clip: largest norm of the gradient.
        ema: decay of the averaged weights, the ones that are validated and released.
        kernel_weight: of the kernel's summed L1 error beside the image's mean L1 error (Eq. 17).
        noise_weight: of the estimated noise's error in decades, for photographs.
        kernel_target: for networks whose kernel lives in LR space: its `expected` closed form, or
            Eq. 7 on each `image`.
        precision: autocast type of the convolutions; FFT and CLS are fp32 always.
        window: steps between two looks at the losses.
        spike: a window whose mean loss exceeds this many times the running mean is rolled back.
    """

    part: Part = "all"
    seed: Annotated[int, Range(least=0, most=MAX_SEED)] = 0
    iterations: Count = 500_000
    max_minutes: Positive | None = None
    batch: Count = 16
    patch: Count = 48
    degradation: Degradation = "isotropic"
    sigma_min: Positive = 0.2
    sigma_max: Positive = 4.0
    sigma_centred: bool = False
    disturbance: Share = 0.0
    noise_level: Annotated[float, Range(least=0, most=255)] = 0.0
    candidates: Count = 1
    softness: Annotated[float, Range(least=0, most=MAX_SOFTNESS)] = 0.0
    optimizer: OptimizerName = "muon"
    learning_rate: Positive = 1e-3
    final_rate: Share = 0.02
    warmup: Count = 100
    weight_decay: NotNegative = 0.0
    clip: Positive = 0.3
    ema: Annotated[float, Range(least=0, below=1)] = 0.999
    kernel_weight: NotNegative = 0.05
    noise_weight: NotNegative = 0.02
    kernel_target: KernelTarget = "expected"
    precision: Precision = "bf16"
    window: Count = 25
    spike: Annotated[float, Range(above=1)] = 2.0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = expected(field.type, value)
            if wanted is not None:
                raise TrainingError(f"{field.name} is {brief(value)}, expected {wanted}")
        if self.sigma_max < self.sigma_min:
            raise TrainingError(
                f"sigma_max must be at least sigma_min, got {self.sigma_max} and {self.sigma_min}"
            )
        if self.disturbance and self.degradation != "anisotropic":
            raise TrainingError(f"disturbance is for anisotropic blur, not for {self.degradation}")
        if self.noise_level and self.degradation == "photo":
            raise TrainingError("noise_level is not for photographs, which draw their own noise")

    def to_json(self) -> str:
        """Serialise for checkpoints and logs."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, now or before some fields existed.

        Raises:
            TrainingError: it comes from a newer dcls, or is no configuration.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise TrainingError(f"not options of a training run: {error}") from error

    @property
    def length(self) -> str:
        """How long the run and its learning rate's decay are, in words."""
        if self.max_minutes is not None:
            return f"{self.max_minutes:g} minutes"
        return f"{self.iterations} iterations"

    def differences(self, other: Self) -> list[str]:
        """Names of the fields that differ, but for the length of the run."""
        lengths = {"iterations", "max_minutes"}
        return [
            field.name
            for field in fields(self)
            if field.name not in lengths and getattr(self, field.name) != getattr(other, field.name)
        ]


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """Minutes between validations and between checkpoints; neither changes the result."""

    validation_minutes: float = 5.0
    checkpoint_minutes: float = 2.0


def expected(kind: object, value: object) -> str | None:
    """What an option's type asks for, if a value is not of it; None: all is well.

    Args:
        kind: the annotation of a field: bool, int, float, str, Path, a Literal, a tuple of paths,
            one of these in `Annotated[..., Range(...)]`, or any of them `| None`.
        value: numbers of a float field may be whole.
    """
    kind, bounds, may_be_none = _unwrapped(kind)
    if value is None and may_be_none:
        return None
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        fits = any(value == item and type(value) is type(item) for item in allowed)
        wanted = f"one of {', '.join(map(str, allowed))}"
    elif get_origin(kind) is tuple:
        fits = isinstance(value, tuple) and all(isinstance(item, Path) for item in value)
        wanted = "a list of paths"
    elif kind is bool:
        fits, wanted = isinstance(value, bool), "true or false"
    elif kind is int:
        fits = type(value) is int and bounds.holds(value)
        wanted = f"a whole number{bounds}"
    elif kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        # Python's integers may be too large for a float.
        fits = fits and abs(value) <= sys.float_info.max and bounds.holds(value)  # type: ignore[arg-type]
        wanted = f"a number{bounds}"
    else:
        assert isinstance(kind, type), kind
        fits, wanted = isinstance(value, kind), "text"
    return None if fits else wanted


def bare(kind: object) -> object:
    """The type of an annotation without its bounds and without None."""
    return _unwrapped(kind)[0]


def _unwrapped(kind: object) -> tuple[object, Range, bool]:
    """The bare type, its bounds, and whether None is allowed too."""
    bounds, may_be_none = Range(), False
    while True:
        if get_origin(kind) is Annotated:
            kind, bounds = get_args(kind)
        elif get_origin(kind) in (types.UnionType, Union):
            may_be_none = True
            (kind,) = (part for part in get_args(kind) if part is not type(None))
        else:
            return kind, bounds, may_be_none
