"""Dynamic deep linear kernel (DDLK, Eq. 8): the blur kernel, estimated from the image."""

import math

import torch
from torch import Tensor, nn

from dcls_cli.config import ModelConfig
from dcls_cli.network.fourier import unit_sum
from dcls_cli.network.layers import ResidualBlock, activation

#: Energy of the 8-bit rounding, about: below it there is nothing to be seen.
ENERGY_FLOOR = 1e-6
#: Band filters start with a gain that lifts fine detail well above the floor.
BAND_GAIN = 4.0


class MeanPooling(nn.Module):
    """The paper's code: two unpadded convolutions, the mean, a linear map."""

    #: Pixels that the convolutions take off each axis before the mean.
    margin = 4

    def __init__(self, features: int, latent: int) -> None:
        """`latent` numbers from `features` channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3)
        self.conv2 = nn.Conv2d(features, features, 3)
        self.project = nn.Linear(features, latent)
        self.activation = activation()

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """Features before and after the body, (B, C, H, W) each -> code (B, latent)."""
        return self.code(self.means(shallow, deep))

    def means(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """Features before and after the body, (B, C, H, W) each -> means (B, C)."""
        (level,) = self.levels(shallow, deep)
        return level.mean((-2, -1))

    def levels(self, shallow: Tensor, deep: Tensor) -> tuple[Tensor]:
        """What is local, and whose mean is the code's input: (B, C, H - 4, W - 4), at least 1x1."""
        height, width = deep.shape[-2:]
        reach = self.margin + 1
        grow = (0, max(0, reach - width), 0, max(0, reach - height))
        x = nn.functional.pad(deep, grow, mode="replicate") if any(grow) else deep
        level: Tensor = self.conv2(self.activation(self.conv1(x)))
        return (level,)

    def code(self, means: Tensor) -> Tensor:
        """Means (B, C) of the image -> code (B, latent)."""
        code: Tensor = self.project(means)
        return code


