"""Dual-path network (DPAN): deconvolved and blurred features restore the picture together."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcls_cli.config import ModelConfig
from dcls_cli.network.deconvolution import (
    ConstrainedLeastSquares,
    FeatureSmoothing,
    FixedSmoothing,
    KernelStretching,
    high_pass,
)
from dcls_cli.network.layers import (
    LEAK,
    ChannelAttention,
    ResidualBlock,
    activated,
    add_gated,
    channel_means,
    conv3x3,
    fuses,
)

LAST_LAYER_GAIN = 0.01

#: Layers that stay in fp32 where the others compute in int8: they take little time, and what goes
#: into both paths depends on them.
FP32_LAYERS = ("conv_first", "conv_linear", "deconvolution.reduce")


class DualPathBlock(nn.Module):
    """The deconvolved path reads the blurred path; both are residual (Fig. 4).

    main: (B, F, H, W), deconvolved, sharp but with artefacts; side: (B, f, H, W), blurred, clean.
    Without a dual path, f is 0 and only the deconvolved path is left.
    """

    def __init__(self, features: int, side_features: int, attention: bool) -> None:
        """With `attention`, each path's update is gated by its global means."""
        super().__init__()
        dual = side_features > 0
        self.main_conv1 = conv3x3(features, features)
        self.main_conv2 = conv3x3(features, features)
        self.side_conv1 = conv3x3(side_features, side_features) if dual else None
        self.side_conv2 = conv3x3(side_features, side_features) if dual else None
        self.fuse = conv3x3(features + side_features, features)
        self.main_attention = ChannelAttention(features) if attention else None
        self.side_attention = ChannelAttention(side_features) if attention and dual else None

    def forward(
        self, main: Tensor, side: Tensor, gates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Update both paths, (B, F, H, W) and (B, f, H, W).

        Gates (B, F + f) are computed from these images' means unless they are given.
        """
        updates = self.updates(main, side)
        if self.main_attention is not None and gates is None:
            gates = self.gates(*map(channel_means, updates))
        return self.add(main, side, updates, gates)

    def updates(self, main: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
        """What is to be added to both paths, before the gates; shapes stay."""
        hidden, side_update = activated(self.main_conv1, main), side
        if self.side_conv1 is not None and self.side_conv2 is not None:
            side_update = self.side_conv2(activated(self.side_conv1, side))
        if fuses(main):
            sides = F.leaky_relu(side_update, LEAK)
            both = torch.cat((activated(self.main_conv2, hidden), sides), dim=1)
        else:
            both = torch.cat((self.main_conv2(hidden), side_update), dim=1)
            both = F.leaky_relu(both, LEAK, inplace=True)
        return self.fuse(both), side_update

    def gates(self, main_means: Tensor, side_means: Tensor) -> Tensor:
        """Means of the updates, (B, F) and (B, f) -> gates in (0, 1), (B, F + f)."""
        assert self.main_attention is not None
        main_gate = self.main_attention.gate(main_means[..., None, None])
        if self.side_attention is None:
            return main_gate.flatten(1)
        side_gate = self.side_attention.gate(side_means[..., None, None])
        return torch.cat((main_gate, side_gate), dim=1).flatten(1)

    def add(
        self, main: Tensor, side: Tensor, updates: tuple[Tensor, Tensor], gates: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both paths with their updates, each channel times its gate where there are gates."""
        main_update, side_update = updates
        if gates is None:
            return main + main_update, side + side_update
        main_gate, side_gate = gates[:, : main.shape[1]], gates[:, main.shape[1] :]
        return add_gated(main, main_update, main_gate), add_gated(side, side_update, side_gate)


class DualPathGroup(nn.Module):
    """Blocks in a row, with a skip around them."""

    def __init__(self, config: ModelConfig) -> None:
        """`config.blocks` blocks."""
        super().__init__()
        self.skip = config.group_skip
        self.blocks = nn.ModuleList(
            DualPathBlock(config.features, config.side_features, config.attention)
            for _ in range(config.blocks)
        )

    def forward(
        self, main: Tensor, side: Tensor, gates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Update both paths; shapes stay. `gates` of the blocks: (B, blocks, F + f) or None."""
        first = main, side
        for index, block in enumerate(self.blocks):
            main, side = block(main, side, None if gates is None else gates[:, index])
        return self.skipped(first, (main, side))

    def skipped(
        self, first: tuple[Tensor, Tensor], last: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The skip around the blocks: what goes into the first and what comes out of the last."""
        added = last if self.skip == "output" else first
        return last[0] + added[0], last[1] + added[1]


class StepwiseUpsampler(nn.Sequential):
    """The paper's up-sampler: a convolution and a pixel shuffle for each prime factor."""

    def __init__(self, features: int, scale: int) -> None:
        """Scale 4 in two steps of 2, scales 2 and 3 in one."""
        steps = (2, 2) if scale == 4 else (scale,)
        layers: list[nn.Module] = []
        for step in steps:
            layers += [conv3x3(features, features * step**2), nn.PixelShuffle(step)]
        super().__init__(*layers, conv3x3(features, 3))


class DirectUpsampler(nn.Sequential):
    """One convolution and one pixel shuffle."""

    def __init__(self, features: int, scale: int) -> None:
        """Start small, so that the first output is the skip connection's."""
        last = conv3x3(features, 3 * scale**2)
        last.weight.data.mul_(LAST_LAYER_GAIN)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        super().__init__(last, nn.PixelShuffle(scale))


class DualPathNetwork(nn.Module):
    """DPAN (Section 3.4): features, deconvolution, dual-path groups, fusion, up-sampling."""

    def __init__(self, config: ModelConfig) -> None:
        """Build from the configuration."""
        super().__init__()
        self.scale = config.scale
        features, side = config.features, config.side_features
        self.conv_first = conv3x3(3, features)
        self.conv_linear = conv3x3(3 * config.scale**2, features) if config.skip != "none" else None
        self.features = nn.Sequential(*(ResidualBlock(features) for _ in range(config.head_blocks)))
        self.side_head = conv3x3(features, side) if config.dual_path else None
        self.deconvolution = _deconvolution(config)
        self.smoothing = _smoothing(config)
        self.groups = nn.ModuleList(DualPathGroup(config) for _ in range(config.groups))
        self.fusion = conv3x3(features + side, features)
        upsampler = StepwiseUpsampler if config.upsampler == "stepwise" else DirectUpsampler
        self.upsampler = upsampler(features, config.scale)

    def forward(
        self,
        lr: Tensor,
        kernel: Tensor,
        smoothing: Tensor | None,
        linear: Tensor | None,
        gates: Tensor | None = None,
    ) -> Tensor:
        """Restore an image whose blur is known.

        Args:
            lr: (B, 3, H, W) in [0, 1].
            kernel: LR kernel, (B, 1, k, k), sum 1.
            smoothing: P, (B, F / reduction, 3, 3); None: made from the features.
            linear: the linear super-resolver's image, pixel-unshuffled, (B, 3 s^2, H, W) fp32,
                where the configuration asks for it; the picture is what is added to it.
            gates: of the channel attention, (B, groups, blocks, F + f); None: computed from the
                means of these images, where the configuration asks for attention.

        Returns:
            (B, 3, s H, s W), not clamped; fp32 where there is a linear image.
        """
        shallow, features = self.head(lr, linear)
        main, side = self.paths(lr, features, kernel, smoothing)
        for index, group in enumerate(self.groups):
            main, side = group(main, side, None if gates is None else gates[:, index])
        fused = self.fusion(torch.cat((side, main), dim=1)) + shallow
        return self.enlarged(fused, linear)

    def head(self, lr: Tensor, linear: Tensor | None) -> tuple[Tensor, Tensor]:
        """Before the deconvolution: the first and the last features, (B, F, H, W) each."""
        shallow = self.conv_first(lr)
        if self.conv_linear is not None:
            assert linear is not None
            shallow = shallow + self.conv_linear(linear.to(lr.dtype))
        return shallow, self.features(shallow)

    def paths(
        self, lr: Tensor, features: Tensor, kernel: Tensor, smoothing: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Where the paths begin: deconvolved (B, F, H, W) and blurred (B, F / reduction, H, W)."""
        side = features[:, :0] if self.side_head is None else self.side_head(features)
        blurred = self.blurred(lr, features)
        if isinstance(self.deconvolution, KernelStretching):
            return self.deconvolution(blurred, kernel), side
        if smoothing is None:
            smoothing = self.smoothing_filters(blurred)
        main = self.deconvolution(blurred, kernel, smoothing)
        return (self.features(main) if self.deconvolution.reduce is None else main), side

    def enlarged(self, features: Tensor, linear: Tensor | None) -> Tensor:
        """The picture: the last features, up-sampled, and the linear image where there is one."""
        if linear is not None and isinstance(self.upsampler, DirectUpsampler):
            convolution, shuffle = self.upsampler
            both: Tensor = shuffle(convolution(features).float() + linear)
            return both
        alone: Tensor = self.upsampler(features)
        return alone if linear is None else alone.float() + F.pixel_shuffle(linear, self.scale)

    def blurred(self, lr: Tensor, features: Tensor) -> Tensor:
        """What is deconvolved: the reduced features, or the image."""
        if self.deconvolution.reduce is None:
            return lr
        reduced: Tensor = self.deconvolution.reduce(features)
        return reduced

    def smoothing_filters(self, blurred: Tensor) -> Tensor:
        """P where the estimator's code does not make it: (B, C, H, W) -> (B, C or 1, 3, 3)."""
        if isinstance(self.smoothing, FixedSmoothing):
            fixed: Tensor = self.smoothing(blurred.shape[0])
            return fixed
        assert self.smoothing is not None, "smoothing 'code' comes from the estimator"
        return high_pass(self.smoothing(blurred))


def _deconvolution(config: ModelConfig) -> ConstrainedLeastSquares | KernelStretching:
    """The layer between the features and the deconvolved path."""
    features, channels = config.features, config.deconvolved_channels
    if config.deconvolution == "stretch":
        return KernelStretching(features, channels, config.scale, config.kernel_size)
    rgb = config.deconvolution_space == "rgb"
    return ConstrainedLeastSquares(features, channels, config.cls_epsilon, rgb=rgb)


def _smoothing(config: ModelConfig) -> FeatureSmoothing | FixedSmoothing | None:
    """What makes P in the restorer, if anything does."""
    if config.deconvolution in ("cls", "wiener"):
        return FixedSmoothing(config.deconvolution)
    if config.deconvolution == "dcls" and config.smoothing == "features":
        return FeatureSmoothing(config.deconvolved_channels)
    return None
