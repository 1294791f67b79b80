"""Hyper-parameters of a DCLS network; a weight file carries its own, and can say anything."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, Self, get_args, get_origin

from dcls_cli.errors import UsageError, WeightsError

Scale = Literal[2, 3, 4]
KernelNorm = Literal["sum", "softmax"]
KernelSpace = Literal["lr", "hr"]
Pooling = Literal["mean", "energy"]
Skip = Literal["none", "linear", "interpolation"]
SkipTaps = Literal[21, 31, 41]
Upsampler = Literal["stepwise", "direct"]
Smoothing = Literal["features", "code"]
GroupSkip = Literal["input", "output"]
Noise = Literal["fixed", "estimated"]
Deconvolution = Literal["dcls", "cls", "wiener", "stretch"]
DeconvolutionSpace = Literal["features", "rgb"]

#: Channels over the channels in the bottleneck of an attention.
ATTENTION_REDUCTION = 4

#: Widths of the filters whose collapse is a kernel: sum(width - 1) + 1 = kernel size.
FILTER_LADDERS: Mapping[int, tuple[int, ...]] = {
    11: (7, 3, 3, 1),
    21: (11, 7, 5, 1),
    31: (11, 9, 7, 5, 3),
}


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that is needed to build a network before its weights are loaded.

    The defaults are the paper's network (Section 4.1); `light` documents where the small one
    differs and why.

    Attributes:
        scale: up-scaling factor.
        features: channels of the main path of DPAN and of the estimator.
        reduction: `features // reduction` channels are deconvolved and run in the second path.
        groups, blocks: DPAN has `groups` groups of `blocks` dual-path blocks.
        group_skip: what a group adds to its output: its `input`, or, as the authors' code does
            through a shared list, its `output` again.
        attention: channel attention in the blocks (it looks at the whole image).
        head_blocks: residual blocks before the deconvolution.
        latent: length of the code from which DDLK decodes its filters.
        kernel_size: width of the estimated kernel, taps.
        kernel_filters: widths of the linear filters that DDLK collapses (Eq. 8).
        kernel_planes: colour planes that DDLK estimates and averages.
        kernel_channels: channels between the linear filters.
        kernel_norm: how the kernel is made to sum to one; the authors' anisotropic x2 weights
            need `softmax`.
        kernel_space: `lr`: DDLK estimates the reformulated LR kernel (Eq. 7); `hr`: it estimates
            the HR kernel and the LR kernel follows by the closed form.
        pooling: `mean` features (paper) or log `energy`, in which blur shows directly.
        estimator_features, estimator_blocks: width and depth of the estimator.
        skip: `linear` adds the optimal linear super-resolver to the output and feeds it to DPAN;
            `interpolation` the one for a picture that was not blurred, which inverts nothing.
        skip_taps: width of the linear super-resolver's filter, LR pixels.
        skip_taper: taps over which the filter fades out on each side; 0 cuts it off. Faded over 3,
            21 taps are as good as 41 that are cut off, for a quarter of the work.
        noise: the linear super-resolver assumes the `fixed` noise of 8-bit rounding, or what is
            `estimated` beside the kernel; photographs need the latter.
        upsampler: `stepwise` (paper: convolution and pixel shuffle for each factor) or `direct`
            (one convolution and one pixel shuffle).
        smoothing: DCLS makes its smoothing filters P from the restorer's `features` (paper) or
            from the estimator's `code`; then DDLK alone looks at the whole image.
        cls_epsilon: added to the denominator of the CLS quotient (Eq. 16); 0 for the authors'
            weights, which were trained without.
        deconvolution: how the blur is inverted: `dcls` (paper: smoothing filters P for each image
            and channel), `cls` (one Laplacian of learnt strength), `wiener` (a learnt ratio of
            noise to signal), or not at all: `stretch` concatenates the kernel's principal
            components to the features, as the methods do that the paper compares with.
        deconvolution_space: what is deconvolved: the `features` (paper), or the `rgb` image.
        dual_path: without it DPAN has the deconvolved path only.
    """

    scale: Scale
    features: int = 64
    reduction: int = 4
    groups: int = 5
    blocks: int = 10
    group_skip: GroupSkip = "output"
    attention: bool = True
    head_blocks: int = 3
    latent: int = 256
    kernel_size: int = 21
    kernel_filters: tuple[int, ...] = ()
    kernel_planes: int = 3
    kernel_channels: int = 16
    kernel_norm: KernelNorm = "sum"
    kernel_space: KernelSpace = "lr"
    pooling: Pooling = "mean"
    estimator_features: int = 64
    estimator_blocks: int = 3
    skip: Skip = "none"
    skip_taps: SkipTaps = 31
    skip_taper: int = 0
    noise: Noise = "fixed"
    upsampler: Upsampler = "stepwise"
    smoothing: Smoothing = "features"
    cls_epsilon: float = 0.0
    deconvolution: Deconvolution = "dcls"
    deconvolution_space: DeconvolutionSpace = "features"
    dual_path: bool = True

    def __post_init__(self) -> None:
        """Fill in the ladder of the kernel size and refuse what cannot be built."""
        for field in fields(self):
            _check_value(field.name, getattr(self, field.name), field.type)
        if self.kernel_size not in FILTER_LADDERS:
            raise _wrong_value("kernel_size", self.kernel_size, _listed(FILTER_LADDERS))
        if not self.kernel_filters:
            object.__setattr__(self, "kernel_filters", FILTER_LADDERS[self.kernel_size])
        if sum(width - 1 for width in self.kernel_filters) + 1 != self.kernel_size:
            raise WeightsError(
                f"model configuration: filters {self.kernel_filters} do not collapse to a kernel "
                f"of {self.kernel_size} taps"
            )
        if self.features % self.reduction:
            raise WeightsError("model configuration: features must be a multiple of reduction")
        if self.attention and self.path_features < ATTENTION_REDUCTION:
            raise WeightsError(
                f"model configuration: attention needs features / reduction of at least "
                f"{ATTENTION_REDUCTION}, got {self.path_features}"
            )
        if self.skip == "linear" and self.kernel_space != "hr":
            raise WeightsError("model configuration: the linear skip needs kernel_space hr")
        if self.skip_taper > self.skip_taps // 2:
            raise WeightsError(
                f"model configuration: {self.skip_taps} taps cannot fade over {self.skip_taper} on "
                "each side"
            )
        if self.noise == "estimated" and self.skip != "linear":
            raise WeightsError("model configuration: only the linear skip uses an estimated noise")
        if self.deconvolution == "stretch" and self.deconvolution_space == "rgb":
            raise WeightsError("model configuration: stretch goes with features, not with rgb")

    @property
    def path_features(self) -> int:
        """Channels that the features are reduced to: what is deconvolved, and the second path."""
        return self.features // self.reduction

    @property
    def side_features(self) -> int:
        """Channels of the second path; none without a dual path."""
        return self.path_features if self.dual_path else 0

    @property
    def deconvolved_channels(self) -> int:
        """Channels that are deconvolved."""
        return 3 if self.deconvolution_space == "rgb" else self.path_features

    @classmethod
    def paper(cls, scale: Scale, **changes: object) -> Self:
        """The authors' network for isotropic kernels: 13.6 M parameters."""
        return replace(cls(scale=scale), **({"kernel_filters": ()} | changes))  # type: ignore[arg-type]

    @classmethod
    def light(cls, scale: Scale, **changes: object) -> Self:
        """A network for CPUs that learns only what no linear filter can do.

        DDLK sees energies and estimates the HR kernel, whose closed forms give the LR kernel of
        DCLS and the linear super-resolver that DPAN refines. One pixel shuffle replaces the
        paper's up-sampler, which would take more work than the rest of the network.
        """
        light = cls(
            scale=scale,
            features=64,
            groups=2,
            blocks=3,
            group_skip="input",
            attention=False,
            head_blocks=2,
            latent=32,
            kernel_planes=1,
            kernel_channels=8,
            kernel_space="hr",
            pooling="energy",
            estimator_features=32,
            estimator_blocks=2,
            skip="linear",
            skip_taps=21,
            skip_taper=3,
            upsampler="direct",
            smoothing="code",
            cls_epsilon=1e-2,
        )
        return replace(light, **({"kernel_filters": ()} | changes))  # type: ignore[arg-type]

    @classmethod
    def photo(cls, scale: Scale, **changes: object) -> Self:
        """The light network for photographs: it estimates their noise too."""
        return cls.light(scale, **({"noise": "estimated"} | changes))

    def to_json(self) -> str:
        """Serialise for the metadata of a weight file."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            WeightsError: the text is no JSON object, or has unknown or impossible fields.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WeightsError(f"model configuration is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise WeightsError("model configuration is not a JSON object")
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise WeightsError(
                f"model configuration has unknown fields {', '.join(unknown)}; "
                "the file may come from a newer dcls"
            )
        if isinstance(values.get("kernel_filters"), list):
            values["kernel_filters"] = tuple(values["kernel_filters"])
        try:
            return cls(**values)
        except TypeError as error:
            raise WeightsError(f"model configuration is incomplete: {error}") from error


#: No network enlarges more than so many times.
LARGEST_SCALE: Scale = 4


def scale_for(factor: float) -> Scale:
    """The scale of the networks that a factor needs: the next one above, or the largest."""
    scales: tuple[Scale, ...] = get_args(Scale)
    return next((scale for scale in scales if scale >= factor), LARGEST_SCALE)


def checked_scale(scale: int) -> Scale:
    """A scale that networks exist for.

    Raises:
        UsageError: it is none of 2, 3 and 4.
    """
    for known in get_args(Scale):
        if scale == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(f"scale {scale} is not available; choose 2, 3 or 4")


#: No count in a configuration is larger; a damaged file must not ask for all memory.
_LARGEST_COUNT = 1024

#: Nor any other number; an integer above it would not fit into a float.
_LARGEST_NUMBER = 1e9

_MAY_BE_ZERO = ("head_blocks", "estimator_blocks", "skip_taper")


def _check_value(name: str, value: object, kind: object) -> None:
    """Refuse a value that is not of the type of its field, or no network can have.

    Raises:
        WeightsError: it does not fit.
    """
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        fitting = any(value == item and type(value) is type(item) for item in allowed)
        expected = _listed(allowed)
    elif kind is bool:
        fitting, expected = isinstance(value, bool), "true or false"
    elif kind is int:
        lowest = 0 if name in _MAY_BE_ZERO else 1
        fitting = type(value) is int and lowest <= value <= _LARGEST_COUNT
        expected = f"a whole number from {lowest} to {_LARGEST_COUNT}"
    elif kind is float:
        fitting = type(value) in (int, float) and 0 <= value < _LARGEST_NUMBER  # type: ignore[operator]
        expected = "a number of at least 0"
    else:
        fitting = type(value) is tuple and all(
            type(width) is int and 1 <= width <= _LARGEST_COUNT and width % 2 for width in value
        )
        expected = "odd whole numbers"
    if not fitting:
        raise _wrong_value(name, value, expected)


def _wrong_value(name: str, value: object, expected: str) -> WeightsError:
    """The error that says what a field was expected to be."""
    return WeightsError(f"model configuration: {name} is {brief(value)}, expected {expected}")


def brief(value: object) -> str:
    """The start of a value from a file, for a message."""
    try:
        return f"{value!r:.60}"
    except (RecursionError, ValueError):  # nested too deeply; a number of thousands of digits
        return f"an unprintable {type(value).__name__}"


def _listed(allowed: Iterable[object]) -> str:
    """What is allowed, for a message."""
    return ", ".join(map(str, allowed))
