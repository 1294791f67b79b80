"""What `dcls train --preset` stands for: a network, and the options that it is trained with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dcls_cli.config import KernelNorm, ModelConfig, Scale
from dcls_cli.errors import UsageError
from dcls_cli.training.config import TrainConfig

PresetName = Literal["light", "photo", "paper-iso", "paper-aniso", "noise15", "noise30"]

#: Standard deviations of the isotropic blurs of the paper's first setting, HR pixels.
ISOTROPIC_SIGMAS = {2: (0.2, 2.0), 3: (0.2, 3.0), 4: (0.2, 4.0)}

#: Of both axes in its second setting, which has no x3.
ANISOTROPIC_SIGMAS = {2: (0.6, 5.0), 4: (0.6, 5.0)}
ANISOTROPIC_DISTURBANCE = 0.25


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A name for a network and its training.

    Attributes:
        name: as the user gives it.
        build: makes the network's configuration of a scale, with changes.
        sigmas: range of blur widths for each scale that the preset exists for, HR pixels.
        options: changes of the defaults of `TrainConfig`.
    """

    name: str
    build: Callable[..., ModelConfig]
    sigmas: Mapping[int, tuple[float, float]]
    options: Mapping[str, Any]

    def network(self, scale: Scale, **changes: object) -> ModelConfig:
        """The network; `changes` are fields of `ModelConfig`.

        Raises:
            UsageError: the preset does not exist for this scale.
            WeightsError: a change is impossible.
        """
        self._check(scale)
        return self.build(scale, **changes)

    def training(self, scale: Scale, **changes: Any) -> TrainConfig:  # noqa: ANN401
        """The options of its training; `changes` are fields of `TrainConfig`.

        Raises:
            UsageError: the preset does not exist for this scale.
            TrainingError: a change is impossible.
        """
        self._check(scale)
        sigma_min, sigma_max = self.sigmas[scale]
        widths = {"sigma_min": sigma_min, "sigma_max": sigma_max}
        return TrainConfig(**(widths | dict(self.options) | changes))

    def _check(self, scale: int) -> None:
        if scale not in self.sigmas:
            exists = " and ".join(f"x{known}" for known in self.sigmas)
            raise UsageError(
                f"--preset {self.name} exists for {exists}, not for x{scale}: the paper has no "
                "such setting; choose another scale or preset"
            )


def _paper_aniso(scale: Scale, **changes: object) -> ModelConfig:
    """The authors' networks for kernels of any direction; the x2 one needs a softmax."""
    norm: KernelNorm = "softmax" if scale == 2 else "sum"
    sizes = {"kernel_size": 11 if scale == 2 else 31, "kernel_norm": norm}
    return ModelConfig.paper(scale, **(sizes | changes))


#: For hours on a CPU: few patches of much detail, and more of the blurs that are evaluated.
_LIGHT: Mapping[str, Any] = {
    "iterations": 50_000,
    "batch": 8,
    "patch": 48,
    "candidates": 2,
    "sigma_centred": True,
    "optimizer": "muon",
    "learning_rate": 1e-3,
    "warmup": 100,
}

#: The paper's schedule, at half its learning rate, at which runs were seen to collapse.
_PAPER: Mapping[str, Any] = {
    "iterations": 500_000,
    "batch": 64,
    "patch": 64,
    "candidates": 1,
    "optimizer": "adamw",
    "learning_rate": 2e-4,
    "warmup": 1000,
}

_ANISOTROPIC = {"degradation": "anisotropic", "disturbance": ANISOTROPIC_DISTURBANCE}

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(name="light", build=ModelConfig.light, sigmas=ISOTROPIC_SIGMAS, options=_LIGHT),
        Preset(
            name="photo",
            build=ModelConfig.photo,
            sigmas=ISOTROPIC_SIGMAS,
            options={**_LIGHT, "degradation": "photo"},
        ),
        Preset(name="paper-iso", build=ModelConfig.paper, sigmas=ISOTROPIC_SIGMAS, options=_PAPER),
        Preset(
            name="paper-aniso",
            build=_paper_aniso,
            sigmas=ANISOTROPIC_SIGMAS,
            options={**_PAPER, **_ANISOTROPIC},
        ),
        *(
            Preset(
                name=f"noise{level}",
                build=ModelConfig.paper,
                sigmas=ISOTROPIC_SIGMAS,
                options={**_PAPER, "noise_level": float(level)},
            )
            for level in (15, 30)
        ),
    )
}