class EnergyPooling(nn.Module):
    """Blur shows in the ratio of energies between bands: log mean squares of two levels.

    Each level is centred over its channels, which takes out the contrast of the image; what is
    left are ratios.
    """

    #: Pixels that are taken off each axis before the mean: none.
    margin = 0

    def __init__(self, features: int, latent: int) -> None:
        """`latent` numbers from twice `features` energies."""
        super().__init__()
        self.gain = nn.Parameter(torch.ones(2 * features, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(2 * features, dtype=torch.float32))
        self.hidden = nn.Linear(2 * features, 2 * features)
        self.project = nn.Linear(2 * features, latent)

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """Features before and after the body, (B, C, H, W) each -> code (B, latent)."""
        with torch.autocast(shallow.device.type, enabled=False):
            return self.code(self.means(shallow, deep))

    def means(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """Features before and after the body, (B, C, H, W) each -> energies (B, 2 C)."""
        return torch.cat([level.mean((-2, -1)) for level in self.levels(shallow, deep)], dim=1)

    def levels(self, shallow: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """What is local, and whose means are the energies: squares, (B, C, H, W) each."""
        return shallow.float().square(), deep.float().square()

    def code(self, means: Tensor) -> Tensor:
        """Energies (B, 2 C) of the image -> code (B, latent)."""
        levels = (means + ENERGY_FLOOR).log().chunk(2, dim=1)
        ratios = [level - level.mean(1, keepdim=True) for level in levels]
        standard = torch.cat(ratios, dim=1) * self.gain + self.bias
        hidden = nn.functional.silu(self.hidden(standard))
        code: Tensor = self.project(hidden)
        return code


class DeepLinearKernel(nn.Module):
    """Decode a stack of linear filters from a code and collapse it into one kernel (Eq. 8).

    The collapse is a product of the filters' channel-mixing matrices at each frequency of a DFT
    of the kernel's own size, where the convolutions do not wrap around: exact, differentiable,
    and free of convolutions grouped by image.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Decoders start so that the collapsed kernel is a unit impulse plus a small part."""
        super().__init__()
        self.size = config.kernel_size
        self.widths = config.kernel_filters
        self.norm = config.kernel_norm
        channels, planes = config.kernel_channels, config.kernel_planes
        last = len(self.widths) - 1
        self.shapes = [
            (planes if i == last else channels, planes if i == 0 else channels)
            for i in range(len(self.widths))
        ]
        self.decoders = nn.ModuleList(
            nn.Linear(config.latent, outputs * inputs * width**2)
            for width, (outputs, inputs) in zip(self.widths, self.shapes, strict=True)
        )
        for i, width in enumerate(self.widths):
            self._start_at_identity(i, width)
            self.register_buffer(f"dft{i}", self._dft(width), persistent=False)

    def _start_at_identity(self, i: int, width: int) -> None:
        outputs, inputs = self.shapes[i]
        bias = torch.zeros(outputs, inputs, width, width, dtype=torch.float32)
        first, last = i == 0, i == len(self.widths) - 1
        mixing = torch.ones(outputs, inputs) / inputs if first or last else torch.eye(outputs)
        bias[:, :, width // 2, width // 2] = mixing
        decoder = self.decoders[i]
        assert isinstance(decoder, nn.Linear)
        nn.init.normal_(decoder.weight, std=0.1 / (width * math.sqrt(inputs * decoder.in_features)))
        decoder.bias = nn.Parameter(bias.flatten())

    def _dft(self, width: int) -> Tensor:
        """(2, width^2, k (k // 2 + 1)): real and imaginary part of exp(-2 pi i f t / k)."""
        k = self.size
        tap = torch.arange(width, dtype=torch.float64)
        rows = torch.outer(tap, torch.arange(k, dtype=torch.float64))
        columns = torch.outer(tap, torch.arange(k // 2 + 1, dtype=torch.float64))
        phase = rows[:, None, :, None] + columns[None, :, None, :]
        phase = torch.remainder(phase, k) * (-2 * math.pi / k)
        return torch.stack((phase.cos(), phase.sin())).flatten(3).flatten(1, 2).float()

    def forward(self, code: Tensor) -> Tensor:
        """Code (B, latent) -> kernel (B, 1, k, k), sum 1."""
        spectrum = torch.complex(*self.spectrum(code))
        return self.normalised(torch.fft.irfft2(spectrum, s=(self.size, self.size)))

    def spectrum(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Code (B, latent) -> the kernel's half-spectrum, two parts, (B, k, k // 2 + 1) each."""
        batch, k = code.shape[0], self.size
        # Inputs are unit impulses in every plane, so the first mixing matrix is a sum.
        real = imaginary = code  # of the first filters
        for i, decoder in enumerate(self.decoders):
            outputs, inputs = self.shapes[i]
            taps = decoder(code).view(batch * outputs * inputs, -1)
            cosine, sine = getattr(self, f"dft{i}")
            filter_re = (taps @ cosine).view(batch, outputs, inputs, -1)
            filter_im = (taps @ sine).view(batch, outputs, inputs, -1)
            if i == 0:
                real, imaginary = filter_re.sum(2), filter_im.sum(2)
                continue
            re, im = real.unsqueeze(1), imaginary.unsqueeze(1)
            real, imaginary = (
                (filter_re * re - filter_im * im).sum(2),
                (filter_re * im + filter_im * re).sum(2),
            )
        half = (batch, k, k // 2 + 1)
        return real.mean(1).view(half), imaginary.mean(1).view(half)

    def normalised(self, kernel: Tensor) -> Tensor:
        """Collapsed filters (B, k, k) -> kernel (B, 1, k, k), sum 1."""
        kernel = kernel.unsqueeze(1)
        if self.norm == "softmax":
            kernel = kernel.flatten(1).softmax(1).view_as(kernel)
        return unit_sum(kernel)


def band_filters(count: int, size: int) -> Tensor:
    """Filters of the grey image whose energies are its power in bands: (count, 3, size, size).

    The finest patterns of a 2-D discrete cosine transform. Random filters mostly see the image's
    low frequencies, in which no blur shows, and take thousands of steps to find the high ones.
    """
    index = torch.arange(size, dtype=torch.float32)
    basis = torch.cos(torch.outer(index, (index + 0.5) * math.pi / size))
    basis = basis / basis.square().sum(1, keepdim=True).sqrt()
    pairs = [(u, v) for u in range(size) for v in range(size) if u + v > 0]
    pairs.sort(key=lambda pair: -(pair[0] + pair[1]))
    chosen = [pairs[i % len(pairs)] for i in range(count)]
    patterns = torch.stack([torch.outer(basis[u], basis[v]) for u, v in chosen])
    return patterns[:, None].expand(-1, 3, -1, -1).contiguous() * (BAND_GAIN / 3)


class Estimator(nn.Module):
    """Features of the LR image, a code, and the kernel that it decodes to."""

    def __init__(self, config: ModelConfig) -> None:
        """Build from `estimator_*`, `pooling`, `latent` and `kernel_*` of the configuration."""
        super().__init__()
        features = config.estimator_features
        self.head = nn.Conv2d(3, features, 7, padding=3)
        self.body = nn.Sequential(
            *(ResidualBlock(features) for _ in range(config.estimator_blocks))
        )
        if config.pooling == "energy":
            self.head.weight = nn.Parameter(band_filters(features, self.head.kernel_size[0]))
        pooling = EnergyPooling if config.pooling == "energy" else MeanPooling
        self.pooling = pooling(features, config.latent)
        self.deep_linear_kernel = DeepLinearKernel(config)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """LR image (B, 3, H, W) in [0, 1] -> kernel (B, 1, k, k), code (B, latent)."""
        return self.decode(self.pooling(*self.features(lr)))

    def decode(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Code (B, latent) -> kernel (B, 1, k, k), code in fp32."""
        with torch.autocast(code.device.type, enabled=False):
            code = code.float()
            return self.deep_linear_kernel(code), code

    def features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """What is local: LR image (B, 3, H, W) -> features before and after the body, (B, C, H, W).

        A pixel of them sees the `reach` pixels of the image around it.
        """
        # Fine detail is as small as bf16's rounding of the image itself.
        with torch.autocast(lr.device.type, enabled=False):
            shallow = self.head(lr.float())
        return shallow, self.body(shallow) + shallow

    @property
    def reach(self) -> int:
        """Pixels on each side that a feature sees: of the head, and of two convolutions a block."""
        return self.head.kernel_size[0] // 2 + 2 * len(self.body)
