"""Every choice of a training run, validated."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from dcls_cli.errors import TrainingError

OptimizerName = Literal["muon", "adamw"]
KernelTarget = Literal["expected", "image"]
Degradation = Literal["isotropic", "photo"]
Precision = Literal["bf16", "fp32"]
Part = Literal["all", "estimator"]

#: Widths of the isotropic Gaussian blurs that the paper trains on, HR pixels.
SIGMA_RANGES = {2: (0.2, 2.0), 3: (0.2, 3.0), 4: (0.2, 4.0)}


#: The margin around a patch absorbs no wider blur.
MAX_SOFTNESS = 1.5


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Options of `dcls train` that change the result; stored in every checkpoint.

    Attributes:
        part: what is trained: `all`, or the `estimator` alone, whose steps cost a tenth. The two
            share no gradient; the restorer then has to be trained on with the better estimates.
        seed: of every random number; a step's batch depends on the seed and the step alone.
        iterations: length of the run, and of the learning rate's decay without `max_minutes`.
        max_minutes: length of the run and of the decay in wall-clock minutes instead.
        batch: patches a step, over all processes.
        patch: width of an LR patch, pixels.
        degradation: `isotropic` blur and 8-bit rounding, the paper's first setting, or the damage
            of `photo`graphs.
        sigma_min, sigma_max: range of blur widths, HR pixels.
        sigma_centred: draw widths from a triangle over the range instead of uniformly.
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
    seed: int = 0
    iterations: int = 500_000
    max_minutes: float | None = None
    batch: int = 16
    patch: int = 48
    degradation: Degradation = "isotropic"
    sigma_min: float = 0.2
    sigma_max: float = 4.0
    sigma_centred: bool = False
    candidates: int = 1
    softness: float = 0.0
    optimizer: OptimizerName = "muon"
    learning_rate: float = 1e-3
    final_rate: float = 0.02
    warmup: int = 100
    weight_decay: float = 0.0
    clip: float = 0.3
    ema: float = 0.999
    kernel_weight: float = 0.05
    noise_weight: float = 0.02
    kernel_target: KernelTarget = "expected"
    precision: Precision = "bf16"
    window: int = 25
    spike: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for name, allowed in (
            ("optimizer", get_args(OptimizerName)),
            ("kernel_target", get_args(KernelTarget)),
            ("precision", get_args(Precision)),
            ("degradation", get_args(Degradation)),
            ("part", get_args(Part)),
        ):
            if getattr(self, name) not in allowed:
                raise TrainingError(
                    f"{name} is {getattr(self, name)!r}, expected {', '.join(allowed)}"
                )
        for name in ("iterations", "batch", "patch", "candidates", "window", "warmup"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")
        minutes = 1.0 if self.max_minutes is None else self.max_minutes
        for name, value in (
            *((name, getattr(self, name)) for name in ("learning_rate", "clip", "sigma_min")),
            ("spike", self.spike),
            ("max_minutes", minutes),
        ):
            if not 0 < value < math.inf:
                raise TrainingError(f"{name} must be positive, got {value}")
        if not self.sigma_min <= self.sigma_max < math.inf:
            raise TrainingError(
                f"sigma_max must be at least sigma_min, got {self.sigma_max} and {self.sigma_min}"
            )
        if self.seed < 0:
            raise TrainingError(f"seed must not be negative, got {self.seed}")

    def to_json(self) -> str:
        """Serialise for checkpoints and logs."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def preset(cls, name: str, scale: int, **changes: object) -> Self:
        """Options that a network of `config.PRESETS` is trained with; None changes nothing.

        Raises:
            TrainingError: a change is impossible.
        """
        sigma_min, sigma_max = SIGMA_RANGES[scale]
        options: dict[str, Any] = {"sigma_min": sigma_min, "sigma_max": sigma_max}
        options |= PRESET_OPTIONS[name]
        return cls(**options | {key: value for key, value in changes.items() if value is not None})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, now or before some fields existed.

        Raises:
            TrainingError: it comes from a newer dcls, or is no configuration.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise TrainingError(f"not options of a training run: {error}") from error

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


#: For hours on a CPU: few patches of much detail, and more of the blurs that are evaluated.
_LIGHT_OPTIONS: Mapping[str, object] = {
    "iterations": 50_000,
    "batch": 8,
    "patch": 48,
    "candidates": 2,
    "sigma_centred": True,
    "optimizer": "muon",
    "learning_rate": 1e-3,
    "warmup": 100,
    "final_rate": 0.02,
    "precision": "bf16",
}

#: What `dcls train --preset` changes in the defaults above.
PRESET_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "light": _LIGHT_OPTIONS,
    "photo": {**_LIGHT_OPTIONS, "degradation": "photo"},
    # The paper's schedule, at half its learning rate, at which runs were seen to collapse.
    "paper": {
        "iterations": 500_000,
        "batch": 64,
        "patch": 64,
        "candidates": 1,
        "sigma_centred": False,
        "optimizer": "adamw",
        "learning_rate": 2e-4,
        "warmup": 1000,
        "final_rate": 0.02,
        "precision": "bf16",
    },
}
