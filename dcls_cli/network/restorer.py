"""Dual-path network (DPAN): deconvolved and blurred features restore the picture together."""

import torch
from torch import Tensor, nn

from dcls_cli.config import ModelConfig
from dcls_cli.network.deconvolution import ConstrainedLeastSquares, FeatureSmoothing, high_pass
from dcls_cli.network.layers import ChannelAttention, ResidualBlock, activation, conv3x3

LAST_LAYER_GAIN = 0.01


class DualPathBlock(nn.Module):
    """The deconvolved path reads the blurred path; both are residual (Fig. 4).

    main: (B, F, H, W), deconvolved, sharp but with artefacts; side: (B, f, H, W), blurred, clean.
    """

    def __init__(self, features: int, side_features: int, attention: bool) -> None:
        """With `attention`, each path's update is gated by its global means."""
        super().__init__()
        self.main_conv1 = conv3x3(features, features)
        self.main_conv2 = conv3x3(features, features)
        self.side_conv1 = conv3x3(side_features, side_features)
        self.side_conv2 = conv3x3(side_features, side_features)
        self.fuse = conv3x3(features + side_features, features)
        self.activation = activation()
        self.main_attention = ChannelAttention(features) if attention else nn.Identity()
        self.side_attention = ChannelAttention(side_features) if attention else nn.Identity()

    def forward(self, main: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
        """Update both paths; shapes stay."""
        main_update = self.main_conv2(self.activation(self.main_conv1(main)))
        side_update = self.side_conv2(self.activation(self.side_conv1(side)))
        both = self.activation(torch.cat((main_update, side_update), dim=1))
        return (
            main + self.main_attention(self.fuse(both)),
            side + self.side_attention(side_update),
        )


class DualPathGroup(nn.Module):
    """Blocks in a row, with a skip around them."""

    def __init__(self, config: ModelConfig) -> None:
        """`config.blocks` blocks."""
        super().__init__()
        self.skip = config.group_skip
        self.blocks = nn.ModuleList(
            DualPathBlock(config.features, config.path_features, config.attention)
            for _ in range(config.blocks)
        )

    def forward(self, main: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
        """Update both paths; shapes stay."""
        first_main, first_side = main, side
        for block in self.blocks:
            main, side = block(main, side)
        if self.skip == "output":
            return main + main, side + side
        return main + first_main, side + first_side


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
        features, side = config.features, config.path_features
        self.conv_first = conv3x3(3, features)
        self.conv_linear = (
            conv3x3(3 * config.scale**2, features) if config.skip == "linear" else None
        )
        self.features = nn.Sequential(*(ResidualBlock(features) for _ in range(config.head_blocks)))
        self.side_head = conv3x3(features, side)
        self.deconvolution = ConstrainedLeastSquares(features, side, config.cls_epsilon)
        self.smoothing = FeatureSmoothing(side) if config.smoothing == "features" else None
        self.groups = nn.ModuleList(DualPathGroup(config) for _ in range(config.groups))
        self.fusion = conv3x3(features + side, features)
        upsampler = StepwiseUpsampler if config.upsampler == "stepwise" else DirectUpsampler
        self.upsampler = upsampler(features, config.scale)

    def forward(
        self, lr: Tensor, kernel: Tensor, smoothing: Tensor | None, linear: Tensor | None
    ) -> Tensor:
        """Restore an image whose blur is known.

        Args:
            lr: (B, 3, H, W) in [0, 1].
            kernel: LR kernel, (B, 1, k, k), sum 1.
            smoothing: P, (B, F / reduction, 3, 3); None: made from the features.
            linear: the linear super-resolver's image, pixel-unshuffled, (B, 3 s^2, H, W), where
                the configuration asks for it.

        Returns:
            (B, 3, s H, s W); with the linear skip, what is to be added to it.
        """
        shallow = self.conv_first(lr)
        if self.conv_linear is not None:
            shallow = shallow + self.conv_linear(linear)
        features = self.features(shallow)
        side = self.side_head(features)
        reduced = self.deconvolution.reduce(features)
        if self.smoothing is not None:
            smoothing = high_pass(self.smoothing(reduced))
        main = self.deconvolution(reduced, kernel, smoothing)
        for group in self.groups:
            main, side = group(main, side)
        fused = self.fusion(torch.cat((side, main), dim=1)) + shallow
        restored: Tensor = self.upsampler(fused)
        return restored
